"""Discounted processes without constraints: the native methods, QuantEcon's DiscreteDP and HiGHS, to 1e-8 with a bracket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import highspy
import numpy as np
from quantecon.markov import DiscreteDP
from scipy import sparse

from benchmarks.registry import Bench, case
from eqsolve.mdp.generators import grid_world, random_mdp
from eqsolve.mdp.model import FiniteMDP
from eqsolve.mdp.native import optimal_policy

ERROR = 1e-8
FILLS_IN = "its sparse direct solves fill in on random graphs and do not end"
CYCLES = "it goes round among policies that are equally good and does not end"


@dataclass(frozen=True)
class Instance:
    """A process by discount; with which options HiGHS alone is fastest, if it runs; why QuantEcon's pi is left out."""

    name: str
    build: Callable[[float], FiniteMDP]
    highs: dict[str, str] | None = None
    form: str = "primal"
    without_pi: str = ""


def rough_grid(side: int, gamma: float) -> FiniteMDP:
    """Moves that succeed with 0.7, stay with 0.09 and go elsewhere with 0.07 each; every cell has a random reward of its own."""
    S = side * side
    row, column = np.divmod(np.arange(S), side)
    steps = ((-1, 0), (0, 1), (1, 0), (0, -1), (0, 0))
    to = [np.clip(row + up, 0, side - 1) * side + np.clip(column + right, 0, side - 1) for up, right in steps]
    data, rows, columns = [], [], []
    for a in range(4):
        for b in range(5):
            data.append(np.full(S, 0.7 if a == b else 0.09 if b == 4 else 0.07))
            rows.append(np.arange(S) * 4 + a)
            columns.append(to[b])
    kernel = sparse.coo_array((np.concatenate(data), (np.concatenate(rows), np.concatenate(columns))), shape=(4 * S, S))
    return FiniteMDP(np.full(S, 4), kernel.tocsr(), np.repeat(np.random.default_rng(0).random(S), 4), gamma)


IPM = {"solver": "ipm", "run_crossover": "off"}
INSTANCES = (
    Instance("S1000", lambda gamma: random_mdp(1000, 5, 20, gamma, seed=0), IPM, "primal"),
    Instance("grid10k", lambda gamma: rough_grid(100, gamma), IPM, "dual"),
    Instance("rand10k", lambda gamma: random_mdp(10_000, 4, 5, gamma, seed=0), {"solver": "pdlp"}, "dual", FILLS_IN),
    Instance("goal10k", lambda gamma: grid_world(100, 100, gamma), without_pi=CYCLES),
)


def discrete_dp(mdp: FiniteMDP) -> DiscreteDP:
    actions = np.arange(mdp.n_pairs) - np.repeat(mdp.first[:-1], mdp.n_actions)
    ddp = DiscreteDP(mdp.reward, sparse.csr_matrix(mdp.kernel()), mdp.gamma, np.asarray(mdp.owner), actions)
    ddp.max_iter = 1_000_000
    return ddp


def reference(mdp: FiniteMDP) -> np.ndarray:
    """Plain value iteration until MacQueen's bounds are 1e-11 apart."""
    v, share = np.zeros(mdp.n_states), mdp.gamma / (1.0 - mdp.gamma)
    while True:
        w = np.maximum.reduceat(mdp.reward + mdp.gamma * (mdp.kernel() @ v), mdp.first[:-1])
        low, high = (w - v).min(), (w - v).max()
        v = w
        if share * (high - low) <= max(1e-11, 4e-14 * share * np.abs(w).max()):
            return w + share * 0.5 * (low + high)


def by_highs(mdp: FiniteMDP, form: str, options: dict[str, str]) -> np.ndarray:
    """The values from HiGHS alone, handed its arrays; right-hand sides are 1."""
    own = sparse.csr_array((np.ones(mdp.n_pairs), np.asarray(mdp.owner), np.arange(mdp.n_pairs + 1)), shape=mdp.kernel().shape)
    system = sparse.csr_array(own - mdp.gamma * mdp.kernel())
    K, S = system.shape
    highs = highspy.Highs()
    highs.silent()
    for name, value in options.items():
        highs.setOptionValue(name, value)
    ones, free, none = np.ones(S), np.full(S, np.inf), np.full(K, np.inf)
    rowwise, columnwise = int(highspy.MatrixFormat.kRowwise), int(highspy.MatrixFormat.kColwise)
    parts = system.indptr, system.indices, system.data
    if form == "primal":
        sense, kinds = int(highspy.ObjSense.kMaximize), np.zeros(K, dtype=np.int32)
        highs.passModel(K, S, system.nnz, columnwise, sense, 0.0, mdp.reward, np.zeros(K), none, ones, ones, *parts, kinds)
    else:
        sense, kinds = int(highspy.ObjSense.kMinimize), np.zeros(S, dtype=np.int32)
        highs.passModel(S, K, system.nnz, rowwise, sense, 0.0, ones, -free, free, mdp.reward, none, *parts, kinds)
    highs.run()
    solution = highs.getSolution()
    return np.asarray(solution.row_dual if form == "primal" else solution.col_value)


