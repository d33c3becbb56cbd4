"""Markov games: backward induction, and its certificate against deviations enumerated one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import sparse

from eqsolve.errors import InvalidData, InvalidGame, UnknownName
from eqsolve.normal_form import (
    FiniteMarkovGame,
    chicken,
    correlated_equilibrium,
    deviation_values,
    markov_correlated,
    markov_gap,
    policy_values,
    prisoners_dilemma,
    random_markov_game,
    stage,
    zero_sum,
)


def by_hand(game, policy, i, plan=None, swap=None):
    """Expected payoff of player i from every state by pushing probabilities forward; the player may follow a deviation."""
    values = []
    for start in range(game.n_states):
        at, total = np.eye(game.n_states)[start], 0.0
        for h in range(game.horizon):
            after = np.zeros(game.n_states)
            for s in range(game.n_states):
                shape = game.shape_at(s)
                for k, a in enumerate(product(*(range(m) for m in shape))):
                    chance = at[s] * policy[h, game.first[s] + k]
                    played = list(a)
                    if plan is not None:
                        played[i] = plan[h][s]
                    if swap is not None:
                        played[i] = swap[h][s][a[i]]
                    pair = game.first[s] + np.ravel_multi_index(tuple(played), shape)
                    total += chance * game.reward_at(h)[i, pair]
                    after += chance * np.asarray(game.kernel(h)[[pair]].todense()).ravel()
            at = after
        values.append(total + at @ game.terminal[i])
    return np.array(values)


def random_policy(game, rng):
    parts = [rng.dirichlet(np.ones(int(np.prod(game.shape_at(s)))), game.horizon) for s in range(game.n_states)]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("seed", range(4))
def test_values_and_deviations_by_enumeration(seed):
    rng = np.random.default_rng(seed)
    game = random_markov_game(2, [[2, 2], [2, 1]] if seed % 2 else [2, 2], 2, successors=2, seed=seed)
    policy = random_policy(game, rng)
    follow = policy_values(game, policy)
    coarse, swap = deviation_values(game, policy, "CCE"), deviation_values(game, policy, "CE")
    for i in range(2):
        assert follow[0, i] == pytest.approx(by_hand(game, policy, i), abs=1e-12)
        actions = [[range(game.n_actions[s, i]) for s in range(2)] for _ in range(2)]
        plans = product(*(product(*one) for one in actions))
        best = np.max([by_hand(game, policy, i, plan=plan) for plan in plans], axis=0)
        assert coarse[0, i] == pytest.approx(best, abs=1e-12)
        maps = [[list(product(range(m), repeat=m)) for m in game.n_actions[:, i].tolist()] for _ in range(2)]
        swaps = product(*(product(*one) for one in maps))
        best = np.max([by_hand(game, policy, i, swap=one) for one in swaps], axis=0)
        assert swap[0, i] == pytest.approx(best, abs=1e-12)
    assert (swap[0] >= coarse[0] - 1e-12).all()
    for concept, best in (("CCE", coarse), ("CE", swap)):
        gap = markov_gap(game, policy, concept)
        assert gap.upper == pytest.approx(max(0.0, (best[0] - follow[0]).max()), abs=1e-12)
        assert gap.concept == concept


@pytest.mark.parametrize("concept", ["CE", "CCE"])
def test_backward_induction_ends_in_an_equilibrium(concept):
    game = random_markov_game(5, [3, 2, 2], 6, seed=3)
    found = markov_correlated(game, concept)
    assert found.gap.holds(1e-9)
    assert found.values == pytest.approx(policy_values(game, found.policy), abs=1e-9)
    # An equilibrium from every step on, too.
    assert (deviation_values(game, found.policy, concept) - found.values).max() <= 1e-8
    for h, s in ((0, 1), (5, 4)):
        again = found.stage(h, s)
        assert again.certificate.holds(1e-7)
        assert again.value == pytest.approx(found.values[h, :, s].sum(), abs=1e-8)
    assert found.program(0, 0).note == 'step 0, "0"'
    assert found.at(0, 0).shape == (3, 2, 2)


def test_one_step_is_the_stage_game():
    game = FiniteMarkovGame.from_arrays(np.ones((1, 2, 2, 1)), chicken().payoffs[:, None], 1)
    found = markov_correlated(game, "CE")
    assert found.at(0, 0) == pytest.approx(correlated_equilibrium(chicken(), "CE").distribution, abs=1e-9)
    assert found.values[0].sum() == pytest.approx(10.5)


def test_a_repeated_dilemma_is_never_cooperative_with_a_known_end():
    game = FiniteMarkovGame.from_arrays(np.ones((1, 2, 2, 1)), prisoners_dilemma().payoffs[:, None], 7)
    found = markov_correlated(game, "CCE")
    assert found.gap.holds(1e-12)
    assert found.values[0] == pytest.approx(np.full((2, 1), 7.0))


def test_a_zero_sum_markov_game_has_shapleys_value():
    rng = np.random.default_rng(0)
    S, m, H = 3, 3, 4
    P = rng.dirichlet(np.ones(S), (S, m, m))
    A = rng.random((S, m, m))
    value = np.zeros(S)
    for _ in range(H):
        value = np.array([zero_sum(A[s] + P[s] @ value).value for s in range(S)])
    found = markov_correlated(FiniteMarkovGame.from_arrays(P, np.stack([A, -A]), H), "CCE", ("player", 0))
    assert found.gap.holds(1e-9)
    assert found.values[0, 0] == pytest.approx(value, abs=1e-9)


def test_steps_states_and_sparse_kernels_are_read_alike():
    base = random_markov_game(4, [2, 3], 3, seed=1)
    dense = np.asarray(base.kernel(0).todense())
    rewards = np.stack([base.reward] * 3)
    per_step = FiniteMarkovGame(base.n_actions, [dense] * 3, rewards, 3)
    table = FiniteMarkovGame.from_arrays(dense.reshape(4, 2, 3, 4), base.reward.reshape(2, 4, 2, 3), 3)
    steps = FiniteMarkovGame.from_arrays(np.stack([dense.reshape(4, 2, 3, 4)] * 3), rewards.reshape(3, 2, 4, 2, 3), 3)
    wanted = markov_correlated(base).values
    for other in (per_step, table, steps):
        assert markov_correlated(other).values == pytest.approx(wanted, abs=1e-9)


def test_rewards_and_kernels_that_change_with_the_step():
    rng = np.random.default_rng(2)
    kernels = [rng.dirichlet(np.ones(2), 8) for _ in range(3)]
    game = FiniteMarkovGame([[2, 2], [2, 2]], kernels, rng.random((3, 2, 8)), 3, terminal=rng.random((2, 2)))
    policy = random_policy(game, rng)
    sparse_game = FiniteMarkovGame(game.n_actions, [sparse.csr_array(k) for k in kernels], game.reward, 3, terminal=game.terminal)
    assert policy_values(game, policy)[0, 1] == pytest.approx(by_hand(sparse_game, policy, 1), abs=1e-12)
    assert markov_correlated(game).gap.holds(1e-9)


def test_a_stage_reads_nothing_but_its_arguments():
    game = random_markov_game(3, [2, 2], 4, seed=9)
    found = markov_correlated(game)
    values = game.terminal
    for h in range(3, -1, -1):  # as a driver that stops and resumes would do it
        done = stage(game, h, values.copy())
        values = done.values
        assert done.policy.tobytes() == found.policy[h].tobytes()
        assert done.gaps.max() <= 1e-9
    assert values.tobytes() == found.values[0].tobytes()


def test_the_gap_of_the_initial_distribution():
    base = random_markov_game(3, [2, 2], 2, seed=4)
    policy = random_policy(base, np.random.default_rng(0))
    gains = deviation_values(base, policy)[0] - policy_values(base, policy)[0]
    mu = np.array([0.2, 0.0, 0.8])
    game = FiniteMarkovGame(base.n_actions, base.kernel(0), base.reward, 2, initial=mu)
    assert markov_gap(game, policy).upper == pytest.approx((gains @ mu).max(), abs=1e-12)
    assert "initial distribution" in str(markov_gap(game, policy))
    worst = markov_gap(base, policy)
    assert worst.upper == pytest.approx(gains.max(), abs=1e-12)
    assert worst.witness.who == f"player {int(np.argmax(gains.max(axis=1)))}"


def test_objectives_by_step_and_state():
    game = random_markov_game(2, [2, 3], 2, seed=6)
    by_step = markov_correlated(game, objective=lambda h, s: ("player", h))
    last = by_step.values[1]
    assert last[1, 0] == pytest.approx(correlated_equilibrium(game.stage_game(1, 0, game.terminal), "CCE", ("player", 1)).value)
    assert by_step.gap.holds(1e-9)


GOOD = {"n_actions": [[2, 2]], "transition": np.ones((4, 1)), "reward": np.zeros((2, 4)), "horizon": 2}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"transition": [[1.0], [1.0], [0.9], [1.0]]}, r"state 0, joint action \(1, 0\) sums to 0.9"),
        ({"transition": sparse.csr_array(np.array([[1.0], [1.0], [1.0], [0.5]]))}, r"joint action \(1, 1\) sums to 0.5"),
        ({"transition": np.ones((4, 2))}, "shape 4 x 2"),
        ({"transition": [np.ones((4, 1))] * 3}, "3 kernels and the horizon is 2"),
        ({"reward": np.zeros((2, 5))}, "shape 2 x 5, expected 2 x 4"),
        ({"reward": np.full((2, 4), np.nan)}, r"reward\[0, 0\] is nan"),
        ({"horizon": 0}, "horizon is 0"),
        ({"n_actions": [[2, 0]]}, r"n_actions\[0, 1\] is less than 1"),
        ({"n_actions": np.zeros((0, 2))}, "empty"),
        ({"initial": [0.5]}, "sums to 0.5"),
        ({"terminal": np.zeros((2, 2))}, "expected 2 x 1"),
        ({"states": ("a", "b")}, "2 labels"),
    ],
)
def test_bad_games(change, match):
    with pytest.raises(InvalidGame, match=match):
        FiniteMarkovGame(**{**GOOD, **change})


def test_negative_probabilities_are_named():
    with pytest.raises(InvalidGame, match=r"joint action \(0, 1\) has probability -0.5 for next state 1"):
        FiniteMarkovGame([[1, 2], [1, 1]], [[1, 0], [1.5, -0.5], [0, 1]], np.zeros((2, 3)), 1)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda g: markov_gap(g, np.full(4, 0.3)), InvalidGame, "state 0 at step 0 sums to 1.2"),
        (lambda g: markov_gap(g, [[0.5, 0.5, 0.5, -0.5]] * 2), InvalidGame, "negative"),
        (lambda g: markov_gap(g, np.full((3, 4), 0.25)), InvalidGame, "shape 3 x 4"),
        (lambda g: markov_gap(g, np.full(4, 0.25), "NE"), UnknownName, "concept 'NE'"),
        (lambda g: stage(g, 2, g.terminal), InvalidData, "step is 2, more than 1"),
        (lambda g: stage(g, 0, np.zeros((3, 1))), InvalidData, "expected 2 x 1"),
        (lambda g: FiniteMarkovGame.from_arrays(np.ones((1, 2, 2, 1)), np.zeros((3, 1, 2, 2)), 1), InvalidGame, "reward has shape"),
        (
            lambda g: FiniteMarkovGame.from_arrays(np.ones((1, 2, 2, 2)), np.zeros((2, 1, 2, 2)), 1),
            InvalidGame,
            "transition has shape",
        ),
    ],
)
def test_bad_calls(call, error, match):
    with pytest.raises(error, match=match):
        call(FiniteMarkovGame(**GOOD))


def test_kernels_cannot_be_written_and_share_nothing_with_the_caller():
    given = sparse.csr_array(np.ones((4, 1)))
    for transition in (given, given.toarray(), [given, given]):
        game = FiniteMarkovGame([[2, 2]], transition, np.zeros((2, 4)), 2)
        kernel = game.kernel(1)
        data = kernel.data if sparse.issparse(kernel) else kernel
        with pytest.raises(ValueError, match="read-only"):
            data[0] = 0.5
    given.data[0] = 7.0
    assert game.kernel(0).data[0] == 1.0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"transition": None}, r"transition\[0, 0\] is nan"),
        ({"transition": [[1.0], [1.0, 2.0], [1.0], [1.0]]}, "not an array of numbers"),
        ({"transition": sparse.csr_array(np.array([[1.0], [np.nan], [1.0], [1.0]]))}, r"transition\[1, 0\] is nan"),
        ({"transition": sparse.csr_array(np.ones((4, 1), dtype=complex))}, "complex"),
        ({"transition": [np.ones((4, 1)), np.array([[1.0], [1.0], [1.0], [0.5]])]}, r"joint action \(1, 1\) at step 1 sums to 0.5"),
        ({"reward": [[1.0], [1.0, 2.0]]}, "reward is not an array"),
        ({"reward": np.full((2, 4), 1e200)}, r"reward\[0, 0\] is 1e\+200, beyond"),
        ({"terminal": [[np.inf], [0.0]]}, r"terminal\[0, 0\] is inf"),
        ({"initial": [-1.0]}, r"initial\[0\] is -1"),
        ({"n_actions": [[2] * 70]}, "joint pairs of 70 players"),
        ({"n_actions": [[2] * 64]}, "joint pairs of 64 players"),
        ({"states": None}, "states is None, not a sequence"),
        ({"players": ("a", "a")}, "'a' twice"),
    ],
)
def test_more_bad_games(change, match):
    with pytest.raises(InvalidGame, match=match):
        FiniteMarkovGame(**{**GOOD, **change})


def test_one_text_is_one_label():
    assert FiniteMarkovGame(**GOOD, states="ab").states == ("ab",)


@pytest.mark.parametrize("n_actions", [[[1, 2]] * 3, [0, 2], [2] * 70, [[[1]]]])
def test_random_games_refuse_counts_they_cannot_have(n_actions):
    with pytest.raises(InvalidGame):
        random_markov_game(2, n_actions, 2)


@pytest.mark.parametrize(
    ("h", "s", "match"), [(-1, 0, "step is -1"), (2, 0, "step is 2"), (0, 1, "state is 1"), (0.5, 0, "step is 0.5")]
)
def test_places_that_do_not_exist(h, s, match):
    game = FiniteMarkovGame(**GOOD)
    found = markov_correlated(game)
    for call in (found.at, found.stage, found.program, lambda h, s: game.stage_game(h, s, game.terminal)):
        with pytest.raises(InvalidGame, match=match):
            call(h, s)
