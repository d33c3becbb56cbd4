"""The standard games: what they hold, that one seed gives one game, and every parameter that is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from eqsolve.aggregative import GENERATORS, congestion, ev_charging, market, random_affine
from eqsolve.errors import InvalidGame

SIZES = {
    "congestion": {"players": 1, "roads": 2, "power": 1},
    "random_affine": {"players": 1, "actions": 1, "dimension": 1},
    "market": {"players": 1, "quantities": 2},
    "ev_charging": {"vehicles": 1, "hours": 2},
}
"""The whole numbers that each generator takes, with the least of each."""
EVERY_SIZE = [(name, size) for name, sizes in SIZES.items() for size in sizes]
NOT_WHOLE = {"text": "3", "nothing": None, "NaN": float("nan"), "infinite": np.inf, "fraction": 2.5, "truth": True, "list": {}}


@pytest.mark.parametrize(("name", "size"), EVERY_SIZE)
@pytest.mark.parametrize("case", NOT_WHOLE)
def test_sizes_are_whole_numbers(name, size, case):
    value = NOT_WHOLE[case]
    with pytest.raises(InvalidGame, match=re.escape(f"{size} is {value!r}, not a whole number")):
        GENERATORS[name](**{size: value})


@pytest.mark.parametrize(("name", "size"), EVERY_SIZE)
def test_sizes_have_a_least_value_in_the_users_terms(name, size):
    least = SIZES[name][size]
    with pytest.raises(InvalidGame, match=rf"^{size} is {least - 1}, less than {least}\n  Give a whole number of at least {least}"):
        GENERATORS[name](**{size: least - 1})
    if size != "players" and size != "vehicles":
        assert GENERATORS[name](**{size: least}).n_players > 1


@pytest.mark.parametrize("name", SIZES)
def test_the_smallest_game_of_each_kind(name):
    assert GENERATORS[name](**SIZES[name]).n_players == 1


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("seed", [-1, 0.5, "0", None, True])
def test_seeds_are_whole_and_not_negative(name, seed):
    with pytest.raises(InvalidGame, match=re.escape(f"seed is {seed!r}, {'less than 0' if seed == -1 else 'not a whole number'}")):
        GENERATORS[name](seed=seed)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize(
    ("types", "message"),
    [
        (0, "types is 0, less than 1"),
        (-1, "types is -1, less than 1"),
        (True, "types is True, not a whole number"),
        (1.5, "types is 1.5, not a whole number"),
        (11, "types is 11, more than the 10 "),
        (10**12, "types is 1000000000000, more than the 10 "),
    ],
)
def test_types_are_checked_before_anything_is_drawn(monkeypatch, name, types, message):
    monkeypatch.setattr(np.random, "default_rng", lambda seed: pytest.fail("drawn"))
    many = "vehicles" if name == "ev_charging" else "players"
    with pytest.raises(InvalidGame, match=re.escape(message)):
        GENERATORS[name](**{many: 10, "types": types})


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        ((3, 1), "actions is (3, 1): the least is above the most"),
        ((0, 2), "actions[0] is 0, less than 1"),
        ((1, 2.5), "actions[1] is 2.5, not a whole number"),
        ((1, 2, 3), "actions has 3 entries"),
        ((), "actions has 0 entries"),
        ("12", "actions is '12', not a whole number"),
    ],
)
def test_ranges_of_actions(actions, message):
    with pytest.raises(InvalidGame, match=re.escape(message)):
        random_affine(10, actions)


@pytest.mark.parametrize("gamma", [-1.0, "0.5", None, np.nan, np.inf, True])
def test_gamma_is_a_number_of_at_least_0(gamma):
    with pytest.raises(InvalidGame, match="gamma is"):
        random_affine(10, gamma=gamma)


def test_a_power_that_overflows_is_named():
    with pytest.raises(InvalidGame, match="power is 5000: travel times exceed the largest float"):
        congestion(10, power=5000)


def test_numbers_of_numpy_and_whole_floats_are_whole_numbers():
    plain = random_affine(10, 2, 2, gamma=1.0, types=3, seed=4)
    typed = random_affine(np.int32(10), np.int64(2), 2.0, np.float32(1.0), np.array(3), np.uint8(4))
    for one, other in (
        (plain, typed),
        (random_affine(10, (1, 3)), random_affine(10, np.array([1, 3]))),
        (random_affine(10, 3), random_affine(10, [3, 3])),
    ):
        assert one.payoff.signature().tobytes() == other.payoff.signature().tobytes()
        assert one.contribution.tobytes() == other.contribution.tobytes()
        assert one.n_actions.tolist() == other.n_actions.tolist()


@pytest.mark.parametrize("name", SIZES)
def test_one_seed_one_game(name):
    first, same, other = (GENERATORS[name](seed=seed) for seed in (1, 1, 2))
    assert first.payoff.signature().tobytes() == same.payoff.signature().tobytes() != other.payoff.signature().tobytes()
    assert first.weights.tobytes() == same.weights.tobytes()


@pytest.mark.parametrize("types", [1, 3, 7, 10])
def test_players_are_spread_evenly_over_the_types(types):
    counts = congestion(10, types=types).players
    assert counts.sum() == 10
    assert counts.max() - counts.min() <= 1


def test_travel_times_are_those_of_the_bureau_of_public_roads():
    """t (1 + 0.15 (x / c)^4): at 0 the free-flow time; the loss above it grows with the fourth power of the load."""
    payoff = congestion(10, 2, seed=3).payoff
    empty, half, full = payoff.batch(np.array([[0.0, 0.0], [0.4, 0.4], [0.8, 0.8]]))
    assert (half < empty).all()
    assert (full - empty) / (half - empty) == pytest.approx(np.full(20, 16.0))


def test_firms_sell_at_a_price_that_falls_with_the_mean_quantity():
    game = market(6, 3, seed=1)
    quantity = game.contribution[:, 0] * 6
    low, high = game.payoff.batch(np.array([[0.0], [0.5]]))
    assert low - high == pytest.approx(quantity * 0.5)
    assert set(np.round(quantity, 12)) <= {0.0, 0.5, 1.0}
    assert low[game.offsets[:-1]] == pytest.approx(np.zeros(6))


def test_vehicles_charge_in_consecutive_hours_and_pay_for_their_own_hour():
    game = ev_charging(30, 4, seed=2)
    hour = np.argmax(game.contribution, axis=1)
    steps = np.diff(hour)[np.diff(game.owner) == 0]
    assert (steps == 1).all()
    base = game.payoff.batch(np.zeros((1, 4)))[0]
    for k in range(4):
        loaded = game.payoff.batch(np.eye(4)[[k]])[0]
        assert ((loaded < base) == (hour == k)).all()


def test_affine_constants_reach_gamma():
    assert random_affine(50, 3, 2, gamma=0.7).gamma_columns.max() == pytest.approx(0.7)
    assert random_affine(50, 3, 2, gamma=0.0).gamma_columns.max() == 0.0
