"""The linear program of a Markov decision process: native, HiGHS by every form and method, and what auto picks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import highspy
import numpy as np
from scipy import sparse

from benchmarks.registry import Bench, Row, case
from eqsolve.backends import Start, solve_program
from eqsolve.certificates import certify
from eqsolve.mdp.forms import solve_occupancy
from eqsolve.mdp.model import FiniteMDP
from eqsolve.mdp.native import optimal_policy
from eqsolve.mdp.programs import occupancy_program, value_program
from eqsolve.mdp.recovery import policy_basis
from eqsolve.programs import Program

GAMMA = 0.95
CAP = 60.0
LONG = 10.0
"""Seconds from which one run says enough."""
IPM = {"solver": "ipm", "run_crossover": "off"}
VARIANTS: dict[str, tuple[str, dict[str, object]]] = {
    "highspy, primal, defaults (simplex)": ("primal", {}),
    "highspy, dual, defaults (simplex)": ("dual", {}),
    "highspy, primal, ipm with crossover": ("primal", {"solver": "ipm"}),
    "highspy, primal, ipm": ("primal", IPM),
    "highspy, dual, ipm": ("dual", IPM),
    "highspy, primal, pdlp": ("primal", {"solver": "pdlp"}),
    "highspy, dual, pdlp": ("dual", {"solver": "pdlp"}),
}
HOPELESS = {"rand10k": ("ipm", "basis")}
"""Factors of a random graph of 10,000 states fill in: the interior-point method took 58 s and 1.6 GB, HiGHS 168 s for one basis."""


@dataclass(frozen=True)
class Instance:
    """A process by name, and how many times native is to be faster than the best method of HiGHS."""

    name: str
    mdp: FiniteMDP
    wanted: float


def random_process(states: int, actions: int, successors: int) -> FiniteMDP:
    rng = np.random.default_rng(0)
    K = states * actions
    to, weights = rng.integers(0, states, K * successors), rng.dirichlet(np.ones(successors), K).ravel()
    kernel = sparse.csr_array((weights, (np.repeat(np.arange(K), successors), to)), shape=(K, states))
    return FiniteMDP(np.full(states, actions), kernel, rng.random(K), GAMMA)


def grid_process(n: int) -> FiniteMDP:
    """Four moves that go where they should with 0.8, elsewhere next door or nowhere with 0.05 each."""
    row, column = np.divmod(np.arange(n * n), n)
    steps = [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)]
    near = np.stack([np.clip(row + a, 0, n - 1) * n + np.clip(column + b, 0, n - 1) for a, b in steps], axis=1)
    weights = np.where(np.eye(4, 5, dtype=bool), 0.8, 0.05)
    data = np.broadcast_to(weights, (n * n, 4, 5)).ravel()
    pair = np.repeat(np.arange(4 * n * n), 5)
    to = np.broadcast_to(near[:, None, :], (n * n, 4, 5)).ravel()
    kernel = sparse.csr_array((data, (pair, to)), shape=(4 * n * n, n * n))
    return FiniteMDP(np.full(n * n, 4), kernel, np.random.default_rng(0).random(4 * n * n), GAMMA)


def instances(quick: bool) -> tuple[Instance, ...]:
    """The targets are for the large ones."""
    if quick:
        return Instance("S200", random_process(200, 5, 20), 50.0), Instance("grid400", grid_process(20), 10.0)
    return (
        Instance("S1000", random_process(1_000, 5, 20), 50.0),
        Instance("rand10k", random_process(10_000, 4, 5), 50.0),
        Instance("grid10k", grid_process(100), 10.0),
    )


def by_highspy(program: Program, options: dict[str, object], cap: float) -> float | None:
    """The objective from cold, hand-over included; None when the cap was reached."""
    highs = highspy.Highs()
    highs.silent()
    for name, value in {"threads": 1, "time_limit": cap, **options}.items():
        highs.setOptionValue(name, value)
    highs.passModel(
        program.n_columns,
        program.n_rows,
        program.A.nnz,
        int(highspy.MatrixFormat.kColwise),
        int(highspy.ObjSense.kMaximize if program.sense == "max" else highspy.ObjSense.kMinimize),
        0.0,
        program.c,
        program.col_lower,
        program.col_upper,
        program.row_lower,
        program.row_upper,
        program.A.indptr.astype(np.int32),
        program.A.indices.astype(np.int32),
        program.A.data,
        np.zeros(program.n_columns, dtype=np.int32),
    )
    highs.run()
    done = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(highs.getInfo().objective_function_value) if done else None


def by_basis(program: Program, mdp: FiniteMDP) -> None:
    """The basis of an optimal policy, found first, handed to HiGHS."""
    basis = policy_basis(mdp, optimal_policy(mdp).choice)
    outcome = solve_program(program, "highs", start=Start(basis=basis), options={"presolve": "off"})
    assert outcome.iterations == 0


def timed(bench: Bench, size: str, name: str, work: Callable[[], float | None], repeats: int, first: float | None) -> float:
    """Median seconds of a contestant that may be stopped."""
    times: list[float] = []
    note = ""
    while len(times) < repeats and not note and sum(times) < LONG:
        began = perf_counter()
        found = work()
        times.append(perf_counter() - began)
        note = "stopped" if found is None else ""
    seconds = median(times)
    note = f"stopped after {seconds:.0f} s" if note else ""
    bench.rows.append(Row(bench.case, size, "solve", name, seconds, min(times), len(times), seconds / (first or seconds), note))
    print(f"  {size:<34} {'solve':<8} {name:<38} {seconds:12.6f} s   {seconds / (first or seconds):10.2f} x   {note}", flush=True)
    return seconds


def measure(bench: Bench, one: Instance, cap: float) -> None:
    mdp = one.mdp
    primal, dual = occupancy_program(mdp), value_program(mdp)
    size = f"{one.name}: {primal.n_columns:,} x {primal.n_rows:,}, {primal.A.nnz:,} nonzeros"
    optimum = solve_program(primal, "native").objective
    assert optimum is not None

    def native() -> float | None:
        outcome = solve_program(primal, "native")
        assert certify(primal, outcome).holds(1e-9)
        return outcome.objective

    def auto() -> float | None:
        solution = solve_occupancy(mdp, "highs")
        assert abs(solution.outcome.objective / optimum - 1.0) < 1e-6
        return solution.outcome.objective

    def basis() -> float | None:
        by_basis(primal, mdp)
        return optimum

    bench.compare(size, "build", {"over visits": lambda: occupancy_program(mdp), "over values": lambda: value_program(mdp)})
    ours = timed(bench, size, "eqsolve native, certified", native, max(bench.repeats, 7), None)
    through = timed(bench, size, "eqsolve through highs, auto, build too", auto, 3, ours)
    hopeless = HOPELESS.get(one.name, ())
    if "basis" not in hopeless:
        timed(bench, size, "policy and its basis to highs", basis, 3, ours)
    taken: dict[str, float] = {}
    best = np.inf
    for name, (form, options) in VARIANTS.items():
        if options.get("solver") in hopeless:
            print(f"  {size:<34} {'solve':<8} {name:<38} not run: fills in", flush=True)
            continue
        program = primal if form == "primal" else dual
        taken[name] = timed(bench, size, name, lambda p=program, o=options: by_highspy(p, o, cap), 3, ours)
        if not bench.rows[-1].note:
            best = min(best, taken[name])
    if bench.quick:
        return
    default = taken["highspy, primal, defaults (simplex)"]
    bench.target(f"{one.name}: HiGHS's own default / eqsolve through highs", default / through, 4.0)
    bench.target(f"{one.name}: HiGHS's best method from cold / native with its certificate", best / ours, one.wanted)


@case("mdp-lp")
def run(bench: Bench) -> None:
    """The occupancy LP: native with its certificate, HiGHS by form and method, and what auto picks; gamma 0.95."""
    for one in instances(bench.quick):
        measure(bench, one, 5.0 if bench.quick else CAP)