@case("mdp-methods")
def methods(bench: Bench) -> None:
    """Sup-norm error 1e-8, bracket included, next to QuantEcon's methods (compiled before) and the fastest method of HiGHS."""
    for instance in INSTANCES[:1] if bench.quick else INSTANCES:
        for gamma in (0.95, 0.99):
            _compare(bench, instance, gamma)


def _compare(bench: Bench, instance: Instance, gamma: float) -> None:
    mdp = instance.build(gamma)
    ddp, exact, size = discrete_dp(mdp), reference(mdp), f"{instance.name}, gamma {gamma:g}"
    # QuantEcon's epsilon is twice the error that it promises for the values
    contestants: dict[str, Callable[[], np.ndarray]] = {
        "eqsolve auto": lambda: optimal_policy(mdp, "auto", ERROR).values,
        "eqsolve policy iteration": lambda: optimal_policy(mdp, "policy_iteration", ERROR).values,
        "eqsolve value iteration": lambda: optimal_policy(mdp, "value_iteration", ERROR).values,
        "QuantEcon mpi": lambda: ddp.solve(method="mpi", epsilon=2 * ERROR).v,
        "QuantEcon vi": lambda: ddp.solve(method="vi", epsilon=2 * ERROR).v,
    }
    if instance.without_pi:
        print(f"  {size:<34} QuantEcon pi is left out: {instance.without_pi}", flush=True)
    else:
        contestants["QuantEcon pi"] = lambda: ddp.solve(method="pi").v
    errors = {name: float(np.abs(solve() - exact).max()) for name, solve in contestants.items()}
    print("  largest error: " + ", ".join(f"{name} {error:.1e}" for name, error in errors.items()), flush=True)
    found = optimal_policy(mdp, "auto", ERROR)
    held = bool((found.lower <= exact + 1e-10).all() and (exact <= found.upper + 1e-10).all())
    bench.target(f"{size}: the bracket holds the reference (1 = yes), width {found.width:.1e}", float(held), 1.0)
    taken = bench.compare(size, "solve", contestants)
    best = min(seconds for name, seconds in taken.items() if name.startswith("QuantEcon"))
    bench.target(f"{size}: QuantEcon's best / eqsolve", best / taken["eqsolve auto"], 1.0)
    if gamma == 0.95 and instance.highs is not None:
        options, form = instance.highs, instance.form
        alone = bench.compare(size, "solve", {f"highspy {options['solver']}": lambda: by_highs(mdp, form, options)}, repeats=1)
        bench.target(f"{size}: highspy / eqsolve", min(alone.values()) / taken["eqsolve auto"], 1.0)


@case("mdp-growth")
def growth(bench: Bench) -> None:
    """From 1,000 to 100,000 states at gamma .99, random and grid, next to QuantEcon's modified policy iteration."""
    for states in (1000, 3000) if bench.quick else (1000, 10_000, 100_000):
        side = round(states**0.5)
        kinds = {"random, 4 x 5": random_mdp(states, 4, 5, 0.99, seed=0), f"grid {side} x {side}": rough_grid(side, 0.99)}
        for kind, mdp in kinds.items():
            _grow(bench, f"{kind}, S = {mdp.n_states:,}", mdp)


def _grow(bench: Bench, size: str, mdp: FiniteMDP) -> None:
    ddp = discrete_dp(mdp)
    bench.compare(
        size,
        "solve",
        {
            "eqsolve auto": lambda: optimal_policy(mdp, "auto", ERROR),
            "QuantEcon mpi": lambda: ddp.solve(method="mpi", epsilon=2 * ERROR),
        },
        repeats=3,
    )
