"""The standard instances: the same everywhere, of the size asked for, and what their documentation says."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative.generators import congestion
from eqsolve.aggregative.markov import AggreBI, congestion_markov, ev_charging_markov, market_markov, random_markov
from eqsolve.aggregative.markov.generators import GENERATORS
from eqsolve.driver.pack import fingerprint
from eqsolve.errors import InvalidGame

SMALL = {
    "congestion_markov": {"players": 12, "wear": 3, "horizon": 2},
    "ev_charging_markov": {"vehicles": 12, "states": 3, "horizon": 2},
    "market_markov": {"players": 12, "states": 3, "horizon": 2},
    "random_markov": {"players": 12, "states": 3, "horizon": 2},
}


@pytest.mark.parametrize("types", [None, 2])
@pytest.mark.parametrize("name", SMALL)
def test_one_seed_one_game_which_can_be_solved(name, types):
    make, sizes = GENERATORS[name], SMALL[name]
    game, again, other = make(**sizes, types=types, seed=1), make(**sizes, types=types, seed=1), make(**sizes, types=types, seed=2)
    assert fingerprint(game) == fingerprint(again) != fingerprint(other)
    assert (game.n_players, game.n_states, game.horizon) == (12, 3, 2)
    assert game.merged().n_types <= (types or 12)
    assert game.lipschitz_is_computed
    result = AggreBI(cells=4).solve(game)
    assert result.is_converged
    assert result.gap.upper <= result.bounds[0].value


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_generator_makes_a_game_by_default_parameters_of_its_own(name):
    assert GENERATORS[name](**({"players": 5} if "players" in GENERATORS[name].__code__.co_varnames else {})).n_states >= 1


def test_a_new_road_is_that_of_congestion_and_wear_slows_it_down():
    base, game = congestion(10, 3, None, 4), congestion_markov(10, 3, 4, 2, seed=4)
    x = np.random.default_rng(0).random((6, 3))
    new = game.reward(0, 0).batch(x)
    assert new == pytest.approx(base.payoff.batch(x), abs=1e-12)
    on_first, taste = np.arange(30) % 3 == 0, new
    for level in range(1, 4):
        worn = game.reward(1, level).batch(x)
        assert worn[:, ~on_first] == pytest.approx(new[:, ~on_first], abs=1e-12)
        slower = new[:, on_first] - worn[:, on_first]
        assert (slower > 0).all()
        # A fifth of the whole travel time per level: twice as worn, twice as much slower.
        assert slower == pytest.approx(level * (taste[:, on_first] - game.reward(0, 1).batch(x)[:, on_first]), abs=1e-11)
    free = [game.reward(0, level).batch(np.zeros((1, 3)))[0, 0] for level in (0, 1)]
    full = [game.reward(0, level).batch(np.ones((1, 3)))[0, 0] for level in (0, 1)]
    assert (free[0] - full[0]) * 1.2 == pytest.approx(free[1] - full[1])


def test_a_road_wears_with_its_load_and_is_mended_otherwise():
    game = congestion_markov(10, 2, 3, 2)
    for s, worse, better in ((0, 1, 0), (1, 2, 0), (2, 2, 1)):
        p = game.transition.at(0, s, np.array([0.3, 0.7]))
        expected = np.zeros(3)
        expected[worse] += 0.3
        expected[better] += 0.7
        assert p == pytest.approx(expected)
    assert game.initial.tolist() == [1.0, 0.0, 0.0]


def test_heat_makes_charging_dearer_and_load_makes_heat():
    game = ev_charging_markov(10, 3, 3, 2, seed=2)
    x = np.full((1, 3), 0.4)
    cool, warm, hot = (game.reward(0, s).batch(x)[0] for s in range(3))
    assert hot - cool == pytest.approx(2 * (warm - cool), abs=1e-12)
    assert (warm <= cool + 1e-12).all()
    level = np.arange(3)
    idle, busy = (game.transition.at(0, 1, load) @ level for load in (np.zeros(3), np.full(3, 0.5)))
    assert busy > idle == pytest.approx(1.0)


def test_a_flooded_market_pays_less_and_falls():
    game = market_markov(10, 3, 3, 2, seed=2)
    quantity = 10 * game.contribution[0, :, 0]
    x = np.array([[0.25]])
    weak, middle, strong = (game.reward(0, s).batch(x)[0] for s in range(3))
    sold = strong - weak
    assert strong - middle == pytest.approx(middle - weak, abs=1e-12)
    assert (sold[quantity == 0.0] == 0.0).all()
    assert (sold[quantity > 0.0] > 0.0).all()
    assert game.transition.at(0, 1, x[0]) == pytest.approx([0.25, 0.0, 0.75])
    assert game.initial.tolist() == [0.0, 0.0, 1.0]
    assert market_markov(5, 2, 1, 1).transition.at(0, 0, np.array([0.3])).tolist() == [1.0]


@pytest.mark.parametrize("steepness", [0.0, 0.2, 0.7])
def test_random_transitions_are_as_steep_as_asked(steepness):
    game = random_markov(8, 2, 2, 3, 2, gamma=0.3, gamma_transition=steepness, seed=3)
    assert game.gamma_transition == pytest.approx(np.full((2, 3), steepness))
    assert game.gamma_rewards.max() == pytest.approx(0.3)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("parameter", "value"), [("horizon", 0), ("horizon", 1.5), ("seed", -1), ("types", 0), ("first", 0), ("states", 0)]
)
def test_sizes_out_of_range_are_named(name, parameter, value):
    names = list(SMALL[name])
    key = {"first": names[0], "states": names[1]}.get(parameter, parameter)
    with pytest.raises(InvalidGame, match=rf"{key.rstrip('s')}\w* (is|has) "):
        GENERATORS[name](**{**SMALL[name], key: value})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"gamma_transition": -0.1}, "gamma_transition is -0.1"),
        ({"gamma": -1.0}, "gamma is -1"),
        ({"dimension": 0}, "dimension is 0"),
        ({"actions": 0}, "actions is 0"),
    ],
)
def test_random_parameters_are_checked(parameters, message):
    with pytest.raises(InvalidGame, match=message):
        random_markov(4, **parameters)
