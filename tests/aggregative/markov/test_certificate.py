"""The judge: against every deviation policy of tiny games, against itself in other forms, and on edges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eqsolve.aggregative import AffinePayoffs, CallablePayoffs
from eqsolve.aggregative.markov import AggregativeMarkovGame, ConstantTransitions, MarkovProfile, MixtureTransitions, random_markov
from eqsolve.aggregative.markov import certificate as judge
from eqsolve.aggregative.markov.certificate import deviation_values, gap_everywhere, nash_gap, values, welfare
from eqsolve.errors import InvalidData, InvalidGame


def flat_rewards(columns, value=0.0):
    return AffinePayoffs(np.full(columns, value), np.zeros((columns, 1)))


def two_step_game(initial=(1.0, 0.0)):
    """One player. At state 0, action 1 sets x = 1, which leads to state 1; there action 1 earns 5, and action 0 nothing."""
    rich = AffinePayoffs([0.0, 5.0], [[0.0], [0.0]])
    return AggregativeMarkovGame(
        horizon=2,
        n_actions=[2],
        contribution=[[0.0], [1.0]],
        rewards=[flat_rewards(2), rich],
        transition=MixtureTransitions(np.eye(2), [[0.0, 1.0], [0.0, 1.0]], [0.0, 0.0], [[1.0], [1.0]]),
        initial=initial,
        states=("poor", "rich"),
        actions=("rest", "work"),
    )


def test_a_deviation_that_pays_later_is_found_where_it_begins():
    game = two_step_game()
    gap = nash_gap(game, MarkovProfile(np.zeros((2, 2, 1))))
    assert gap.concept == "NE"
    assert gap.method == "exact"
    assert (gap.lower, gap.upper) == (5.0, 5.0)
    assert (gap.witness.who, gap.witness.step, gap.witness.state, gap.witness.deviation) == ("player 0", 0, "poor", "rest -> work")
    assert str(gap).endswith('worst: player 0, step 0, "poor": rest -> work')


def test_the_gap_is_of_the_initial_distribution_and_the_other_of_the_worst_state():
    profile = MarkovProfile(np.zeros((2, 2, 1)))
    assert nash_gap(two_step_game(), profile).upper == 5.0
    assert nash_gap(two_step_game((0.75, 0.25)), profile).upper == pytest.approx(0.75 * 5 + 0.25 * 10)
    for initial in ((1.0, 0.0), (0.75, 0.25)):
        everywhere = gap_everywhere(two_step_game(initial), profile)
        assert everywhere.upper == 10.0
        assert (everywhere.witness.step, everywhere.witness.state) == (0, "rich")


def test_the_witness_names_the_first_place_that_is_reached():
    """From state 0 the profile itself goes to state 1; the only gain is there, one step later."""
    game = two_step_game()
    actions = np.zeros((2, 2, 1))
    actions[0, 0, 0] = 1
    gap = nash_gap(game, MarkovProfile(actions))
    assert (gap.upper, gap.witness.step, gap.witness.state, gap.witness.gain) == (5.0, 1, "rich", 5.0)


def test_of_several_states_the_likeliest_is_named():
    payoff = AffinePayoffs([0.0, 1.0], [[0.0], [0.0]])
    game = AggregativeMarkovGame(1, [2], [[0.0], [1.0]], payoff, ConstantTransitions(np.eye(3)), [0.2, 0.5, 0.3])
    gap = nash_gap(game, MarkovProfile(np.zeros((1, 3, 1))))
    assert gap.upper == pytest.approx(1.0)
    assert (gap.witness.where, gap.witness.state, gap.witness.deviation) == ("step 0, state 1", "1", "0 -> 1")


def test_nobody_gains_and_there_is_no_witness():
    game = two_step_game()
    for gap in (nash_gap(game, MarkovProfile(np.ones((2, 2, 1)))), gap_everywhere(game, MarkovProfile(np.ones((2, 2, 1))))):
        assert (gap.lower, gap.upper, gap.witness) == (0.0, 0.0, None)


def test_the_first_of_equal_players_is_the_witness():
    payoff = AffinePayoffs(np.tile([0.0, 1.0], 3), np.zeros((6, 1)))
    game = AggregativeMarkovGame(1, [2] * 3, np.tile([[0.0], [0.1]], (3, 1)), payoff, ConstantTransitions([[1.0]]), [1.0])
    assert nash_gap(game, MarkovProfile([[[1, 0, 0]]])).witness.who == "player 1"


def test_one_action_each_leaves_nobody_anything_to_do():
    game = AggregativeMarkovGame(2, [1, 1], [[0.5], [0.5]], flat_rewards(2, 1.0), ConstantTransitions([[1.0]]), [1.0], [3.0, 4.0])
    profile = MarkovProfile(np.zeros((2, 1, 2)))
    assert nash_gap(game, profile).upper == 0.0
    assert values(game, profile).tolist() == deviation_values(game, profile).tolist() == [[2.0], [2.0]]
    assert welfare(game, profile) == 14.0


def expanded(game):
    """The same game player by player, every action called by the player's own name so that nothing can be merged."""
    columns = np.concatenate([np.arange(game.offsets[t], game.offsets[t + 1]) for t in game.player_types])
    return AggregativeMarkovGame(
        horizon=game.horizon,
        n_actions=game.n_actions[game.player_types],
        contribution=game.contribution[:, columns],
        rewards=[[game.reward(h, s).take(columns) for s in range(game.n_states)] for h in range(game.horizon)],
        transition=game.transition,
        initial=game.initial,
        welfare=game.weights[:, :, columns],
        actions=tuple(map(str, range(len(columns)))),
    )


