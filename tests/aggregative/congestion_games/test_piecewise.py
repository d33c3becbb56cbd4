"""Linear programs around Beckmann's: one side or the other, on every backend; brackets that hold; bad points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.aggregative.congestion_games.beckmann import beckmann_flows, objective_of
from eqsolve.aggregative.congestion_games.certificate import wardrop_gaps
from eqsolve.aggregative.congestion_games.cost_terms import NoConvexProgram
from eqsolve.aggregative.congestion_games.flow_blocks import Units
from eqsolve.aggregative.congestion_games.generators import braess, random_routed
from eqsolve.aggregative.congestion_games.piecewise import piecewise_bracket, piecewise_program, points_around, rough_loads
from eqsolve.backends import solve_program
from eqsolve.certificates import certify
from eqsolve.errors import InvalidData, UnknownName
from tests.aggregative.congestion_games.convex_games import GAMES, by_function, falling, game_of, least
from tests.backends.usable import usable_backends


@pytest.mark.parametrize("backend", usable_backends("LP"))
@pytest.mark.parametrize("side", ["inner", "outer"])
def test_the_two_sides_hold_beckmanns_optimum_on_every_backend(side, backend):
    game = game_of("crossing")
    program = piecewise_program(game, side=side)
    outcome = solve_program(program, backend=backend)
    assert outcome.is_optimal, outcome.notes
    if outcome.y is not None:
        assert certify(program, outcome).holds(2e-6)
    value, best = objective_of(game, program, outcome.x), least("crossing")
    slack = 1e-6 * best
    assert best - slack <= value <= 1.05 * best if side == "inner" else 0.95 * best <= value <= best + slack
    flows = beckmann_flows(game, program, outcome.x)
    flows.check(game)
    assert float(game.costs.integral(game.aggregator(flows)).sum()) >= best - slack


@pytest.mark.parametrize("system", [False, True], ids=["equilibrium", "optimum"])
@pytest.mark.parametrize("name", GAMES)
def test_brackets_hold_the_optimum_and_close(name, system):
    game = game_of(name)
    rough, fine = (piecewise_bracket(game, tolerance, system=system) for tolerance in (1e-1, 1e-5))
    for one, tolerance in ((rough, 1e-1), (fine, 1e-5)):
        assert one.lower <= least(name, system) * (1 + 1e-8)
        assert one.upper >= least(name, system) * (1 - 1e-8)
        assert one.relative_error <= tolerance
        assert certify(one.program, one.outcome).holds(1e-6)
    assert rough.rounds <= fine.rounds
    assert wardrop_gaps(game, fine.flows).relative_gap <= 0.02 or system


def test_costs_given_by_functions_have_brackets():
    game = by_function()
    found = piecewise_bracket(game, 1e-5)
    assert found.relative_error <= 1e-5
    assert wardrop_gaps(game, found.flows).relative_gap <= 1e-2
    over_paths = piecewise_bracket(game, 1e-5, paths=found.flows)
    assert over_paths.upper == pytest.approx(found.upper, rel=2e-5)
    assert over_paths.program.column_block("f").size == found.flows.n_paths


def test_a_bracket_as_good_as_its_backend_ends_and_still_holds():
    game = game_of("crossing")
    found = piecewise_bracket(game, 1e-300, backend="highs")
    assert found.rounds < 30
    assert found.relative_error <= 1e-6
    assert found.lower <= least("crossing") * (1 + 1e-9)
    assert found.upper >= found.lower
    assert piecewise_bracket(game, 1e-300, backend="highs", rounds=2).rounds == 2


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.floats(1e-6, 0.5), st.integers(2, 7))
def test_the_inner_objective_is_that_of_the_chords(seed, width, per_side):
    """At any loads the inner objective is no less than Beckmann's and exact at the points; the outer one is no more."""
    game = random_routed(nodes=4, links=7, types=2, seed=seed)
    rng = np.random.default_rng(seed)
    points = points_around(game, rough_loads(game), width, per_side)
    assert points.shape == (7, 2 * per_side + 3)
    assert (np.diff(points, axis=1) >= 0).all()
    inner, outer = (piecewise_program(game, points, side=side) for side in ("inner", "outer"))
    y = inner.column_block("y")
    most = float(game.demand.sum())
    price = Units.of(game).price
    for x in (rng.uniform(0, most, 7), points[:, rng.integers(points.shape[1])]):
        pieces = np.diff(np.minimum(points, x[:, None]), axis=1)
        chords = price * float((inner.c[y.slice].reshape(pieces.shape) * pieces).sum())
        value = float(game.costs.integral(x).sum())
        tangent = game.costs.integral(points.T) + game.costs.cost(points.T) * (x - points.T)
        assert chords >= value * (1 - 1e-9)
        assert float(tangent.max(axis=0).sum()) <= value * (1 + 1e-9)
        if (x[:, None] == points).any(axis=1).all():
            assert chords == pytest.approx(value, rel=1e-6)
    assert outer.column_block("z").size == 7


def test_bad_input_is_refused():
    game = braess()
    good = points_around(game, np.full(5, 2.0))
    with pytest.raises(UnknownName, match="side"):
        piecewise_program(game, side="both")
    falls = good.copy()
    falls[2, 3] = -1.0
    with pytest.raises(InvalidData, match="points of 1-2 fall"):
        piecewise_program(game, falls)
    with pytest.raises(InvalidData, match="points of 0-1 reach from 0 to 4"):
        piecewise_program(game, good[:, :-1])
    with pytest.raises(InvalidData, match="points has shape"):
        piecewise_program(game, good[:3])
    for tolerance in (0.0, -1.0, np.nan):
        with pytest.raises(InvalidData, match="tolerance"):
            piecewise_bracket(game, tolerance)
    for one in (piecewise_program, piecewise_bracket):
        with pytest.raises(NoConvexProgram, match="may fall with the flow"):
            one(falling())
