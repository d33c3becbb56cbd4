"""Games of one global and many local agents: what they hold, and every way to get one wrong."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from eqsolve import mean_field
from eqsolve.driver.pack import from_bytes, to_bytes
from eqsolve.errors import InvalidData, InvalidGame
from eqsolve.mean_field import GlobalLocalGame, InitialLaw, StochasticReward
from eqsolve.mean_field.game import describe
from tests.mean_field import games, oracle


def parts(**changed):
    """A valid game of 2 global and 3 local states, 2 and 2 actions."""
    rng = np.random.default_rng(0)
    given = {
        "global_kernel": rng.dirichlet(np.ones(2), (2, 2)),
        "local_kernel": rng.dirichlet(np.ones(3), (3, 2, 2)),
        "global_reward": rng.random((2, 2)),
        "local_reward": rng.random((3, 2, 2)),
        "n": 5,
        "gamma": 0.9,
    }
    return given | changed


def spoilt(name, at, value):
    array = parts()[name].copy()
    array[at] = value
    return {name: array}


NAN, TWO = float("nan"), np.eye(2)[:, None].repeat(2, 1)
WRONG = {
    "global row sum": (spoilt("global_kernel", (1, 0), [0.5, 0.4]), "global_kernel\\[1, 0\\] sums to 0.9, not 1"),
    "local row sum": (spoilt("local_kernel", (2, 1, 0), [0.5, 0.4, 0.0]), "local_kernel\\[2, 1, 0\\] sums to 0.9, not 1"),
    "empty row": (spoilt("local_kernel", (0, 0, 1), 0.0), "local_kernel\\[0, 0, 1\\] is empty"),
    "negative": (spoilt("global_kernel", (0, 1), [1.5, -0.5]), "global_kernel\\[0, 1, 1\\] is -0.5, a negative probability"),
    "nan kernel": (spoilt("local_kernel", (0, 1, 1, 2), NAN), "local_kernel\\[0, 1, 1, 2\\] is nan"),
    "nan reward": (spoilt("local_reward", (0, 1, 1), NAN), "local_reward\\[0, 1, 1\\] is nan"),
    "infinite reward": (spoilt("global_reward", (0, 1), np.inf), "global_reward\\[0, 1\\] is inf"),
    "not square": ({"global_kernel": np.ones((2, 2, 1))}, "global_kernel has shape"),
    "axes": ({"local_kernel": np.ones((3, 2, 3))}, "local_kernel has shape 3 x 2 x 3, expected any x any x any x any"),
    "other G": ({"local_kernel": np.ones((3, 4, 2, 3)) / 3}, "local_kernel has shape"),
    "no actions": ({"global_kernel": np.ones((2, 0, 2))}, "Both sides need a state and an action"),
    "reward shape": ({"local_reward": np.ones((3, 2, 3))}, "local_reward has shape 3 x 2 x 3, expected 3 x 2 x 2"),
    "gamma 1": ({"gamma": 1.0}, "gamma is 1"),
    "gamma 0": ({"gamma": 0.0}, "gamma is 0"),
    "n 0": ({"n": 0}, "n is 0"),
    "n fraction": ({"n": 2.5}, "not a whole number"),
    "no state has it": ({"local_available": [[1, 1], [0, 0], [1, 1]]}, "local_available\\[1\\] is False throughout"),
    "not a truth value": ({"global_available": [[1, 0.5], [1, 1]]}, "global_available\\[0, 1\\] is 0.5"),
    "mixed types": ({"type_of": [0, 0, 1]}, "from type 0 to type 1"),
    "types with a hole": ({"type_of": [0, 0, 2]}, "Number the types 0, 1, 2"),
    "types too few": ({"type_of": [0, 0]}, "type_of has shape"),
    "labels": ({"local_states": ["a", "b"]}, "local_states has 2 labels, expected 3"),
    "same label": ({"global_actions": ["a", "a"]}, "the label 'a' twice"),
    "one text": ({"local_actions": "ab"}, "not a list of labels"),
    "initial": ({"initial": np.ones(2)}, "not an InitialLaw"),
    "noise": ({"global_noise": np.ones((2, 2, 1))}, "not a StochasticReward"),
    "noise shape": ({"global_noise": StochasticReward.around(np.ones((2, 3)), 1.0)}, "global_noise.values has shape"),
    "other means": ({"global_noise": StochasticReward.around(np.ones((2, 2)), 1.0)}, "the mean of global_noise is 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refused(case):
    changed, match = WRONG[case]
    with pytest.raises(InvalidGame, match=match):
        GlobalLocalGame(**parts(**changed))


@pytest.mark.parametrize("shape", games.SHAPES)
def test_rows_and_payoffs_entry_by_entry(shape):
    game, rng = games.small_game(shape, seed=3), np.random.default_rng(5)
    for deterministic in (False, True):
        policy = games.random_local(rng, game, deterministic=deterministic)
        assert game.local_rows(policy) == pytest.approx(oracle.local_rows(game, policy), abs=1e-15)
        assert game.local_rows(policy).sum(axis=-1) == pytest.approx(np.ones((game.n_global_states, game.n_local_states)))
        G, Z = policy.shape[:2]
        pay = [
            [sum(policy[g, z, a] * game.local_reward[z, g, a] for a in range(policy.shape[2])) for z in range(Z)] for g in range(G)
        ]
        assert game.local_payoff(policy) == pytest.approx(np.array(pay), abs=1e-15)
    uniform = game.uniform_local()
    assert game.check_local(uniform) is not None
    assert ((uniform > 0) == game.local_available).all()


@pytest.mark.parametrize("shape", games.SHAPES)
def test_games_survive_files(shape):
    game = games.noisy(games.small_game(shape))
    back = from_bytes(to_bytes(game), "game")
    assert to_bytes(back) == to_bytes(game)
    assert back.local_kernel.tobytes() == game.local_kernel.tobytes()
    assert back.local_noise.values.tobytes() == game.local_noise.values.tobytes()


def test_what_is_not_available_is_not_looked_at():
    here = np.array([[True, False], [True, True], [False, True]])
    odd = parts(**spoilt("local_kernel", (0, slice(None), 1), 7.0), local_available=here)
    odd["local_reward"] = odd["local_reward"].copy()
    odd["local_reward"][2, :, 0] = 1e6
    odd["global_reward"] = np.array([[1.0, -99.0], [3.0, 2.0]])
    game = GlobalLocalGame(**odd, global_available=[[1, 0], [1, 1]])
    assert game.local_kernel[0, :, 1].tolist() == [[1, 0, 0], [1, 0, 0]]
    assert game.local_reward[2, :, 0].tolist() == [0.0, 0.0]
    assert game.global_reward_range == (1.0, 3.0)
    assert game.local_reward_range[1] <= 1.0
    with pytest.raises(InvalidData, match=r"local_policy\[0, 0, 1\] is 0.5"):
        game.check_local(np.full((2, 3, 2), 0.5))


def test_ranges_and_bounds():
    game = GlobalLocalGame(**parts(global_reward=[[1, -4], [2, 3]], local_reward=np.linspace(-1, 2, 12).reshape(3, 2, 2)))
    assert game.reward_range == (-5.0, 5.0)
    assert game.reward_bound == 6.0
    assert game.value_span == pytest.approx(100.0)
    assert not game.has_positive_rewards
    assert games.shifted(games.small_game(), 0.0).has_positive_rewards
    quiet = games.small_game()
    loud = games.noisy(quiet, 5.0)
    assert quiet.has_positive_rewards
    assert not loud.has_positive_rewards
    assert loud.reward_range == pytest.approx(quiet.reward_range)
    assert loud.reward_bound == pytest.approx(quiet.reward_bound + 10.0, abs=2.0)


def test_rewards_are_the_means_of_their_noise():
    noise = StochasticReward(np.arange(8.0).reshape(2, 2, 2), [0.25, 0.75], 0, 7)
    game = GlobalLocalGame(**parts(global_reward=None, global_noise=noise))
    assert game.global_reward.tolist() == [[0.75, 2.75], [4.75, 6.75]]


def test_left_out():
    game = GlobalLocalGame(**parts())
    assert game.initial.kind == "iid"
    assert game.initial.global_law.tolist() == [0.5, 0.5]
    assert game.initial.local == pytest.approx(np.full(3, 1 / 3))
    assert (game.n_types, game.local_available.all(), game.global_available.all()) == (1, True, True)
    assert (game.global_label(1), game.local_label(2)) == ("1", "local state 2")


def test_other_numbers_of_agents():
    game = games.small_game(n=6)
    many = game.with_n(10**7)
    assert (many.n, many.local_kernel is game.local_kernel) == (10**7, True)
    counted = replace(game, initial=InitialLaw(game.initial.global_law, "counts", [1, 2, 3]))
    with pytest.raises(InvalidGame, match="counts 6 agents, and the game has 7"):
        counted.with_n(7)


def test_the_callers_arrays_are_left_alone():
    given = parts()
    game = GlobalLocalGame(**given)
    given["local_kernel"][:] = 0.0
    given["global_reward"][:] = 9.0
    assert game.local_kernel.sum() == pytest.approx(12.0)
    assert game.global_reward.max() < 1.0
    assert not game.local_kernel.flags.writeable


def test_deterministic_local_policies():
    game = games.small_game("ragged", seed=1)
    G, Z = game.n_global_states, game.n_local_states
    for g, z in product(range(G), range(Z)):
        missing = np.flatnonzero(~game.local_available[z])
        for a in (*missing, 3, -1):
            choice = np.tile(game.local_available.argmax(axis=1), (G, 1))
            choice[g, z] = a
            with pytest.raises(InvalidData, match=f"choice\\[{g}, {z}\\] is {a}"):
                game.deterministic_local(choice)
    assert not game.local_available.all()
    assert game.deterministic_local(np.tile(game.local_available.argmax(axis=1), (G, 1))).sum() == G * Z


def test_in_words():
    assert describe(games.known("warehouse").with_n(1000)) == (
        "1,000 local agents of 5 states and 3 actions, 5 global states and actions, discount 0.95"
    )
    assert describe(games.known("demand_response")) == (
        "30 local agents of 3 types with 8 states and 3 actions, 4 global states and 2 actions, discount 0.9"
    )
    assert repr(games.small_game("one global state", n=1)) == (
        "<GlobalLocalGame 'random mean-field game': 1 local agent of 3 states and 2 actions, "
        "1 global state and 2 actions, discount 0.8>"
    )


def test_every_public_name_is_found():
    for name in mean_field.__all__:
        assert getattr(mean_field, name).__name__ == name