@pytest.mark.parametrize("seed", range(5))
def test_players_of_a_type_are_judged_as_players(seed):
    game = random_markov(12, (1, 3), 2, 3, 3, types=3, seed=seed)
    alone = expanded(game)
    assert alone.merged() is alone
    profile = MarkovProfile(np.random.default_rng(seed).integers(0, game.n_actions[game.player_types], (3, 3, 12)))
    for mine, theirs in ((nash_gap, nash_gap), (gap_everywhere, gap_everywhere)):
        one, other = mine(game, profile), theirs(alone, profile)
        assert one.upper == pytest.approx(other.upper, abs=1e-13)
        assert (one.witness.step, one.witness.state) == (other.witness.step, other.witness.state)
    assert values(game, profile) == pytest.approx(values(alone, profile), abs=1e-13)
    assert deviation_values(game, profile) == pytest.approx(deviation_values(alone, profile), abs=1e-13)
    assert welfare(game, profile) == pytest.approx(welfare(alone, profile), abs=1e-12)


def test_players_of_a_type_need_not_stand_together():
    game = random_markov(6, 2, 1, 2, 2, types=2, seed=3)
    order = np.array([0, 1, 0, 1, 1, 0])
    mixed = AggregativeMarkovGame(
        2,
        game.n_actions,
        game.contribution,
        game.rewards,
        game.transition,
        game.initial,
        game.weights,
        game.players,
        type_of_player=order,
    )
    actions = np.random.default_rng(0).integers(0, 2, (2, 2, 6))
    back = np.argsort(order, kind="stable")
    one, other = MarkovProfile(actions), MarkovProfile(actions[:, :, back])
    assert values(mixed, one)[back] == pytest.approx(values(game, other), abs=1e-13)
    assert nash_gap(mixed, one).upper == pytest.approx(nash_gap(game, other).upper, abs=1e-13)


@pytest.mark.parametrize("chunk", [1, 7, 10_000])
def test_chunks_change_nothing(chunk, monkeypatch):
    game = random_markov(30, (1, 4), 2, 3, 3, seed=1)
    profile = MarkovProfile(np.random.default_rng(1).integers(0, game.n_actions, (3, 3, 30)))
    whole = nash_gap(game, profile)
    monkeypatch.setattr(judge, "CHUNK", chunk)
    assert nash_gap(game, profile) == whole


