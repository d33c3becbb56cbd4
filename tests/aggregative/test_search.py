"""The bounds by which the search discards cells, and what an interrupt leaves behind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqsolve.aggregative import (
    AggregativeNash,
    congestion,
    ev_charging,
    random_affine,
)
from eqsolve.aggregative.programs import Box
from eqsolve.aggregative.sweep import NoFeasibleCell, Search, _Block, sweep
from eqsolve.backends import Limits, Termination, get_backend, solve_family
from eqsolve.driver import OutOfTime, solve


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", ["_offer", "take", "_priced", "_push", "_interval"])
def test_an_interrupt_anywhere_leaves_a_true_bound(monkeypatch, seed, method):
    """Also in the middle of taking a block apart, when part of it is in no heap."""
    family = AggregativeNash("paper", cells=4).family(random_affine(12, (1, 4), 2, gamma=2.0, seed=seed))
    best = max(one.objective for one in solve_family(family, "native") if one.x is not None)
    original = getattr(Search, method)
    for stop in range(1, 60):
        calls = 0

        def interrupted(self, *arguments, stop=stop):
            nonlocal calls
            calls += 1
            if calls == stop:
                raise KeyboardInterrupt
            return original(self, *arguments)

        monkeypatch.setattr(Search, method, interrupted)
        try:
            result = sweep(family)
        except KeyboardInterrupt:
            continue
        assert result.outcome.objective <= best + 1e-9 <= result.bound + 2e-9
        if result.ended == "complete":
            break


def cell_of(search, number):
    """A cell as the search sees it, narrowed."""
    family = search.family
    low, box = np.array(family.grid.index(number)), family.box(number)
    part, allowed = search.whole.narrowed(box.allowed)
    return _Block(low, low + 1, part, allowed, box.centre, box.half_width), box


@pytest.mark.parametrize("seed", range(30))
def test_price_bound_is_exact_at_a_cells_own_prices(seed):
    """Strong duality; and at any other prices it is a bound."""
    rng = np.random.default_rng(seed)
    game = random_affine(12, (1, 4), 1 + seed % 3, gamma=1.0, types=4 if seed % 2 else None, seed=seed)
    family = AggregativeNash("existence", cells=3).family(game)
    search = Search(family)
    with get_backend("native").open(family.base, vertex=True) as session:
        for number in range(len(family)):
            block, box = cell_of(search, number)
            search.best, search.best_value, search.prices = None, -np.inf, []
            search._solve(session, block, np.inf, Limits())
            if search.best is None:
                continue
            optimum = search.best_value
            assert search._priced(block, np.inf) == pytest.approx(optimum, abs=1e-8)
            search.prices = [rng.normal(0, 10, game.n_coordinates)]
            assert search._priced(block, np.inf) >= optimum - 1e-9
            assert search._interval(search.whole, box) >= optimum - 1e-9
            assert search._interval(block.part, box_of_part(family, block)) >= optimum - 1e-9


def box_of_part(family, block):
    return Box.at(block.part, family.grid, family.tolerance, block.low, block.high)


def test_interval_test_sees_each_side_and_the_sum_of_the_coordinates():
    game = congestion(30, 3, types=2, seed=1)
    family = AggregativeNash(1e6, cells=6).family(game)
    search = Search(family)
    for index in np.ndindex(6, 6, 6):
        low, high = np.array(index) / 6, (np.array(index) + 1) / 6
        reachable = low.sum() <= 1 + 1e-9 and high.sum() >= 1 - 1e-9
        box = family.box(family.grid.number(index))
        assert np.isfinite(search._interval(search.whole, box)) == reachable
    one = random_affine(6, (1, 3), 1, gamma=3.0, seed=2)
    family = AggregativeNash("existence", cells=40).family(one)
    search = Search(family)
    for number in range(40):
        box = family.box(number)
        g = one.contribution[:, 0]
        least = one.reduce(np.minimum, np.where(box.allowed, g, np.inf)).sum()
        most = one.reduce(np.maximum, np.where(box.allowed, g, -np.inf)).sum()
        inside = most >= (box.centre - box.half_width)[0] - 1e-9 and least <= (box.centre + box.half_width)[0] + 1e-9
        assert np.isfinite(search._interval(search.whole, box)) == inside


def test_a_cell_that_is_touched_is_not_refuted():
    """Where the largest sum of the players is the edge of the cell, to the last digits; a little further off it is refuted."""
    game = random_affine(7, (1, 3), 1, gamma=3.0, seed=2)
    search = Search(AggregativeNash(1e6, cells=1).family(game))
    block, _ = cell_of(search, 0)
    assert block.allowed.all()
    half = np.array([0.1])
    for sign, end in ((1.0, game.lower), (-1.0, game.upper)):
        for scale in (1e-6, 1.0, 1e6):
            touching = replace(block, centre=end - sign * half, half_width=half)
            beyond = replace(touching, centre=touching.centre - sign * 1e-6)
            assert not search._refuted(touching, np.array([sign * scale]))
            assert search._refuted(beyond, np.array([sign * scale]))
            assert not search._refuted(beyond, np.array([-sign * scale]))


def test_a_part_of_a_block_keeps_the_bound_of_the_whole():
    family = AggregativeNash("paper", cells=4).family(random_affine(12, (1, 4), 2, gamma=2.0, seed=0))
    search = Search(family)
    ((bound, _, low, high),) = search.frontier()
    search.heap.clear()
    search._offer(low, high, search.whole, bound - 1.0)
    assert [one[0] for one in search.frontier()] == [bound - 1.0]


class Liar:
    """A session that calls every cell infeasible, or every optimum a little worse, with duals that show nothing."""

    def __init__(self, session, lie):
        self.session, self.lie = session, lie

    program = property(lambda self: self.session.program)

    def update(self, update):
        self.session.update(update)

    def solve(self, limits=None, start=None):
        outcome = self.session.solve(limits, start)
        if self.lie == "infeasible":
            return replace(outcome, termination=Termination.INFEASIBLE, x=None, y=None, ray=np.ones(self.program.n_rows))
        return replace(outcome, objective=outcome.objective - 1.0) if outcome.x is not None else outcome


@pytest.mark.parametrize("lie", ["infeasible", "worse"])
@pytest.mark.parametrize("seed", range(10))
def test_a_backend_that_lies_cannot_lower_the_bound(lie, seed):
    """Cells that the backend calls infeasible, or worse than they are, keep a bound that the game's data prove."""
    family = AggregativeNash("opt", cells=3).family(random_affine(12, (1, 4), 2, gamma=2.0, seed=seed))
    best = max(one.objective for one in solve_family(family, "native") if one.x is not None)
    search = Search(family)
    with get_backend("native").open(family.base, vertex=True) as session:
        search.run(Liar(session, lie), Limits())
    assert search.bound() >= best - 1e-9


@pytest.mark.parametrize("backend", ["native", "highs", "scipy"])
def test_true_verdicts_are_proven_tightly(backend):
    """With or without rays and duals of the backend's own, infeasible cells are refuted and the bound is the optimum."""
    for game, tolerance, cells in ((random_affine(400, (1, 4), 2), "paper", 12), (ev_charging(200, 4), "opt", None)):
        found = sweep(AggregativeNash(tolerance, cells=cells).family(game), backend)
        assert found.counts.infeasible
        assert found.bound == pytest.approx(found.outcome.objective, abs=1e-7)


def test_a_cell_that_was_cut_short_is_not_called_infeasible():
    game = random_affine(6, 3, 1, seed=1)
    search = AggregativeNash("existence", cells=1).search(game, rescue=True)

    class Slow:
        def update(self, values):
            pass

        def solve(self, limits):
            raise OutOfTime

    with pytest.raises(OutOfTime):
        search.take(Slow(), Limits(seconds=1.0))
    assert not search.heap
    assert not search.is_complete
    assert search.bound() >= solve(game, AggregativeNash("existence", cells=1)).welfare
    with pytest.raises(NoFeasibleCell, match="the run ended before a feasible cell was found"):
        search.result()
