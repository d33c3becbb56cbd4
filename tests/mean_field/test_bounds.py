"""The theorems: numbers of the notes and by hand, bounds that are true against what they bound, and every hypothesis that fails."""

from __future__ import annotations

from dataclasses import replace
from math import comb, e, log, sqrt

import numpy as np
import pytest

from eqsolve.errors import InvalidData, UnknownName
from eqsolve.mean_field import StochasticReward
from eqsolve.mean_field.bounds import (
    alternations,
    bellman_noise,
    eta,
    eta_exceeds_values,
    first_useful_k,
    global_gap,
    iterations,
    local_samples,
    nash_gap_promised,
    reward_draws,
    reward_noise,
    sampled_global_gap,
    samples_needed,
    stochastic_global_gap,
)
from eqsolve.mean_field.generators import demand_response, warehouse
from tests.mean_field import games, oracle

WAREHOUSE = warehouse()
MANY, LONG = 10**15, 10**6
"""Samples and updates that are enough for everything here."""


def by_hand():
    """G = Z = 3, A_g = A_l = 2, n = 6, gamma = 0.8, r_g from 0 to 1 and r_l from 0 to 0.5."""
    game = games.small_game()
    return replace(game, global_reward=np.eye(3, 2), local_reward=np.tile([0.0, 0.5], (3, 3, 1)))


@pytest.mark.parametrize(("k", "value"), [(1, 74_223), (10, 24_178), (50, 11_012), (1000, 2_538)])
def test_eta_of_the_notes(k, value):
    assert round(eta(WAREHOUSE, k)) == value
    assert eta_exceeds_values(WAREHOUSE, k)
    assert 2 * eta(WAREHOUSE, k) > 14.5 / 0.05


def test_where_eta_bites():
    first = first_useful_k(WAREHOUSE)
    assert first == 337_968
    assert 2 * eta(WAREHOUSE, first) < 290 <= 2 * eta(WAREHOUSE, first - 1)
    still = replace(by_hand(), global_reward=np.zeros((3, 2)), local_reward=np.zeros((3, 3, 2)))
    assert (first_useful_k(still), eta(still, 3), iterations(still, 3)) == (0, 0.0, 1)


def test_numbers_of_samples_and_updates_of_the_notes():
    assert samples_needed(WAREHOUSE, 2, variant="paper") == pytest.approx(2.0e9, rel=0.02)
    assert samples_needed(WAREHOUSE, 10, variant="paper") == pytest.approx(1.0e11, rel=0.05)
    assert [iterations(WAREHOUSE, k) for k in (2, 20)] == [241, 287]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_samples_by_hand(k):
    game, histograms = by_hand(), comb(k + 2, 2)
    factor = 0.64 / 0.2**4
    wanted = {
        ("histograms", "corrected"): k * factor * 1.5**2 / 2 * log(200 * e**k * 6 * histograms),
        ("tuples", "corrected"): k * factor * 1.5**2 / 2 * log(200 * e**k * 6 * 3**k),
        ("histograms", "paper"): 2 * k**2 * factor * 0.25 * log(200 * e**k * 6 * 3 * k**3),
        ("tuples", "paper"): 2 * k**2 * factor * 0.25 * log(200 * e**k * 6 * 3**k),
    }
    for (form, variant), value in wanted.items():
        assert samples_needed(game, k, form, variant) == pytest.approx(value, rel=1e-12)
    enough = samples_needed(game, k)
    assert bellman_noise(game, k, int(enough) + 1, 0.01 * e**-k).value <= 1 / sqrt(k)
    assert bellman_noise(game, k, int(enough) - 1, 0.01 * e**-k).value > 1 / sqrt(k) * (1 - 1e-2)


def sampled_values(game, k, m, rng, draws=0):
    """(G, N, A_g) the fixed point of m samples per entry, drawn once; with draws, of as many rewards too."""
    kernel, reward = oracle.stage(game, k, game.uniform_local())
    rows = kernel.reshape(-1, kernel.shape[3] * kernel.shape[4])
    rows = rows / rows.sum(axis=1, keepdims=True)
    P = rows if m is None else np.array([rng.multinomial(m, row) / m for row in rows])
    r = reward.reshape(-1)
    if draws:
        r = r + rng.choice([-0.5, 0.5], (len(r), draws)).mean(axis=1) + rng.choice([-0.5, 0.5], (len(r), draws)).mean(axis=1)
    q = np.zeros(len(r))
    for _ in range(200):
        q = r + game.gamma * P @ q.reshape(-1, game.n_global_actions).max(axis=1)
    return q


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("m", [1, 5, 40])
def test_the_noise_of_fixed_samples_is_below_its_bound(k, m):
    game, rng = games.small_game(seed=2), np.random.default_rng(m)
    exact = sampled_values(game, k, None, rng)
    promised = bellman_noise(game, k, m).value
    seen = [np.abs(sampled_values(game, k, m, rng) - exact).max() for _ in range(5)]
    assert 0 < max(seen) <= promised


