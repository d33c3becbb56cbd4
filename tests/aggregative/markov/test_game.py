"""The game at its door: what it takes, what it refuses, and what it says of itself."""

from __future__ import annotations

import numpy as np
import pytest

from eqsolve.aggregative import AffinePayoffs, CallablePayoffs, CurvePayoffs
from eqsolve.aggregative.markov import AggreBI, AggregativeMarkovGame, CallableTransitions, ConstantTransitions, random_markov
from eqsolve.aggregative.markov.game import describe
from eqsolve.errors import InvalidGame


def game(**changes):
    """Two types over one coordinate, with 2 and 3 actions, 3 states and 2 steps."""
    data = {
        "horizon": 2,
        "n_actions": [2, 3],
        "contribution": np.array([[0.0], [0.5], [0.0], [0.25], [1.0]]),
        "rewards": AffinePayoffs(np.arange(5.0), np.ones((5, 1))),
        "transition": ConstantTransitions(np.eye(3)),
        "initial": [0.5, 0.5, 0.0],
    }
    return AggregativeMarkovGame(**{**data, **changes})


def test_what_it_knows_of_itself():
    one = game(count=[3, 2])
    assert (one.horizon, one.n_states, one.n_types, one.n_players, one.n_columns, one.n_coordinates) == (2, 3, 2, 5, 5, 1)
    assert one.offsets.tolist() == [0, 2, 5]
    assert one.owner.tolist() == [0, 0, 1, 1, 1]
    assert one.player_types.tolist() == [0, 0, 0, 1, 1]
    assert one.column_of(np.array([0, 1, 1, 0, 2])).tolist() == [0, 1, 1, 2, 4]
    assert one.lower.tolist() == [[0.0], [0.0]]
    assert one.upper.tolist() == [[3.5], [3.5]]
    assert one.delta.tolist() == [1.0, 1.0]
    assert one.gamma_rewards.tolist() == np.ones((2, 3)).tolist()
    assert one.gamma_transition.tolist() == np.zeros((2, 3)).tolist()
    assert one.weights.tolist() == np.zeros((2, 3, 5)).tolist()
    assert one.lipschitz_is_computed
    assert repr(one) == (
        "<AggregativeMarkovGame 'aggregative Markov game': 5 players of 2 types, 2 to 3 actions, 1 coordinate, 3 states, 2 steps>"
    )


def test_one_of_everything():
    one = game(
        horizon=1, n_actions=[1], contribution=[[0.5]], rewards=AffinePayoffs([1.0], [[2.0]]), initial=[1.0], transition=_still(1)
    )
    assert describe(one) == "1 players, 1 actions, 1 coordinate, 1 state, 1 step"
    result = AggreBI().solve(one)
    assert result.is_converged
    assert result.gap.upper == 0.0
    assert result.policy.actions.tolist() == [[[0]]]
    assert (one.lower.tolist(), one.upper.tolist(), one.delta.tolist()) == ([[0.5]], [[0.5]], [0.0])


def _still(states):
    return ConstantTransitions(np.eye(states))


def test_data_for_all_steps_or_for_each():
    g = np.arange(10.0).reshape(2, 5, 1)
    one = game(contribution=g, welfare=np.arange(15.0).reshape(3, 5))
    assert one.contribution.tolist() == g.tolist()
    assert one.delta.tolist() == [2.0, 2.0]
    assert (one.lower[:, 0].tolist(), one.upper[:, 0].tolist()) == ([2.0, 12.0], [5.0, 15.0])
    assert one.weights[1].tolist() == np.arange(15.0).reshape(3, 5).tolist()
    families = [AffinePayoffs(np.full(5, k), np.full((5, 1), k)) for k in range(6)]
    by_state, by_both = game(rewards=families[:3]), game(rewards=[families[:3], families[3:]])
    assert by_state.reward(1, 2) is families[2]
    assert by_both.reward(1, 2) is families[5]
    assert by_both.gamma_rewards.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert game(rewards=[[families[4]], [families[5]]]).reward(1, 2) is families[5]


def test_labels():
    one = game(states=["low", "mid", "high"], types=["car", "bus"], actions=["a", "b", "c", "d", "e"])
    assert one.state_label(1) == "state mid"
    assert one.player_label(1) == "player bus"
    assert one.action_label(3) == "d"
    several = game(types=["car", "bus"], count=[1, 2])
    assert several.player_label(2) == "player 2 of type bus"
    assert (several.state_label(0), several.action_label(4)) == ("state 0", "2")


def test_the_stage_game_is_the_rewards_alone():
    families = [[AffinePayoffs(np.full(5, 10.0 * h + s), np.ones((5, 1))) for s in range(3)] for h in range(2)]
    one = game(rewards=families, welfare=np.arange(30.0).reshape(2, 3, 5))
    stage = one.stage_game(1, 2)
    assert stage.payoff is families[1][2]
    assert stage.weights.tolist() == [25.0, 26.0, 27.0, 28.0, 29.0]


