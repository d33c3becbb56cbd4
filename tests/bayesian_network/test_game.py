"""Cooperative Markov games: three ways to write one down, and every way to get it wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from eqsolve.bayesian_network import CooperativeMarkovGame, Factor, coordination_line
from eqsolve.bayesian_network.game import describe
from eqsolve.driver.pack import from_bytes, to_bytes
from eqsolve.errors import InvalidGame
from tests.bayesian_network.games import FORMS, random_game, random_parts, sum_of

Game = CooperativeMarkovGame
CROWD = Game([2] * 20_000, None, [((), [0.0])], 0.0)  # more joint actions than Python prints digits


def assert_same_process(game, dense):
    S, A = dense.r.shape
    process = game.joint_mdp()
    kernel = process.kernel()
    held = kernel.toarray() if sparse.issparse(kernel) else kernel
    assert process.n_actions.tolist() == [A] * S
    assert held == pytest.approx(dense.P.reshape(S * A, S), abs=1e-14)
    assert process.reward == pytest.approx(dense.r.reshape(-1), abs=1e-14)
    assert process.initial == pytest.approx(dense.initial, abs=1e-15)
    assert process.gamma == dense.gamma


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(5))
def test_every_form_is_the_same_joint_process(form, seed):
    game, dense = random_game(np.random.default_rng(seed), form)
    assert_same_process(game, dense)
    S, A = dense.r.shape
    low, high = game.reward_range
    assert low <= dense.r.min() + 1e-14
    assert high >= dense.r.max() - 1e-14
    if not form.startswith("factored") and form != "one state":
        assert (low, high) == (dense.r.min(), dense.r.max())
    assert game.value_span == pytest.approx((high - low) / (1 - dense.gamma), rel=1e-14)
    assert (game.n_agents, game.n_states, game.n_joint) == (len(dense.m), S, A)
    for transition in (
        dense.P,
        dense.P.reshape(S * A, S),
        dense.P.reshape(S, *dense.m, S),
        sparse.coo_array(dense.P.reshape(-1, S)),
    ):
        for reward in (dense.r, dense.r.reshape(S, *dense.m)):
            assert_same_process(Game(dense.m, transition, reward, dense.gamma, initial=dense.initial), dense)


def test_dense_kernels_of_one_state_leave_no_table():
    for transition in (None, [], np.ones((1, 4, 1)), np.ones((4, 1)), np.ones((1, 2, 2, 1)), sparse.csr_array(np.ones((4, 1)))):
        game = Game([2, 2], transition, [((0,), [[1.0, 2.0]])], 0.5)
        assert game.kernel is None
        assert game.is_factored
        assert game.joint_kernel().tolist() == [[1.0]] * 4
        assert game.joint_reward().tolist() == [[[1, 1], [2, 2]]]


def test_factored_says_that_nobody_looks_at_all_agents():
    assert Game([2, 2], None, [((0,), [[1.0, 2.0]])], 0.5).is_factored
    assert not Game([2, 2], None, [((0, 1), np.ones((1, 2, 2)))], 0.5).is_factored
    assert not Game([2], None, [((0,), [[1.0, 2.0]])], 0.5).is_factored
    assert not Game([2, 2], np.full((8, 2), 0.5), [((0,), np.ones((2, 2)))], 0.5).is_factored
    whole = [((0, 1), np.full((2, 2, 2, 2), 0.5))]
    assert not Game([2, 2], whole, [((0,), np.ones((2, 2)))], 0.5).is_factored


def test_factors_may_name_their_agents_in_any_order():
    rng = np.random.default_rng(0)
    table = rng.random((2, 3, 4, 2))
    moves = rng.dirichlet(np.ones(2), (2, 3, 2))
    game = Game([2, 3, 4], [((1, 0), moves)], [Factor((1, 2, 0), table), ((), [[1.0], [2.0]][0] * 2)], 0.5)
    assert [one.agents for one in game.reward] == [(0, 1, 2), ()]
    assert game.moves[0].agents == (0, 1)
    for a in np.ndindex(2, 3, 4):
        assert game.joint_reward()[(slice(None), *a)] == pytest.approx(table[:, a[1], a[2], a[0]] + 1.0, abs=1e-15)
        k = np.ravel_multi_index(a, (2, 3, 4))
        assert game.joint_kernel().reshape(2, 24, 2)[:, k] == pytest.approx(moves[:, a[1], a[0]], abs=1e-15)


def test_mixtures_may_move_by_the_state_alone():
    rng = np.random.default_rng(1)
    weight = np.array([0.25, 1.0])  # of the first factor, by state
    alone = rng.dirichlet(np.ones(2), 2) * (1 - weight)[:, None]
    seen = rng.dirichlet(np.ones(2), (2, 3)) * weight[:, None, None]
    game = Game([3, 2], [((0,), seen), ((), alone)], np.zeros((2, 6)), 0.9)
    assert game.joint_kernel() == pytest.approx(sum_of([((0,), seen), ((), alone)], 2, (3, 2), 2).reshape(-1, 2), abs=1e-15)


@pytest.mark.parametrize("form", FORMS)
def test_it_survives_being_written(form):
    game, _ = random_game(np.random.default_rng(7), form)
    rich = Game(
        game.n_actions,
        game.moves if game.kernel is None else game.kernel,
        game.reward,
        game.gamma,
        initial=game.initial,
        name="named",
        states=[f"s{k}" for k in range(game.n_states)],
        agents=[f"i{k}" for k in range(game.n_agents)],
        actions=[[f"a{k}" for k in range(m)] for m in game.n_actions],
    )
    for one in (game, rich):
        data = to_bytes(one)
        again = from_bytes(data, "a game")
        assert isinstance(again, Game)
        assert to_bytes(again) == data
        assert (again.kernel is None) == (one.kernel is None)
        assert sparse.issparse(again.kernel) == sparse.issparse(one.kernel)
        assert again.joint_reward().tobytes() == one.joint_reward().tobytes()
        before, after = (np.asarray(g.joint_kernel() @ np.eye(g.n_states)) for g in (one, again))
        assert before.tobytes() == after.tobytes()
        for name in ("n_actions", "gamma", "name", "states", "agents", "actions"):
            assert getattr(again, name) == getattr(one, name)


def test_labels():
    plain = Game([2, 3], None, np.zeros((1, 6)), 0.0)
    assert [plain.state_label(0), plain.agent_label(1), plain.action_label(1, 2)] == ["0", "agent 1", "2"]
    named = Game([2, 3], None, np.zeros((1, 6)), 0.0, states=["s"], agents=["a", "b"], actions=[["l", "r"], ["x", "y", "z"]])
    assert [named.state_label(0), named.agent_label(1), named.action_label(1, 2), named.action_label(0, 1)] == ["s", "b", "z", "r"]
    alike = Game([2, 2], None, np.zeros((1, 4)), 0.0, actions=["l", "r"])
    assert alike.actions == (("l", "r"), ("l", "r"))


def test_it_shares_no_memory_with_its_maker_and_cannot_be_changed():
    reward, kernel, moves = np.zeros((2, 4)), np.full((8, 2), 0.5), np.full((2, 2, 2), 0.5)
    dense, mixed = Game([2, 2], kernel, reward, 0.5), Game([2, 2], [((1,), moves)], [((), reward[:, 0])], 0.5)
    reward[:], kernel[:], moves[:] = 7.0, 7.0, 7.0
    assert dense.joint_reward().max() == mixed.joint_reward().max() == 0.0
    assert dense.joint_kernel().max() == mixed.joint_kernel().max() == 0.5
    for held in (
        dense.kernel,
        dense.reward[0].table,
        dense.initial,
        dense.joint_reward(),
        mixed.moves[0].table,
        mixed.joint_kernel(),
    ):
        with pytest.raises(ValueError, match="read-only"):
            held[...] = 1.0


def test_it_prints_what_it_is():
    game = coordination_line(4, 3)
    assert repr(game) == "<CooperativeMarkovGame 'coordination line': 4 agents, 81 joint actions, 1 state, discount 0, factored>"
    two = Game([2, 2], np.full((8, 2), 0.5), np.zeros((2, 4)), 0.5)
    assert repr(two) == "<CooperativeMarkovGame 'cooperative game': 2 agents, 4 joint actions, 2 states, discount 0.5>"
    assert describe(two) == "2 agents, 4 joint actions, 2 states, discount 0.5"
    assert describe(coordination_line(50, 5)) == "50 agents, 8.9e+34 joint actions, 1 state, discount 0"
    assert describe(CROWD) == "20000 agents, 4.0e+6020 joint actions, 1 state, discount 0"
    assert "20000 agents, 4.0e+6020 joint actions" in repr(CROWD)


def test_merging_the_agents_keeps_the_process():
    for form in FORMS:
        game, dense = random_game(np.random.default_rng(11), form)
        merged = game.merged()
        assert merged.n_actions == (game.n_joint,)
        assert_same_process(merged, dense)


def two_states(**change):
    """Two agents, two states, a factored reward and a kernel, each of which a test may exchange."""
    given = {"n_actions": [2, 2], "transition": np.full((8, 2), 0.5), "reward": np.zeros((2, 4)), "gamma": 0.5}
    return Game(**{**given, **change})


def spoilt_row(*entries):
    P = np.full((2, 2, 2, 2), 0.5)
    P[1, 0, 1] = entries
    return P


def moves(*tables):
    """Transitions as factors over agent 0."""
    return [((0,), np.asarray(one, float)) for one in tables]


EVEN = np.full((2, 2, 2), 0.5)
LINE = coordination_line(40, 2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: two_states(transition=spoilt_row(0.5, 0.4)), r"transition of state 1, joint action \(0, 1\) sums to 0.9, not 1"),
        (
            lambda: two_states(transition=spoilt_row(0.5, 0.4), states=["up", "down"], actions=["left", "right"]),
            r"transition of state down, joint action \(left, right\) sums to 0.9",
        ),
        (lambda: two_states(transition=spoilt_row(0.5, 0.5 + 3e-9)), "sums to 1.000000003, not 1"),
        (
            lambda: two_states(transition=sparse.csr_array(spoilt_row(0.5, 0.4).reshape(8, 2))),
            r"transition of state 1, joint action \(0, 1\) sums to 0.9",
        ),
        (
            lambda: two_states(transition=spoilt_row(1.5, -0.5)),
            r"transition of state 1, joint action \(0, 1\) has probability -0.5 for next state 1",
        ),
        (lambda: two_states(transition=spoilt_row(np.nan, 0.5)), r"transition\[1, 0, 1, 0\] is nan"),
        (lambda: two_states(transition=np.full((3, 4, 3), 1 / 3)), "shape 3 x 4 x 3, expected 2 x 2 x 2 x 2 or 2 x 4 x 2"),
        (lambda: two_states(transition=np.full((4, 2), 0.5)), "transition has shape 4 x 2, expected 8 x 2"),
        (lambda: two_states(transition=None), "transition is left out, and there are 2 states\n.*where there is one"),
        (lambda: two_states(transition=[]), "transition is left out, and there are 2 states"),
        (lambda: two_states(transition=moves(EVEN, EVEN)), "the transition factors of state 0 sum to 2, not 1"),
        (lambda: two_states(transition=moves(EVEN * (1 + 3e-9))), "the transition factors of state 0 sum to 1.000000003, not 1"),
        (
            lambda: two_states(transition=moves(EVEN * [[[1.0], [1 + 3e-9]]])),
            "transition.0. of state 0 sums to 1 for some actions and 1.000000003 for others",
        ),
        (lambda: two_states(transition=moves(EVEN * [[[1.0]], [[0.8]]])), "the transition factors of state 1 sum to 0.8, not 1"),
        (
            lambda: two_states(transition=moves(EVEN, [[[0, 0], [0, 0]], [[0.1, 0], [0, 0.2]]])),
            r"transition\[1\] of state 1 sums to 0.1 for some actions and 0.2 for others\n.*part of a mixture",
        ),
        (
            lambda: two_states(transition=moves([[[1, 0], [1, 0]], [[1.1, -0.1], [1.5, -0.5]]])),
            r"transition\[0\]\[1, 0, 1\] is -0.1, a negative probability",
        ),
        (lambda: two_states(transition=[((0,), np.full((2, 2, 3), 1 / 3))]), "transition has shape 2 x 2 x 3, expected 2 x 2 x 2"),
        (lambda: two_states(transition=[((0, 0), np.full((2, 2, 2, 2), 0.5))]), "transition lists agent 0 twice"),
        (lambda: two_states(transition=[((0,), EVEN), ((2,), EVEN)]), r"an agent of transition\[1\] is 2, more than 1"),
        (lambda: two_states(reward=[((1, 1), np.zeros((2, 2, 2)))]), "reward lists agent 1 twice"),
        (lambda: two_states(reward=[((), [0, 0]), ((0, 1, 0), np.zeros((2, 2, 2, 2)))]), r"reward\[1\] lists agent 0 twice"),
        (lambda: two_states(reward=[((5,), np.zeros((2, 2)))]), "an agent of reward is 5, more than 1"),
        (lambda: two_states(reward=[((-1,), np.zeros((2, 2)))]), "an agent of reward is -1, less than 0"),
        (lambda: two_states(reward=[(("a",), np.zeros((2, 2)))]), "an agent of reward is 'a', not a whole number"),
        (lambda: two_states(reward=[Factor(0, np.zeros((2, 2)))]), "the agents of reward are 0, not a tuple"),
        (lambda: two_states(reward=[([0, 1], np.zeros((2, 2, 2)))]), "reward is not an array of numbers.*\n.*agents are a tuple"),
        (
            lambda: two_states(reward=[((0,), np.zeros((2, 2))), ((1,), np.zeros((3, 2)))]),
            r"reward\[1\] has shape 3 x 2, expected 2 x 2",
        ),
        (lambda: two_states(reward=[((0,), [[0, np.nan], [0, 0]])]), r"reward\[0, 1\] is nan"),
        (lambda: two_states(reward=np.full((2, 4), np.inf)), r"reward\[0, 0, 0\] is inf|reward\[0, 0\] is inf"),
        (lambda: two_states(reward=np.zeros((2, 5))), "reward has shape 2 x 5, expected 2 x 2 x 2"),
        (lambda: two_states(reward=[]), "reward is an empty list"),
        (lambda: two_states(reward=1.0), "reward is 1, not a table whose first axis is the states"),
        (lambda: two_states(reward=[((0,), [[1, 2], [3]])]), "reward is not an array of numbers"),
        (lambda: two_states(reward=np.zeros((0, 4)), transition=None), "reward has no entries: there are no states"),
        (lambda: two_states(gamma=1.0), r"gamma is 1, not in \[0, 1\)\n.*below 1"),
        (lambda: two_states(gamma=1), r"gamma is 1, not in \[0, 1\)"),
        (lambda: two_states(gamma=-0.1), "gamma is -0.1, not at least 0"),
        (lambda: two_states(gamma=np.nan), "gamma is nan"),
        (lambda: two_states(gamma=None), "gamma is None, not a number"),
        (lambda: two_states(n_actions=[2, 0], reward=np.zeros((2, 2, 0))), r"n_actions\[1\] is 0\n.*needs an action"),
        (lambda: two_states(n_actions=[2, 0, -3]), r"n_actions\[1\] is 0"),
        (lambda: two_states(n_actions=[]), "n_actions is empty: there are no agents"),
        (lambda: two_states(n_actions=[2, 1.5]), r"n_actions\[1\] is 1.5, not a whole number"),
        (lambda: two_states(n_actions=4), "n_actions has shape scalar"),
        (lambda: two_states(initial=[0.5, 0.5 + 3e-9]), "initial sums to 1.000000003, not 1"),
        (lambda: two_states(initial=[0.5, 0.4]), "initial sums to 0.9, not 1"),
        (lambda: two_states(initial=[1.5, -0.5]), r"initial\[1\] is -0.5, a negative probability"),
        (lambda: two_states(initial=[1.0]), "initial has shape 1, expected 2"),
        (lambda: two_states(states=["a", "a"]), "states has the label 'a' twice"),
        (lambda: two_states(states=["a"]), "states has 1 labels, expected 2"),
        (lambda: two_states(states="ab"), "states is 'ab', not a list"),
        (lambda: two_states(states=3), "states is 3, not a list"),
        (lambda: two_states(agents=["a", "a"]), "agents has the label 'a' twice"),
        (lambda: two_states(agents=["a", "b", "c"]), "agents has 3 labels, expected 2"),
        (lambda: two_states(actions=["l", "l"]), r"actions\[0\] has the label 'l' twice"),
        (lambda: two_states(actions=[["l", "r"], ["l", "l"]]), r"actions\[1\] has the label 'l' twice"),
        (lambda: two_states(actions=[["l", "r"]]), "actions has 1 lists of labels, and there are 2 agents"),
        (lambda: two_states(actions=[["l", "r"], ["l"]]), r"actions\[1\] has 1 labels, expected 2"),
        (lambda: two_states(actions="lr"), "actions is 'lr', not a list"),
        (lambda: two_states(actions=[["l", "r"], 3]), r"actions\[1\] is 3, not a list"),
        (
            LINE.joint_reward,
            "40 agents has 1,099,511,627,776 actions: 1,099,511,627,776 rewards in all\n.*as factors over few agents",
        ),
        (LINE.joint_kernel, "1,099,511,627,776 transition probabilities in all\n  At most 50,000,000 are held"),
        (LINE.joint_mdp, "the joint space of 40 agents"),
        (LINE.merged, "the joint space of 40 agents"),
        (CROWD.joint_reward, r"20000 agents has 4.0e\+6020 actions"),
        (
            lambda: Game([2] * 40, None, [(tuple(range(30)), np.zeros(1))], 0.0),
            "reward would hold 1,073,741,824 numbers\n.*factors over fewer agents",
        ),
    ],
)
def test_bad_games_are_refused_with_their_place(make, words):
    with pytest.raises(InvalidGame, match=words):
        make()


def test_sums_may_be_off_by_rounding():
    near = 1 + 5e-10
    game = two_states(transition=moves(EVEN * [[[1.0], [near]]]), initial=[0.5 * near, 0.5 * near])
    assert game.initial.sum() > 1.0  # nothing is rescaled
    assert two_states(transition=np.full((8, 2), 0.5 * near)).kernel.max() > 0.5


def test_random_parts_of_the_tests_cover_what_they_should():
    """Scopes of nobody, in any order, and up to three agents; one-action and ragged agents."""
    parts = [one for k in range(20) for one in random_parts(np.random.default_rng(k), 2, (2, 1, 3), 4)]
    scopes = {agents for agents, _ in parts}
    assert () in scopes
    assert {len(one) for one in scopes} == {0, 1, 2, 3}
    assert any(one != tuple(sorted(one)) for one in scopes)
    sizes = {random_game(np.random.default_rng(k))[1].m for k in range(60)}
    assert any(1 in m and len(set(m)) > 2 for m in sizes)
    assert {len(m) for m in sizes} == {1, 2, 3, 4}
