"""What is promised of rounded flows, against their exact gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.aggregative.congestion_games import AffineCosts, CallableCosts, CongestionGame, ListedActions, PolynomialCosts
from eqsolve.aggregative.congestion_games.bounds import (
    SAMPLED,
    load_reach,
    measured_rounding,
    rounding_exists,
    selection_loss,
    vertex_rounding,
)
from eqsolve.aggregative.congestion_games.certificate import certify, wardrop_gaps
from eqsolve.aggregative.congestion_games.rounding import largest_remainders
from eqsolve.aggregative.congestion_games.vertex_program import vertex_flows
from eqsolve.errors import InvalidData
from tests.aggregative.congestion_games.atomic_games import flows_of, listed_game, random_flows, routed_game


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.booleans())
def test_gap_of_the_rounding_is_within_its_bounds(seed, listed, equal):
    rng = np.random.default_rng(seed)
    game = (listed_game if listed else routed_game)(rng, ("bpr", "affine", "polynomial")[seed % 3], equal=equal)
    flows = vertex_flows(game, random_flows(game, rng, atomic=False))[0]
    whole = largest_remainders(game, flows)
    regret = wardrop_gaps(game, flows).regret
    gap = certify(game, whole).upper
    before, after = vertex_rounding(game, flows, regret), measured_rounding(game, flows, whole, regret)
    assert before.value is not None
    assert after.value is not None
    room = 1e-9 * (1 + after.value)
    assert gap <= after.value + room
    assert after.value <= before.value + room
    assert np.all(np.abs(game.aggregator(whole) - game.aggregator(flows)) <= load_reach(game, flows) + 1e-9)
    g = rng.uniform(0, 3, game.n_coordinates)
    change = abs(g @ game.aggregator(whole) - g @ game.aggregator(flows))
    assert change <= selection_loss(game, flows, g).value + 1e-9


def two_roads(vehicles):
    return CongestionGame(AffineCosts([0.0, 0.0], [1.0, 1.0]), ListedActions.of([[[0], [1]]], 2), [vehicles])


def test_bounds_of_two_roads():
    game = two_roads(3.0)
    flows = flows_of(game, [([0], 1.5), ([1], 1.5)], atomic=False)
    whole = flows_of(game, [([0], 2.0), ([1], 1.0)], atomic=True)
    assert load_reach(game, flows).tolist() == [0.5, 0.5]
    assert vertex_rounding(game, flows, 0.0).value == 1.0
    assert measured_rounding(game, flows, whole, 0.25).value == 1.25
    # R w / 2 = 1 vehicle on each road of slope 1.
    assert rounding_exists(game).value == 2.0
    assert selection_loss(game, flows, [3.0, 1.0]).value == 1.0


def test_resources_of_all_paths_of_a_type_do_not_change():
    game = CongestionGame(AffineCosts([0.0] * 3, [1.0] * 3), ListedActions.of([[[0, 1], [0, 2]]], 3), [3.0])
    flows = flows_of(game, [([0, 1], 1.5), ([0, 2], 1.5)], atomic=False)
    assert load_reach(game, flows).tolist() == [0.0, 0.5, 0.5]


def test_bounds_look_no_further_than_the_whole_demand():
    powers = np.zeros((2, 301))
    powers[:, [0, 300]] = 1.0
    game = CongestionGame(PolynomialCosts(powers), ListedActions.of([[[0], [1]]], 2), [10.0])
    flows = flows_of(game, [([0], 9.75), ([1], 0.25)], atomic=False)
    assert np.isfinite(vertex_rounding(game, flows, 0.0).value)
    # R w / 2 = 1 vehicle on each road, whose slope is at most 300 * 10^299.
    assert rounding_exists(game).value == pytest.approx(6e301, rel=1e-12)


def test_slopes_that_are_known_from_samples_prove_nothing():
    waves = CallableCosts(lambda x: x + np.sin(40 * x) / 50 + 1, lambda x: 1 + 0.8 * np.cos(40 * x), 2)
    game = CongestionGame(waves, ListedActions.of([[[0], [1]]], 2), [3.0])
    assert rounding_exists(game).failed == (SAMPLED,)


def test_failed_hypotheses_are_named():
    rng = np.random.default_rng(2)
    falling = listed_game(rng, "falling")
    flows = random_flows(falling, rng, atomic=False)
    whole = largest_remainders(falling, flows)
    for bound in (rounding_exists(falling), vertex_rounding(falling, flows, 0.0), measured_rounding(falling, flows, whole, 0.0)):
        assert bound.value is None
        assert "a cost falls with its flow" in bound.failed
    one = CongestionGame(AffineCosts([1.0], [1.0]), ListedActions.of([[[0], []]], 1), [4.0])
    paths = [([0], 1.0), ([0], 1.0), ([], 2.0)]
    many = vertex_rounding(one, flows_of(one, paths, atomic=False), 0.0)
    assert many.failed == ("the flows have 2 extra paths in use, a vertex at most R = 1",)
    game = two_roads(2.0)
    moved = measured_rounding(game, flows_of(game, [([0], 2.0)], atomic=False), flows_of(game, [([1], 2.0)], atomic=True), 0.0)
    assert moved.failed == ("1 paths are in use that were not before the rounding",)
    with pytest.raises(InvalidData, match="objective has shape 3"):
        selection_loss(game, flows_of(game, [([0], 2.0)], atomic=False), [1.0, 2.0, 3.0])