def test_equal_types_become_one():
    base, slope = np.tile([0.0, 1.0], 3), np.tile([[0.0], [-1.0]], (3, 1))
    rewards = [[AffinePayoffs(base + h + s, slope) for s in range(2)] for h in range(2)]
    common = {
        "contribution": np.tile([[0.0], [0.1]], (3, 1)),
        "n_actions": [2, 2, 2],
        "transition": _still(2),
        "initial": [0.5, 0.5],
    }
    one = game(rewards=rewards, **common)
    merged = one.merged()
    assert (merged.n_types, merged.n_players, merged.players.tolist()) == (1, 3, [3])
    assert merged.upper == pytest.approx(one.upper)
    assert merged.merged() is merged
    # One step of one state that differs keeps a type apart, and so does a weight or a name.
    other = AffinePayoffs(np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.1]), slope)
    apart = game(rewards=[rewards[0], [rewards[1][0], other]], **common).merged()
    assert apart.players.tolist() == [2, 1]
    assert apart.player_types.tolist() == [0, 0, 1]
    w = np.zeros((2, 2, 6))
    w[1, 1, 2] = 1.0
    assert game(rewards=rewards, welfare=w, **common).merged().player_types.tolist() == [0, 1, 0]
    assert game(rewards=rewards, actions=("a", "b", "a", "b", "a", "c"), **common).merged().players.tolist() == [2, 1]
    g = np.tile([[0.0], [0.1]], (2, 3, 1))
    g[1, 5] = 0.2
    assert game(**{**common, "rewards": rewards, "contribution": g}).merged().players.tolist() == [2, 1]


def test_functions_cannot_be_compared_and_are_not_merged():
    one = game(rewards=CallablePayoffs(lambda c, x: np.zeros(len(c)), 0.0, 5, 1))
    assert one.merged() is one


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon": 0}, "horizon is 0, less than 1"),
        ({"horizon": 1.5}, "horizon is 1.5, not a whole number"),
        ({"initial": []}, "the game has no states"),
        ({"initial": [0.5, 0.4, 0.0]}, "initial sums to 0.9"),
        ({"initial": [1.5, -0.5, 0.0]}, r"initial\[1\] is -0.5"),
        ({"initial": [np.nan, 0.5, 0.5]}, r"initial\[0\] is nan"),
        ({"initial": [[1.0]]}, "initial has shape 1 x 1"),
        ({"n_actions": [2, 3, 0]}, r"n_actions\[2\] is 0: an action set is empty"),
        ({"n_actions": [2, 2]}, "contribution has shape 1 x 5 x 1, expected any x 4 x any"),
        ({"n_actions": []}, "contribution has shape"),
        ({"contribution": np.zeros((5, 0))}, "contribution has no coordinates"),
        ({"contribution": np.zeros((3, 5, 1))}, "contribution has 3 steps; the game has 2"),
        ({"contribution": np.zeros(5)}, "contribution has shape 5, expected any x 5 x any"),
        ({"contribution": np.full((5, 1), np.inf)}, r"contribution\[0, 0, 0\] is inf"),
        ({"rewards": 3.0}, r"rewards\[h=0, s=0\] is 3.0, not a family of payoffs"),
        ({"rewards": [[3.0] * 3, 3.0]}, r"rewards\[h=0, s=0\] is 3.0, not a family of payoffs"),
        ({"rewards": []}, r"rewards\[h=0\] has 0 states; the game has 3"),
        ({"rewards": AffinePayoffs(np.zeros(4), np.zeros((4, 1)))}, "the payoffs have 4 columns over 1 coordinates"),
        ({"rewards": AffinePayoffs(np.zeros(5), np.zeros((5, 2)))}, "the payoffs have 5 columns over 2 coordinates"),
        ({"rewards": [AffinePayoffs(np.zeros(5), np.zeros((5, 1)))] * 2}, r"rewards\[h=0\] has 2 states; the game has 3"),
        ({"rewards": [[AffinePayoffs(np.zeros(5), np.zeros((5, 1)))]] * 3}, "rewards have 3 steps; the game has 2"),
        ({"rewards": [[AffinePayoffs(np.zeros(5), np.zeros((5, 1))), None, None]]}, r"rewards\[h=0, s=1\] is None"),
        (
            {"rewards": CurvePayoffs([0.0, 1.0], [[0.0, 1.0]], [0] * 5, [0] * 5, np.ones(5), np.zeros(5), 1)},
            r"the table of coordinate 0 covers \[0, 1\], but the aggregator's coordinate 0 ranges over \[0, 1.5\]",
        ),
        ({"transition": np.eye(3)}, "transition is a ndarray, not a family"),
        ({"transition": ConstantTransitions(np.eye(2))}, "the transitions have 2 states and 1 steps; the game has 3 and 2"),
        ({"transition": ConstantTransitions(np.array([np.eye(3)] * 3))}, "the transitions have 3 states and 3 steps"),
        (
            {"transition": CallableTransitions(lambda h, s, x: np.full((len(x), 3), 1 / 3), 0.0, 3, 2)},
            "the transitions read 2 coordinates; the game has 1",
        ),
        ({"welfare": np.zeros(4)}, r"welfare has the shape \(4,\), not \(steps, states, columns\) = \(2, 3, 5\)"),
        ({"welfare": np.full(5, np.nan)}, r"welfare\[0, 0, 0\] is nan"),
        ({"count": [1, 0]}, r"count\[1\] is 0; a type has at least one player"),
        ({"count": [1, 2, 3]}, "count has shape 3, expected 2"),
        ({"states": ["a", "b"]}, "2 names of states, expected 3"),
        ({"actions": ["a"]}, "1 names of actions, expected 5"),
        ({"types": ["a"]}, "1 names of types, expected 2"),
        ({"type_of_player": [0, 0]}, "type_of_player names type 0 for 2 players; count says 1"),
    ],
)
def test_bad_data_are_refused_at_the_door(changes, message):
    with pytest.raises(InvalidGame, match=message):
        game(**changes)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda h, s, x: np.full((len(x), 3), 0.3), r"transition\[h=0, s=0\] at x = \[0.0\] sums to 0.9"),
        (lambda h, s, x: np.tile([1.5, -0.5, 0.0], (len(x), 1)), r"transition\[h=0, s=0\] at x = \[0.0\] has the entry -0.5"),
        (lambda h, s, x: np.full((len(x), 2), 0.5), "has shape 2 x 2, expected 2 x 3"),
        (lambda h, s, x: np.full((len(x), 3), np.nan), r"\[0, 0\] is nan"),
        (lambda h, s, x: "no", "not an array of numbers"),
    ],
)
def test_transitions_that_are_no_distributions_at_the_ends_of_the_range(function, message):
    with pytest.raises(InvalidGame, match=message):
        game(transition=CallableTransitions(function, 1.0, 3, 1))


