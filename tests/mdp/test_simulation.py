"""Episodes: legal, reproducible, with the right frequencies, and an interval that holds the exact value."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.mdp.certificate import value_bracket
from eqsolve.mdp.generators import grid_world, random_mdp
from eqsolve.mdp.model import FiniteMDP, InvalidMDP
from eqsolve.mdp.simulation import estimate_value, simulate


def policy_of(mdp, seed=0):
    draw = np.random.default_rng(seed).exponential(size=mdp.policy_shape())
    draw[..., mdp.first[:-1][mdp.n_actions > 1]] = 0.0
    return draw / np.add.reduceat(draw, mdp.first[:-1], axis=-1)[..., mdp.owner]


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("horizon", [None, 4])
def test_every_step_is_possible(dense, horizon):
    mdp = random_mdp(8, 3, 2, None if horizon else 0.9, seed=1, ragged=True, dense=dense, horizon=horizon, stationary=False)
    mdp = mdp.with_initial([0.5, 0, 0, 0.5, 0, 0, 0, 0])
    policy = policy_of(mdp)
    played = simulate(mdp, policy, 2000, 4, rng=0)
    assert played.states.shape == (2000, 5)
    assert set(played.states[:, 0]) == {0, 3}
    for h in range(4):
        pairs = played.pairs[:, h]
        kernel = mdp.kernel(h).toarray() if mdp.is_sparse else mdp.kernel(h)
        assert (mdp.owner[pairs] == played.states[:, h]).all()
        assert (kernel[pairs, played.states[:, h + 1]] > 0).all()
        assert ((policy if horizon is None else policy[h])[pairs] > 0).all()
        assert (played.rewards[:, h] == mdp.reward_at(h)[pairs]).all()


def test_frequencies_are_those_of_the_process():
    mdp = FiniteMDP([2, 1], [[0.25, 0.75], [1, 0], [0.5, 0.5]], [0, 0, 0], 0.9, initial=[0.3, 0.7])
    played = simulate(mdp, [0.9, 0.1, 1.0], 200_000, 1, rng=3)
    first, pair, after = played.states[:, 0], played.pairs[:, 0], played.states[:, 1]
    for seen, chance in (
        ((first == 0).mean(), 0.3),
        ((pair[first == 0] == 0).mean(), 0.9),
        ((after[pair == 0] == 1).mean(), 0.75),
        ((after[pair == 2] == 1).mean(), 0.5),
    ):
        assert seen == pytest.approx(chance, abs=0.01)


def test_the_same_seed_gives_the_same_episodes():
    mdp = grid_world(5, 5)
    one, two, other = (simulate(mdp, mdp.uniform_policy(), 50, 20, rng=seed) for seed in (1, np.random.default_rng(1), 2))
    assert (one.states == two.states).all()
    assert (one.states != other.states).any()
    with pytest.raises(ValueError, match="read-only"):
        one.states[0, 0] = 1


@pytest.mark.parametrize(
    "mdp",
    [
        random_mdp(6, 3, 3, 0.8, seed=1),
        random_mdp(6, 3, 3, None, seed=2, horizon=5, stationary=False),
        FiniteMDP([1, 1], np.full((2, 2), 0.5), [0, 0], horizon=1, terminal=[0.0, 4.0]),
    ],
    ids=repr,
)
def test_the_interval_holds_the_value_about_as_often_as_it_says(mdp):
    policy = policy_of(mdp)
    true = value_bracket(mdp, policy).value_lower
    steps = 60 if mdp.horizon is None else None
    found = [estimate_value(mdp, simulate(mdp, policy, 400, steps, rng=seed), confidence=0.9) for seed in range(150)]
    assert 0.8 <= np.mean([one.lower <= true <= one.upper for one in found]) <= 0.99
    assert np.mean([one.mean for one in found]) == pytest.approx(true, abs=0.03 * (1 + abs(true)))


def test_steps_left_out_are_paid_for():
    mdp = FiniteMDP([1, 1], [[1, 0], [0, 1]], [1.0, -1.0], 0.9, initial=0)
    short = estimate_value(mdp, simulate(mdp, [1, 1], 10, 5, rng=0))
    assert short.truncation == pytest.approx(0.9**5 / 0.1)
    assert short.lower <= 10.0 <= short.upper + 1e-12
    assert short.error == 0.0


def test_probabilities_at_the_edge_of_rounding():
    tiny = np.array([1e-300, 1.0 - 1e-9, 0.0, 1e-9])
    mdp = FiniteMDP(np.ones(4), np.tile(tiny, (4, 1)), np.zeros(4), 0.5, initial=1)
    played = simulate(mdp, np.ones(4), 10_000, 5, rng=0)
    assert set(np.unique(played.states)) <= {0, 1, 3}


PLAIN = FiniteMDP([1], [[1.0]], [1.0], 0.5)
STEPS = FiniteMDP([1], [[1.0]], [1.0], horizon=3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: simulate(PLAIN, [1], 5, rng=0), "there is no horizon"),
        (lambda: simulate(PLAIN, [1], 0, 5, rng=0), "episodes is 0"),
        (lambda: simulate(PLAIN, [1], 5, 0, rng=0), "steps is 0"),
        (lambda: simulate(PLAIN, [0.5], 5, 1, rng=0), "sums to 0.5"),
        (lambda: simulate(STEPS, [1], 5, 4, rng=0), "steps is 4, more than 3"),
        (lambda: estimate_value(PLAIN, simulate(PLAIN, [1], 1, 5, rng=0)), "one episode only"),
        (lambda: estimate_value(PLAIN, simulate(PLAIN, [1], 5, 5, rng=0), confidence=1.0), "confidence is 1"),
        (lambda: estimate_value(STEPS, simulate(STEPS, [1], 5, 2, rng=0)), "episodes have 2 steps"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(InvalidMDP, match=words):
        make()