def test_codes_are_numbered_alike_by_table_and_by_sorting():
    code = np.array([7, 3, 7, 900, 3, 0])
    for size in (901, 10**12):
        number, first = judge._compressed(code, size)
        assert number.tolist() == [2, 1, 2, 3, 1, 0]
        assert first.tolist() == [5, 1, 0, 3]


def test_an_action_that_keeps_its_aggregator_gains_nothing_by_rounding():
    """The own action is compared at x itself: steep payoffs would make a gain of x + g - g."""
    payoff = AffinePayoffs(np.zeros(9), np.full((9, 1), 1e12))
    game = AggregativeMarkovGame(1, [1] * 9, np.full((9, 1), 0.1), payoff, ConstantTransitions([[1.0]]), [1.0])
    assert nash_gap(game, MarkovProfile(np.zeros((1, 1, 9)))).upper == 0.0


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((2, 2, 2)), r"shape \(2, 2, 2\), not \(steps, states, players\) = \(2, 2, 1\)"),
        (np.zeros((1, 2, 1)), r"shape \(1, 2, 1\)"),
        ([[[0], [0]], [[2], [0]]], r"actions\[h=1, s=0, i=0\] is 2; player 0 has 2 actions"),
    ],
)
def test_a_profile_of_another_game_is_refused(actions, message):
    for function in (nash_gap, gap_everywhere, welfare, values, deviation_values):
        with pytest.raises(InvalidGame, match=message):
            function(two_step_game(), MarkovProfile(actions))


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((2, 2)), "actions has shape 2 x 2, expected any x any x any"),
        ([[[0], [-1]]], r"actions\[h=0, s=1, i=0\] is -1"),
        ([[[0.5]]], r"actions\[0, 0, 0\] is 0.5, not a whole number"),
        ([[[np.nan]]], r"actions\[0, 0, 0\] is nan"),
    ],
)
def test_a_profile_is_one_action_per_step_state_and_player(actions, message):
    with pytest.raises(InvalidData, match=message):
        MarkovProfile(actions)


@pytest.mark.parametrize(("at_fault", "message"), [(np.nan, "is nan"), (np.zeros(1), "has shape 1, expected")])
def test_a_reward_that_goes_wrong_off_the_profile_is_named(at_fault, message):
    """The payoffs are in order at the game's door and where the profile leads, but not at one player's deviation."""

    def payoff(columns, x):
        wrong = (columns == 1).any() and 0.4 < x.min() < 0.6
        return (np.full(len(columns), at_fault) if np.ndim(at_fault) == 0 else at_fault) if wrong else np.zeros(len(columns))

    game = AggregativeMarkovGame(
        1, [2, 2], [[0.0], [0.5]] * 2, CallablePayoffs(payoff, 0.0, 4, 1), ConstantTransitions([[1.0]]), [1.0]
    )
    profile = MarkovProfile([[[0, 0]]])
    assert welfare(game, profile) == 0.0
    with pytest.raises(InvalidGame, match=message):
        nash_gap(game, profile)


def test_players_of_types_in_any_order_keep_their_values():
    game = random_markov(6, 2, 1, states=2, horizon=2, seed=4)
    order = np.random.default_rng(1).permutation(6)
    turned = replace(game, type_of_player=order)
    actions = np.random.default_rng(2).integers(0, 2, (2, 2, 6)).astype(np.int32)
    straight, other = MarkovProfile(actions), MarkovProfile(np.ascontiguousarray(actions[:, :, order]))
    for of in (values, deviation_values):
        np.testing.assert_allclose(of(turned, other), of(game, straight)[order], atol=1e-14)
    assert nash_gap(turned, other).upper == pytest.approx(nash_gap(game, straight).upper, abs=1e-14)