def test_transitions_that_are_no_distributions_inside_are_found_before_the_run():
    def function(h, s, x):
        inside = (x[:, 0] > 0.7) & (x[:, 0] < 0.8) & (h == 1) & (s == 2)
        return np.stack((np.where(inside, 0.9, 1.0), np.zeros(len(x)), np.zeros(len(x))), axis=1)

    one = game(transition=CallableTransitions(function, 1.0, 3, 1))
    with pytest.raises(InvalidGame, match=r"transition\[h=1, s=2\] at x = \[0.7[0-9]*\] sums to 0.9"):
        AggreBI().solve(one)


def _wave(columns, x):
    return np.sin(3 * x[:, 0])


@pytest.mark.parametrize("at", [(0, 0), (1, 2)])
def test_a_reward_steeper_than_declared_is_found_with_its_place(at):
    good, bad = (CallablePayoffs(_wave, gamma, 5, 1) for gamma in (3.0, 2.5))
    rewards = [[bad if (h, s) == at else good for s in range(3)] for h in range(2)]
    game(rewards=[[good] * 3] * 2).check_lipschitz()
    message = rf"step {at[0]}, state {at[1]}: the payoff of player 0, action 0 changes by .* its Lipschitz constant 2.5 allows"
    with pytest.raises(InvalidGame, match=message):
        game(rewards=rewards).check_lipschitz()
    with pytest.raises(InvalidGame, match=message):
        AggreBI().solve(game(rewards=rewards))


def test_a_transition_steeper_than_declared_is_found_with_its_place():
    def function(h, s, x):
        share = x[:, 0] / 3
        return np.stack((share, 1 - share, np.zeros(len(x))), axis=1)

    game(transition=CallableTransitions(function, 1 / 3, 3, 1)).check_lipschitz()
    gamma = np.full((2, 3), 1 / 3)
    gamma[1, 1] = 0.3
    one = game(transition=CallableTransitions(function, gamma, 3, 1, n_steps=2), states=["a", "b", "c"])
    with pytest.raises(InvalidGame, match=r"the transition at step 1, state b moves by .* its Lipschitz constant 0.3 allows"):
        one.check_lipschitz()
    with pytest.raises(InvalidGame, match="step 1, state b"):
        AggreBI().solve(one)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda c, x: np.zeros(len(c) + 1), "has shape"),
        (lambda c, x: np.where(x[:, 0] > 0.6, np.nan, 0.0), "is nan"),
        (lambda c, x: None, "not an array of numbers|is nan"),
    ],
)
def test_a_reward_that_returns_something_else_is_refused_before_the_run(function, message):
    with pytest.raises(InvalidGame, match=message):
        AggreBI().solve(game(rewards=CallablePayoffs(function, 1.0, 5, 1)))


@pytest.mark.parametrize("changes", [{"samples": 0}, {"samples": 1.5}, {"seed": -1}])
def test_samples_and_seed_are_checked(changes):
    one = random_markov(3, 2, 1, 2, 2)
    with pytest.raises(ValueError, match="is"):
        one.check_lipschitz(**changes)
