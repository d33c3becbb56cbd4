"""The best approximate equilibrium for a linear objective: exact regrets, true bounds, and lists of near paths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.aggregative.congestion_games import AffineCosts, CongestionGame, ListedActions
from eqsolve.aggregative.congestion_games.certificate import certify as wardrop
from eqsolve.aggregative.congestion_games.cost_terms import NoConvexProgram
from eqsolve.aggregative.congestion_games.generators import braess, grid_city, pigou, random_listed, random_routed
from eqsolve.aggregative.congestion_games.linear_masters import LinearMasters
from eqsolve.aggregative.congestion_games.near_paths import paths_within
from eqsolve.aggregative.congestion_games.selection import select_flows, select_within
from eqsolve.backends import solve_program
from eqsolve.certificates import certify
from eqsolve.driver import NothingReached, solve
from eqsolve.errors import InvalidData
from tests.aggregative.congestion_games.convex_games import GAMES, crossing, falling, game_of
from tests.backends.usable import usable_backends


def equilibrium(game, tolerance=1e-7):
    return solve(game, LinearMasters(tolerance), backend="highs").policy


@pytest.mark.parametrize("backend", usable_backends("LP"))
def test_every_backend_selects_as_well(backend):
    game = crossing()
    flows, distance = equilibrium(game), np.array([2.0, 5.0, 3.0, 1.0, 1.0, 1.0, 1.0])
    found = select_flows(game, flows, distance, eta=0.1, half_width=0.05, backend=backend)
    if found.outcome.y is not None:
        assert certify(found.program, found.outcome).holds(1e-5)
        assert found.bound <= found.value * (1 + 1e-5)
        assert found.bound == pytest.approx(found.value, rel=1e-4)
    else:
        assert found.bound is None or found.bound <= found.value
    assert found.value < found.before - 1e-2
    assert found.gap == wardrop(game, found.flows)
    assert found.gap.upper <= found.promised * (1 + 1e-6)
    x = game.aggregator(found.flows)
    assert (np.abs(x - game.aggregator(flows)) <= found.half_width * (1 + 1e-5) + 1e-6).all()
    assert found.is_complete


@pytest.mark.parametrize("name", GAMES)
def test_the_exact_regret_is_at_most_what_the_box_promises(name):
    game = game_of(name)
    flows = equilibrium(game)
    e = np.random.default_rng(3).uniform(0.0, 1.0, game.n_coordinates)
    regret = wardrop(game, flows).upper
    previous = None
    for eta, width in ((regret, 0.0), (0.05, 0.02), (0.2, 0.1)):
        least = select_flows(game, flows, e, eta=max(eta, regret), half_width=width)
        most = select_flows(game, flows, e, eta=max(eta, regret), half_width=width, sense="max")
        for one in (least, most):
            assert certify(one.program, one.outcome).holds(1e-6)
            assert one.gap.upper <= one.promised * (1 + 1e-6) + 1e-6
        slack = 1e-6 * abs(least.before)
        assert least.value <= least.before + slack
        assert most.value >= most.before - slack
        assert least.bound <= least.value + slack
        assert most.bound >= most.value - slack
        if previous is not None:
            assert least.value <= previous + slack
        previous = least.value
    if name == "Pigou":
        assert wardrop(game, flows).upper <= 1e-6


def test_equal_costs_leave_a_real_choice():
    """Three listed actions that cost the same at any flow: the selection moves everybody without any regret."""
    costs = AffineCosts([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])
    game = CongestionGame(costs, ListedActions.of([[[0], [1], [2]]], 3), np.array([6.0]))
    found = select_flows(game, equilibrium(game), np.array([3.0, 1.0, 2.0]), eta=0.0, half_width=np.full(3, 6.0))
    np.testing.assert_allclose(game.aggregator(found.flows), [0.0, 6.0, 0.0], atol=1e-9)
    assert (found.value, found.gap.upper, found.bound) == (pytest.approx(6.0), 0.0, pytest.approx(6.0))
    assert "at least 6 for flows on the 3 paths within 0 of the cheapest at the centre" in str(found)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 1.0, 50.0]), st.booleans())
def test_near_paths_are_those_of_the_enumeration(seed, eta, routed):
    game = random_routed(seed=seed) if routed else random_listed(actions=6, seed=seed)
    cost = np.random.default_rng(seed).uniform(0.0, 1.0, game.n_coordinates)
    near = paths_within(game, cost, eta, most=10_000)
    assert near.complete.all()
    listed = game.actions.listed()
    total = listed.costs(cost)
    floor = np.minimum.reduceat(total, listed.offsets[:-1])[listed.owner]
    inside = np.flatnonzero(total <= floor + eta)
    wanted = sorted((int(listed.owner[k]), tuple(sorted(listed.action(k).tolist()))) for k in inside)
    paths, indptr = near.paths, near.paths.indptr
    got = [
        (int(t), tuple(sorted(paths.resources[a:b].tolist()))) for t, a, b in zip(paths.type_of, indptr, indptr[1:], strict=False)
    ]
    assert sorted(got) == wanted
    own = paths.path_costs(cost)
    same = paths.type_of[1:] == paths.type_of[:-1]
    assert (np.diff(own)[same] >= -1e-12).all()
    assert game.actions.misfit(paths.type_of, indptr, paths.resources) is None
    few = paths_within(game, cost, eta, most=1)
    np.testing.assert_allclose(few.paths.path_costs(cost), game.actions.cheapest(cost).least, rtol=1e-12)
    assert few.complete.tolist() == (np.bincount(paths.type_of, minlength=game.n_types) <= 1).tolist()


def test_a_list_that_is_cut_says_so():
    game = grid_city(3, 4, zones=4, seed=1)
    flows = equilibrium(game, 1e-4)
    found = select_flows(game, flows, np.ones(game.n_coordinates), eta=4.0, half_width=0.3, most_paths=3)
    assert not found.is_complete
    assert "cut short for" in found.scope
    assert np.bincount(found.near.paths.type_of).max() == 3
    whole = select_flows(game, flows, np.ones(game.n_coordinates), eta=4.0, half_width=0.3, most_paths=1000)
    assert whole.is_complete
    assert whole.value <= found.value * (1 + 1e-9)


def test_many_equal_paths_are_listed_up_to_the_limit():
    """A grid whose roads all cost the same has 70 shortest ways from corner to corner of 5 x 5 places, and the list is not lost."""
    game = grid_city(5, 5, zones=25, seed=0)
    far = CongestionGame.from_trips(game.network, game.costs, [(0, 24, 5.0)])
    near = paths_within(far, np.ones(game.n_coordinates), 0.0)
    assert near.complete.all()
    assert near.paths.n_paths == 70
    cut = paths_within(far, np.ones(game.n_coordinates), 30.0, most=60)
    assert not cut.complete.any()
    assert set(cut.paths.path_costs(np.ones(game.n_coordinates))) == {8.0}


def test_zones_are_not_passed_through():
    game = crossing()
    near = paths_within(game, np.ones(7), 10.0)
    assert near.complete.all()
    paths = {tuple(near.paths.resources[a:b].tolist()) for a, b in zip(near.paths.indptr, near.paths.indptr[1:], strict=False)}
    assert paths == {(0, 2), (1, 2), (4,), (5, 2), (3,), (0, 6), (1, 6)}


@pytest.mark.parametrize("name", ["crossing", "routed"])
def test_more_regret_buys_a_better_objective(name):
    game = game_of(name)
    flows = equilibrium(game, 1e-9)
    e = np.random.default_rng(3).uniform(0.0, 1.0, game.n_coordinates)
    values = []
    for regret in (0.02, 0.3):
        found = select_within(game, flows, e, regret)
        assert wardrop(game, found.flows).upper <= regret
        assert certify(found.program, found.outcome).holds(1e-6)
        assert found.bound <= found.value + 1e-6 * abs(found.value)
        values.append(found.value)
    assert values[0] <= found.before
    assert values == sorted(values, reverse=True)
    if name == "crossing":
        assert select_within(game, flows, e, 0.1, sense="max").value >= found.before


def test_the_program_reads_like_the_paper():
    found = select_flows(braess(), equilibrium(braess()), np.ones(5), eta=1.0, half_width=0.1)
    text = str(found.program)
    assert "selection program" in text
    assert "f[type, path]" in text
    assert "load[road]" in text
    assert solve_program(found.program, "scipy").objective == pytest.approx(found.outcome.objective, rel=1e-9)


def test_bad_input_is_refused():
    game = pigou()
    flows = equilibrium(game)
    with pytest.raises(InvalidData, match="eta is -1"):
        select_flows(game, flows, np.ones(2), eta=-1.0, half_width=0.1)
    with pytest.raises(InvalidData, match=r"half_width is -0\.1"):
        select_flows(game, flows, np.ones(2), eta=0.1, half_width=-0.1)
    with pytest.raises(InvalidData, match="objective has shape"):
        select_flows(game, flows, np.ones(3), eta=0.1, half_width=0.1)
    with pytest.raises(InvalidData, match=r"cost of 0-1 is -1"):
        paths_within(game, np.array([-1.0, 1.0]), 0.1)
    with pytest.raises(NoConvexProgram, match="may fall"):
        select_flows(falling(), flows, np.ones(2), eta=0.1, half_width=0.1)
    with pytest.raises(InvalidData, match="regret is 0"):
        select_within(game, flows, np.ones(2), 0.0)
    poor = type(flows)([0, 0], [0, 1, 2], [0, 1], [0.9, 0.1])
    with pytest.raises(NothingReached, match="no answer") as caught:
        select_flows(game, poor, np.ones(2), eta=0.1, half_width=0.1)
    assert "regret" in caught.value.remedy
    with pytest.raises(NothingReached, match="of a regret of 1e-12 or less"):
        select_within(crossing(), equilibrium(crossing(), 1e-2), np.ones(7), 1e-12)