def test_the_noise_of_averaged_rewards_is_below_its_bound():
    game, rng = games.noisy(games.small_game(seed=2)), np.random.default_rng(0)
    exact = sampled_values(game, 2, None, rng)
    for draws in (1, 20):
        seen = [np.abs(sampled_values(game, 2, None, rng, draws) - exact).max() for _ in range(5)]
        assert 0 < max(seen) <= reward_noise(game, 2, draws).value
    assert reward_noise(games.small_game(), 2, 1).value == 0.0


def test_the_printed_noise_needs_a_game_without_global_reward():
    assert bellman_noise(WAREHOUSE, 2, 30, variant="paper").failed == ("the global reward is left out, and it is not 0 here",)
    game = replace(by_hand(), global_reward=np.zeros((3, 2)))
    printed = bellman_noise(game, 2, 30, 0.1, variant="paper").value
    assert printed == pytest.approx(0.8 * 0.5 / 0.04 * sqrt(2 * log(2 * 6 * 3 * 2**3 / 0.1) / 30))
    assert bellman_noise(game, 2, 30, 0.1).value < printed


def test_gaps_by_hand():
    game, k = by_hand(), 4
    scale = 2 * 1.5 / 0.04
    printed = global_gap(game, k, noise=0.1, steps=LONG)
    assert printed.value == pytest.approx(0.2 / 0.2 + scale / 4 + scale * sqrt(log(2 * 4 * 3 * 2) / 8))
    root = sqrt((6 - 4 + 1) / (2 * 6 * 4) * log(2 * 3 * 2 * 2))
    appendix = global_gap(game, k, noise=0.1, steps=LONG, variant="appendix")
    assert appendix.value == pytest.approx(1.0 + scale * (root + 0.5))
    assert sampled_global_gap(game, k, MANY, steps=LONG).value == pytest.approx(scale * (root + 0.5) + 4 / (2 * 0.2))
    wanted = scale * (sqrt(log(2 * 3 * 2 * 2) / 8) + 5 / 2)
    assert eta(game, k) == pytest.approx(wanted)
    assert nash_gap_promised(game, k, MANY, steps=LONG, local_error=0.5).value == pytest.approx(2 * wanted)
    stochastic = stochastic_global_gap(game, k, 1, noise=0.1, steps=LONG)
    assert stochastic.value == pytest.approx(printed.value + 2 / sqrt(800) / 0.2)


def test_samples_of_the_local_step_by_hand():
    game = by_hand()
    common = log(100) * 9 * 2
    bound = local_samples(game, 2)
    assert bound.terms == pytest.approx({"histograms": 2 * common * 3**5 * 2**6 / 0.04, "tuples": 2 * common * 2**5 * 3**2 / 0.008})
    assert bound.value == min(bound.terms.values())
    assert local_samples(game, 2, eps=1.0, failure=0.1).terms["tuples"] == pytest.approx(log(10) * 18 * 32 * 9 / 0.008)
    assert local_samples(WAREHOUSE, 10_000).failed[0] == "k = 10,000 exceeds n = 1,000"
    assert "range from 0.366667 to 10.5" in local_samples(WAREHOUSE, 2).failed[0]


def test_draws_of_rewards_by_hand():
    game = games.noisy(games.small_game())
    width = game.global_noise.width + game.local_noise.width
    assert reward_draws(game, 4) == pytest.approx(400 * width**2 * log(400))
    assert reward_draws(game, 4, "paper") == pytest.approx(10 * width * sqrt(2) * sqrt(log(400)))
    assert reward_draws(games.small_game(), 4) == 0.0
    # With so many, Hoeffding's inequality gives what the lemma claims for one entry; with the printed number it does not.
    for variant, holds in (("corrected", True), ("paper", False)):
        draws = reward_draws(game, 4, variant)
        failure = 2 * np.exp(-2 * draws / 800 / width**2)
        assert bool(failure <= 1 / 200 + 1e-12) is holds


def test_numbers_of_alternations():
    game = by_hand()
    assert alternations(game, 2, 0.5) == 7.5 // 0.5 + 1
    assert alternations(game, 2, variant="paper") == pytest.approx(1.5 / (eta(game, 2) * 0.2))
    quiet = replace(game, gamma=0.01, n=10**7)
    few = alternations(quiet, 10**6, variant="paper")
    assert few == pytest.approx(1.5 / (eta(quiet, 10**6) * 0.99))
    with pytest.raises(InvalidData, match="tolerance is left out"):
        alternations(game, 2)


