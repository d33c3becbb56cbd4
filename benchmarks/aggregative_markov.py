"""Aggregative Markov games: backward induction beside one program per cell, the certificate beside a pass of payoffs, growth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np

import eqsolve
from benchmarks.registry import Bench, case
from eqsolve.aggregative import Grid, StageFamily, Tolerance
from eqsolve.aggregative.markov import AggreBI, AggregativeMarkovGame, MarkovProfile, random_markov
from eqsolve.aggregative.markov.certificate import nash_gap

RATIO, PASSES = 300.0, 3.0


def planned(game: AggregativeMarkovGame, **parameters: Any) -> Callable[[], Any]:
    return lambda: eqsolve.solve(game, AggreBI(**parameters))


def by_cells(game: AggregativeMarkovGame, number: int, seed: int) -> Callable[[], None]:
    """The stage programs of some random cells of the first stage, each built and solved by cvxpy and HiGHS."""
    stage = game.stage_game(game.horizon - 1, 0)
    grid = Grid.over(stage)
    family = StageFamily(stage, grid, Tolerance.of("opt"))
    g, m = stage.contribution.T, int(stage.n_actions[0])
    rng = np.random.default_rng(seed)
    cells = [grid.number([int(rng.integers(side)) for side in grid.cells]) for _ in range(number)]
    boxes = [family.box(cell) for cell in cells]

    def run() -> None:
        for box in boxes:
            p = cp.Variable(stage.n_columns, bounds=[0, box.allowed.astype(float)])
            x = g @ p
            choose = cp.reshape(p, (stage.n_types, m), order="C")
            rows = [cp.sum(choose, axis=1) == 1, x >= box.centre - box.half_width, x <= box.centre + box.half_width]
            cp.Problem(cp.Maximize(stage.weights @ p), rows).solve(solver="HIGHS")

    return run


@case("aggre-bi")
def run(bench: Bench) -> None:
    """AggreBI at a spacing of delta beside one cvxpy program per cell (extrapolated): n = 1,000, d = 2, S = H = 10."""
    sides = {"players": 100, "states": 2, "horizon": 2} if bench.quick else {"players": 1000, "states": 10, "horizon": 10}
    game = random_markov(actions=3, dimension=2, **sides)
    some = 3
    cells = Grid.over(game.stage_game(0, 0)).size * game.n_states * game.horizon
    makers = {"eqsolve": planned(game), "cvxpy + HiGHS, every cell": by_cells(game, some, 0)}
    size = f"n={game.n_players}, d=2, S={game.n_states}, H={game.horizon}"
    result = eqsolve.solve(game)
    programs = int(result.state.of("programs").sum())
    print(f"     {result.gap}; {programs:,} programs solved of {cells:,} cells", flush=True)
    taken = bench.compare(size, "solve", makers, scale={"cvxpy + HiGHS, every cell": cells / some}, repeats=3)
    ours, theirs = taken.values()
    bench.target(f"{size}: one program per cell / AggreBI", theirs / ours, RATIO)


def one_pass(game: AggregativeMarkovGame, profile: MarkovProfile, *, ahead: bool) -> Callable[[], float]:
    """Payoffs of all players and actions at the aggregators that their deviations cause: plain numpy, no dynamic programming.

    Rewards alone, or with the expected values of the next step, of which there is one table for all steps.
    """
    n, m, d = game.n_players, int(game.n_actions[0]), game.n_coordinates
    families: Any = game.rewards
    values = np.random.default_rng(0).random((n, game.n_states))

    def run() -> float:
        most = 0.0
        for h in range(game.horizon):
            g = game.contribution[h].reshape(n, m, d)
            for s in range(game.n_states):
                family = families[h if len(families) > 1 else 0][s]
                own = g[np.arange(n), profile.actions[h, s]]
                x = own.sum(axis=0) + g - own[:, None]
                payoff = family.base.reshape(n, m) + np.einsum("nmd,nmd->nm", family.slope.reshape(n, m, d), x)
                if ahead:
                    probability = game.transition.batch(h, s, x.reshape(n * m, d)).reshape(n, m, -1)
                    payoff += np.einsum("nms,ns->nm", probability, values)
                most = max(most, float(payoff.max()))
        return most

    return run


@case("aggregative-certificate")
def certificate(bench: Bench) -> None:
    """The exact gap of n = 10,000, S = H = 10 beside a pass of numpy over as many payoffs."""
    for n in (200,) if bench.quick else (1000, 10_000, 100_000):
        for d in (1, 2):
            steps = 2 if bench.quick or n > 10_000 else 10
            game = random_markov(n, 3, d, states=10, horizon=steps)
            rng = np.random.default_rng(0)
            profile = MarkovProfile(rng.integers(0, 3, (steps, 10, n)).astype(np.int32))
            size = f"n={n:,}, d={d}, m=3, S=10, H={steps}"
            makers = {
                "numpy, rewards and continuation": one_pass(game, profile, ahead=True),
                "numpy, rewards alone": one_pass(game, profile, ahead=False),
                "nash_gap": lambda g=game, p=profile: nash_gap(g, p),
            }
            taken = bench.compare(size, "certify", makers, repeats=3)
            for name in list(makers)[:2] if n == 10_000 else ():
                bench.target(f"{size}: certificate / {name}", taken["nash_gap"] / taken[name], PASSES, at_least=False)


@case("aggre-bi-growth")
def growth(bench: Bench) -> None:
    """AggreBI by number of players, coordinates, states, steps, cells."""
    base: dict[str, Any] = {"players": 200, "actions": 3, "dimension": 1, "states": 3, "horizon": 3}
    sweeps: dict[str, tuple[int, ...]] = {
        "players": (100, 1000, 10_000, 100_000),
        "dimension": (1, 2, 3),
        "states": (1, 3, 10, 30),
        "horizon": (1, 3, 10, 30),
    }
    for name, values in sweeps.items():
        for value in values[:2] if bench.quick else values:
            game = random_markov(**{**base, name: value})
            _told(bench, f"{name} = {value:,}", game, {"opt": planned(game), "existence": planned(game, tolerance="existence")})
    game = random_markov(**{**base, "dimension": 2})
    for cells in (16, 64) if bench.quick else (16, 64, 256, 1024):
        _told(bench, f"cells = {cells} x {cells}", game, {"opt": planned(game, cells=cells)})


def _told(bench: Bench, size: str, game: AggregativeMarkovGame, makers: dict[str, Callable[[], Any]]) -> None:
    for name, make in makers.items():
        print(f"     {size}, {name}: {make().gap}", flush=True)
    bench.compare(size, "solve", makers, repeats=1 if game.n_players > 10_000 else 3)
