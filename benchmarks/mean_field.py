"""The global step of mean-field subsampling: exact sweeps, proved to 1e-4, beside sampled ones and a sparse transition matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from benchmarks.registry import Bench, case
from eqsolve.arrays import FloatArray
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.generators import warehouse
from eqsolve.mean_field.global_step import GlobalStep, evaluate_global, solve_global
from eqsolve.mean_field.histograms import Histograms, size
from eqsolve.mean_field.judge.surrogate import surrogate
from eqsolve.mean_field.operators.shears import lines
from eqsolve.mean_field.operators.stage import stage
from eqsolve.mean_field.operators.zones import DENSE, Dense
from eqsolve.mean_field.policy import SubsampledPolicy
from eqsolve.mean_field.sampled import Sampled, Variant, solve_sampled

STEADY = ((0, 2, 1, 1, 1), (1, 0, 2, 1, 1), (1, 1, 0, 2, 1), (1, 1, 1, 0, 2), (2, 1, 1, 1, 0))
"""[s_g][s]: the local policy that alternation reaches."""
TOLERANCE = 1e-4
SAMPLES = 30
ONCE = 100_000
"""Histograms from which everything is measured once."""
SECONDS = {50: 20.0, 80: 360.0}


def sparse_kernel(game: GlobalLocalGame, k: int, local: FloatArray) -> list[sparse.csr_array]:
    """For every global state the matrix of the moves of the histogram."""
    return [sparse.csr_array(Dense.of(rows, k).matrix) for rows in game.local_rows(local)]


def plain(game: GlobalLocalGame, k: int, local: FloatArray, kernel: list[sparse.csr_array]) -> FloatArray:
    """Value iteration with MacQueen's bounds, from zero, on the matrices."""
    rewards = Histograms(k, game.n_local_states).mean(game.local_payoff(local))
    values, rate = np.zeros_like(rewards), game.gamma / (1.0 - game.gamma)
    while True:
        top = np.empty_like(values)
        for g, matrix in enumerate(kernel):
            q = game.global_reward[g, :, None] + game.gamma * game.global_kernel[g] @ (matrix @ values.T).T
            top[g] = q.max(axis=0) + rewards[g]
        low, high = (top - values).min(), (top - values).max()
        values = top + rate * 0.5 * (low + high)
        if rate * 0.5 * (high - low) <= TOLERANCE:
            return values


def kept(into: dict[str, Any], name: str, work: Callable[[], Any]) -> Callable[[], None]:
    """The work, which leaves its answer."""

    def run() -> None:
        into[name] = work()

    return run


def compare(bench: Bench, k: int, local_name: str, *, sampled: bool = True) -> None:
    """One size: build, solve and certify."""
    game = warehouse()
    local = game.uniform_local() if local_name == "uniform" else game.deterministic_local(STEADY)
    N = size(k, game.n_local_states)
    name, repeats = f"k = {k}, {N:,} histograms, {local_name}", 1 if N >= ONCE else None
    solve_global(game, min(k, 20), local, 1.0)  # loads and compiles
    solve_sampled(game, 12, local, SAMPLES, 0, 1.0)
    solve_sampled(game, 12, local, SAMPLES, 0, 1.0, "shared")

    def build() -> None:
        lines.cache_clear()
        stage(game, k, local)

    found: dict[str, Any] = {}
    builds: dict[str, Callable[[], Any]] = {"eqsolve": build}
    solves: dict[str, Callable[[], Any]] = {
        "eqsolve": lambda: (lines.cache_clear(), solve_global(game, k, local, TOLERANCE))[1],
        "eqsolve, without a coarse start": lambda: solve_global(game, k, local, TOLERANCE, coarse=False),
    }
    if sampled:
        variants: tuple[tuple[str, Variant], ...] = (
            (f"m = {SAMPLES} samples, drawn once", "fixed"),
            (f"m = {SAMPLES}, shared by the actions", "shared"),
            ("rounded (authors' code)", "rounded"),
        )
        for title, variant in variants:
            solves[title] = lambda variant=variant: solve_sampled(game, k, local, SAMPLES, 0, TOLERANCE, variant)
    if N <= DENSE:
        builds["sparse matrix"] = lambda: sparse_kernel(game, k, local)
        kernel = sparse_kernel(game, k, local)
        solves["sparse matrix, value iteration"] = lambda: plain(game, k, local, kernel)
    bench.compare(name, "build", builds, repeats=repeats)
    solved = {title: kept(found, title, work) for title, work in solves.items()}
    times = bench.compare(name, "solve", solved, repeats=repeats)
    exact: GlobalStep = found["eqsolve"]
    system = surrogate(game, local, k)
    bench.compare(name, "certify", {"eqsolve": lambda: system.optimal(exact.values, 2 * TOLERANCE, 400)}, repeats=1)
    print(f"  -> {exact.sweeps} sweeps, within {exact.radius:.1e} of the optimum", flush=True)
    for title, other in found.items():
        if isinstance(other, Sampled):
            earned = evaluate_global(game, SubsampledPolicy(k, other.policy, local, exact.values), 10 * TOLERANCE).values
            off, loss = np.abs(other.values - exact.values).max(), (exact.values - earned).max()
            print(f"  -> {title}: {other.sweeps} sweeps, values off by {off:.3g}, the policy loses {loss:.3g}", flush=True)
    for title in (f"m = {SAMPLES} samples, drawn once", f"m = {SAMPLES}, shared by the actions"):
        if title in times and k >= 10:
            bench.target(f"{name}: less time than {title}", times[title] / times["eqsolve"], 1.0)
    if k in SECONDS:
        bench.target(f"{name}: seconds", times["eqsolve"], SECONDS[k], at_least=False)


@case("mean-field-global")
def run(bench: Bench) -> None:
    """The global step of the warehouse, proved to 1e-4, beside m = 30 samples and a sparse matrix; k = 10 to 50."""
    for k in (5, 10) if bench.quick else (10, 20, 35, 50):
        compare(bench, k, "uniform")
    if not bench.quick:
        compare(bench, 50, "steady", sampled=False)


@case("mean-field-global-80")
def run_large(bench: Bench) -> None:
    """The global step of the warehouse for k = 80 (1.9 million histograms), proved to 1e-4."""
    for local_name in ("uniform",) if bench.quick else ("uniform", "steady"):
        compare(bench, 12 if bench.quick else 80, local_name, sampled=False)