def failing():
    """Every hypothesis, by what is changed in a call that has a bound."""
    fine, negative = by_hand(), demand_response(10)
    return {
        "k = 7 exceeds n = 6": (fine, 7, {}),
        "rewards can be negative (Assumption 2.2)": (negative, 2, {}),
        "the number T of Bellman updates is not known": (fine, 2, {"steps": None}),
        "5 Bellman updates are fewer than T = 24": (fine, 2, {"steps": 5}),
    }


@pytest.mark.parametrize("reason", failing())
def test_hypotheses_that_fail(reason):
    game, k, changed = failing()[reason]
    steps = changed.get("steps", LONG)
    for bound in (
        global_gap(game, k, noise=0.0, steps=steps),
        global_gap(game, k, noise=0.0, steps=steps, variant="appendix"),
        sampled_global_gap(game, k, MANY, steps=steps),
        nash_gap_promised(game, k, MANY, steps=steps, local_error=0.0),
        stochastic_global_gap(game, k, MANY, noise=0.0, steps=steps),
    ):
        assert bound.value is None
        assert bound.failed == (reason,)


def test_hypotheses_of_one_theorem():
    game = by_hand()
    noise = global_gap(game, 2, steps=LONG)
    assert noise.failed == ("the Bellman noise is not known: neither m nor an exact solution is given",)
    for call in (sampled_global_gap, nash_gap_promised):
        more = {"local_error": 0.0} if call is nash_gap_promised else {}
        assert call(game, 2, None, steps=LONG, **more).failed == ("the number m of samples is not known",)
        assert call(game, 2, 30, steps=LONG, **more).failed[0].startswith("m = 30 samples are fewer than")
    assert nash_gap_promised(game, 2, MANY, steps=LONG).failed == ("the error of the local best responses is not known",)
    assert "more than eta" in nash_gap_promised(game, 2, MANY, steps=LONG, local_error=1e6).failed[0]
    small = replace(game, gamma=0.05)
    assert (
        nash_gap_promised(small, 6, MANY, steps=LONG, rounds=0, local_error=0.0)
        .failed[0]
        .startswith("0 rounds are fewer than N_steps")
    )
    assert nash_gap_promised(small, 6, MANY, steps=LONG, rounds=1, local_error=0.0).value > 0
    loud = games.noisy(game, 0.0)
    loud = replace(loud, global_noise=StochasticReward(loud.global_noise.values, loud.global_noise.probabilities, 0.0, 3.0))
    assert "not known" in stochastic_global_gap(loud, 2, None, noise=0.0, steps=LONG).failed[0]
    assert stochastic_global_gap(loud, 2, 5, noise=0.0, steps=LONG).failed[0].startswith("5 rewards are averaged, fewer than Xi")


def test_no_theorem_says_anything_about_the_warehouse():
    found = (
        global_gap(WAREHOUSE, 10, noise=0.0, steps=LONG),
        global_gap(WAREHOUSE, 10, noise=0.0, steps=LONG, variant="appendix"),
        sampled_global_gap(WAREHOUSE, 10, MANY, steps=LONG),
        nash_gap_promised(WAREHOUSE, 10, MANY, steps=LONG, local_error=0.0),
    )
    assert all(one.value > WAREHOUSE.value_span for one in found)


@pytest.mark.parametrize(
    "call",
    [
        lambda: eta(WAREHOUSE, 0),
        lambda: bellman_noise(WAREHOUSE, 2, 0),
        lambda: bellman_noise(WAREHOUSE, 2, 3, 1.0),
        lambda: global_gap(WAREHOUSE, 2, noise=-1.0, steps=3),
        lambda: local_samples(WAREHOUSE, 2, eps=2.0),
        lambda: local_samples(WAREHOUSE, 2, failure=0.0),
        lambda: alternations(WAREHOUSE, 2, 0.0),
        lambda: reward_noise(WAREHOUSE, 2, 0),
    ],
)
def test_numbers_out_of_range(call):
    with pytest.raises(InvalidData):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: samples_needed(WAREHOUSE, 2, variant="literal"),
        lambda: samples_needed(WAREHOUSE, 2, "tuple"),
        lambda: bellman_noise(WAREHOUSE, 2, 3, variant="printed"),
        lambda: global_gap(WAREHOUSE, 2, noise=0.0, variant="corrected"),
        lambda: alternations(WAREHOUSE, 2, variant="printed"),
        lambda: reward_draws(WAREHOUSE, 2, "printed"),
    ],
)
def test_unknown_names(call):
    with pytest.raises(UnknownName):
        call()
