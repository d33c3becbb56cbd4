"""Online execution of mean-field subsampling: rollouts by counts beside loops over agents, and their growth in n."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.registry import Bench, case
from eqsolve.mean_field.generators import warehouse
from eqsolve.mean_field.histograms import Histograms
from eqsolve.mean_field.online.agents import simulate_agents
from eqsolve.mean_field.online.execution import simulate
from eqsolve.mean_field.policy import SubsampledPolicy

FOLLOW = ((0, 2, 1, 1, 1), (1, 0, 2, 1, 1), (1, 1, 0, 2, 1), (1, 1, 1, 0, 2), (2, 1, 1, 1, 0))
"""[s_g][s]: local agents move towards the priority zone."""
ROLLOUTS, STEPS = 750, 100


def steered(k: int, n: int):
    """The warehouse of n robots, and the policy that steers to the mode of k sampled ones."""
    game = warehouse(n)
    modes = Histograms(k, 5).table.argmax(axis=1)
    return game, SubsampledPolicy(k, np.tile(modes, (5, 1)), game.deterministic_local(FOLLOW))


def by_counts(k: int, n: int, rollouts: int, **options) -> Callable[[], None]:
    game, policy = steered(k, n)
    return lambda: simulate(game, policy, rollouts, STEPS, np.random.default_rng(0), **options)


def by_agents(k: int, n: int, rollouts: int) -> Callable[[], None]:
    game, policy = steered(k, n)
    return lambda: simulate_agents(game, policy, rollouts, STEPS, np.random.default_rng(0))


@case("mean-field-execution")
def run(bench: Bench) -> None:
    """750 rollouts x 100 steps: by counts beside a numpy loop over agents (n = 1,000), and growth in n and k."""
    rollouts, few = (50, 2) if bench.quick else (ROLLOUTS, 10)
    times = bench.compare(
        f"n = 1,000, k = 10, {rollouts} rollouts",
        "simulate",
        {
            "eqsolve": by_counts(10, 1_000, rollouts),
            "eqsolve, sampled rewards": by_counts(10, 1_000, rollouts, rewards="sampled"),
            "eqsolve, numpy twin": by_counts(10, 1_000, rollouts, compiled=False),
            "numpy over agents": by_agents(10, 1_000, few),
        },
        scale={"numpy over agents": rollouts / few},
    )
    bench.target("faster than a numpy loop over agents", times["numpy over agents"] / times["eqsolve"], 50.0)
    sizes = (10**3, 10**5, 10**7) if bench.quick else tuple(10**e for e in range(3, 8))
    grown = bench.compare(f"k = 10, {rollouts} rollouts", "n", {f"n = {n:,}": by_counts(10, n, rollouts) for n in sizes})
    bench.target("n = 10,000,000 against n = 1,000", grown["n = 10,000,000"] / grown["n = 1,000"], 1.5, at_least=False)
    seen = (1, 10) if bench.quick else (1, 10, 20, 35, 50)
    bench.compare(f"n = 1,000, {rollouts} rollouts", "k", {f"k = {k}": by_counts(k, 1_000, rollouts) for k in seen})
