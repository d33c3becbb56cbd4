"""Policies under subsampling, and every way in which one does not fit a game."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.driver.pack import from_bytes, to_bytes
from eqsolve.mean_field import InvalidPolicy, SubsampledPolicy, uniform_policy
from eqsolve.mean_field.histograms import size
from tests.mean_field import games

LOCAL = np.full((2, 3, 2), 0.5)


def rows(k=2, A=2):
    return np.full((2, size(k, 3), A), 1 / A)


def changed(array, at, value):
    array = array.copy()
    array[at] = value
    return array


@pytest.mark.parametrize("shape", games.SHAPES)
@pytest.mark.parametrize("deterministic", [False, True])
def test_rows_of_both_forms(shape, deterministic):
    game = games.small_game(shape)
    policy = games.random_policy(np.random.default_rng(2), game, 2, deterministic=deterministic)
    policy.check(game)
    found = policy.global_rows(game.n_global_actions)
    assert policy.is_deterministic is deterministic
    assert found.sum(axis=-1) == pytest.approx(np.ones(found.shape[:2]))
    if deterministic:
        assert found.argmax(axis=-1).tolist() == policy.global_policy.tolist()
        again = SubsampledPolicy(2, found, policy.local_policy)
        assert again.global_rows(game.n_global_actions).tolist() == found.tolist()


@pytest.mark.parametrize("shape", games.SHAPES)
def test_uniform_policies(shape):
    game = games.small_game(shape)
    policy = uniform_policy(game, 3)
    policy.check(game)
    assert ((policy.global_policy > 0) == game.global_available[:, None, :]).all()
    assert policy.local_policy.tolist() == game.uniform_local().tolist()
    for k in (0, 7):
        with pytest.raises(InvalidPolicy, match=f"k is {k}"):
            uniform_policy(game, k)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ((0, rows(), LOCAL), "k is 0, less than 1"),
        ((1.5, rows(), LOCAL), "not a whole number"),
        ((2, rows(3), LOCAL), "global_policy has shape 2 x 10 x 2, expected 2 x 6 x any"),
        ((2, rows()[:1], LOCAL), "global_policy has shape"),
        ((2, rows()[0, 0], LOCAL), "global_policy has shape"),
        ((2, [[0, 1], [0]], LOCAL), "global_policy is not an array of numbers"),
        ((2, None, LOCAL), "global_policy"),
        ((2, changed(rows(), (1, 4), 0.0), LOCAL), "global_policy\\[1, 4\\] is empty"),
        ((2, changed(rows(), (0, 3, 1), 0.4), LOCAL), "global_policy\\[0, 3\\] sums to 0.9"),
        ((2, changed(rows(), (0, 3), [1.5, -0.5]), LOCAL), "global_policy\\[0, 3, 1\\] is -0.5"),
        ((2, np.full((2, 6), -1), LOCAL), "global_policy\\[0, 0\\] is -1"),
        ((2, np.full((2, 6), 0.5), LOCAL), "not a whole number"),
        ((2, rows(), changed(LOCAL, (1, 2), 0.0)), "local_policy\\[1, 2\\] is empty"),
        ((2, rows(), LOCAL[0]), "local_policy has shape"),
        ((2, rows(), np.ones((2, 0, 2))), "nothing to play"),
        ((2, rows(), LOCAL, np.zeros((2, 5))), "hint has shape"),
    ],
)
def test_refused(given, match):
    with pytest.raises(InvalidPolicy, match=match):
        SubsampledPolicy(*given)


def test_policies_of_other_games():
    game = games.small_game("many local actions", n=2)  # G = 2, Z = 3, A_g = 2, A_l = 3
    local = game.uniform_local()
    SubsampledPolicy(2, rows(), local).check(game)
    other = {
        "2 and 3 global and local states, and the game has 3 and 3": (SubsampledPolicy(2, rows(), local), games.small_game()),
        "k = 2 local agents, and there are 1": (SubsampledPolicy(2, rows(), local), game.with_n(1)),
        "local_policy has shape": (SubsampledPolicy(2, rows(), LOCAL), game),
        "for 3 global actions, and the game has 2": (SubsampledPolicy(2, rows(A=3), local), game),
        "global_policy\\[0, 5\\] is 2, and there are 2": (
            SubsampledPolicy(2, changed(np.ones((2, 6), int), (0, 5), 2), local),
            game,
        ),
    }
    for match, (policy, wrong) in other.items():
        with pytest.raises(InvalidPolicy, match=match):
            policy.check(wrong)


def test_actions_that_are_not_available():
    game = games.small_game("ragged", seed=1)
    g, a = (int(one) for one in np.argwhere(~game.global_available)[0])
    fine = np.tile(game.global_available.argmax(axis=1)[:, None], (1, size(2, 3)))
    SubsampledPolicy(2, fine, game.uniform_local()).check(game)
    wrong = changed(fine, (g, 3), a)
    for given in (wrong, np.eye(game.n_global_actions)[wrong]):
        with pytest.raises(InvalidPolicy, match=f"global_policy\\[{g}, 3\\] plays an action that global state {g} does not have"):
            SubsampledPolicy(2, given, game.uniform_local()).check(game)
    z, b = (int(one) for one in np.argwhere(~game.local_available)[0])
    local = changed(game.uniform_local(), (0, z), np.eye(3)[b])
    with pytest.raises(InvalidPolicy, match=f"local_policy\\[0, {z}, {b}\\] is 1"):
        SubsampledPolicy(2, fine, local).check(game)


def test_small_integers_are_kept_and_copied():
    given = np.zeros((2, 6), dtype=np.int16)
    policy = SubsampledPolicy(2, given, LOCAL)
    given[0, 0] = 1
    assert policy.global_policy.dtype == np.int16
    assert policy.global_policy[0, 0] == 0
    assert not policy.global_policy.flags.writeable
    assert SubsampledPolicy(2, np.zeros((2, 6)), LOCAL).is_deterministic


@pytest.mark.parametrize("hint", [None, np.linspace(0, 1, 12).reshape(2, 6)])
@pytest.mark.parametrize("form", [rows(), np.zeros((2, 6), dtype=np.int16)])
def test_policies_survive_files(form, hint):
    policy = SubsampledPolicy(2, form, LOCAL, hint)
    back = from_bytes(to_bytes(policy), "policy")
    assert to_bytes(back) == to_bytes(policy)
    assert back.global_policy.dtype == form.dtype
