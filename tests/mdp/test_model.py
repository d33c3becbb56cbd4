"""The process: every way to write one down, and every way to get it wrong."""

from __future__ import annotations

import pickle
from operator import attrgetter

import numpy as np
import pytest
from scipy import sparse

from eqsolve.errors import UnknownName
from eqsolve.mdp import LinearConstraint, advantages, from_quantecon, random_mdp, simulate, solve_constrained
from eqsolve.mdp.model import FiniteMDP, InvalidMDP, available_actions
from tests.mdp.textbook import BOOK, POLICY_CASES, forest, two_states

ROWS = [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]


def small(transition=None, reward=(1.0, 2.0, 3.0), gamma=0.9, n_actions=(2, 1), **more):
    return FiniteMDP(n_actions, ROWS if transition is None else transition, reward, gamma, **more)


def test_pairs_are_numbered_state_by_state():
    mdp = small(states=["a", "b"], actions=["go", "stay", "rest"])
    assert mdp.first.tolist() == [0, 2, 3]
    assert mdp.owner.tolist() == [0, 0, 1]
    assert (mdp.n_states, mdp.n_pairs, mdp.n_steps) == (2, 3, 1)
    assert [mdp.state_of(k) for k in range(3)] == [0, 0, 1]
    assert [mdp.action_label(k) for k in range(3)] == ["go", "stay", "rest"]
    assert [small().action_label(k) for k in range(3)] == ["0", "1", "0"]
    assert mdp.state_label(1) == "b"
    assert mdp.state_number("b") == mdp.state_number(np.int64(1)) == 1
    assert available_actions(mdp).tolist() == [[True, True], [True, False]]


def test_dense_and_sparse_of_every_format_are_the_same():
    for make in (sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.lil_array, sparse.dok_array, sparse.csr_matrix):
        mdp = small(make(np.array(ROWS)))
        assert mdp.is_sparse
        assert (mdp.kernel().toarray() == ROWS).all()
    truth = FiniteMDP([1, 1], np.array([[False, True], [True, False]]), [0, 1], 0.5)
    assert truth.kernel().tolist() == [[0, 1], [1, 0]]


def test_duplicates_are_added_and_stored_zeros_forgotten():
    kernel = sparse.coo_array(([0.5, 0.5, 1.0, 0.0], ([0, 0, 1, 1], [1, 1, 0, 1])), shape=(2, 2))
    mdp = FiniteMDP([1, 1], kernel, [0, 0], 0.5)
    assert mdp.kernel().nnz == 2
    assert mdp.kernel().toarray().tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("make", [np.array, sparse.csr_array])
def test_it_shares_no_memory_with_its_maker_and_cannot_be_changed(make):
    kernel, reward, initial = make(np.array(ROWS)), np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.5])
    mdp = small(kernel, reward, initial=initial)
    (kernel.data if sparse.issparse(kernel) else kernel)[...] = 7.0
    reward[:], initial[:] = 7.0, 7.0
    held = mdp.kernel().data if mdp.is_sparse else mdp.kernel()
    assert np.max(held) == 1.0
    assert mdp.reward.tolist() == [1, 2, 3]
    assert mdp.initial.tolist() == [0.5, 0.5]
    for array in (held, mdp.reward, mdp.initial, mdp.first, mdp.n_actions, mdp.terminal):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_it_survives_pickling():
    mdp = pickle.loads(pickle.dumps(small(sparse.csr_array(ROWS), states=["a", "b"])))
    assert mdp.states == ("a", "b")
    assert mdp.first.tolist() == [0, 2, 3]


def test_a_huge_sparse_process_stays_sparse():
    S = 200_000
    kernel = sparse.csr_array((np.ones(S), (np.arange(S), (np.arange(S) + 1) % S)), shape=(S, S))
    mdp = FiniteMDP(np.ones(S), kernel, np.zeros(S), 0.9, initial=3)
    assert mdp.kernel().nnz == S
    assert mdp.initial[3] == 1.0


def test_arrays_with_a_mask_and_anything_behind_it():
    P, r = np.full((2, 2, 2), np.nan), np.full((2, 2), -np.inf)
    P[0], P[1, 1] = [[1, 0], [0, 1]], [0.5, 0.5]
    r[0], r[1, 1] = [1, 2], 3
    mdp = FiniteMDP.from_arrays(P, r, 0.9, available=np.isfinite(r), actions=["go", "stay"])
    assert mdp.kernel().tolist() == ROWS
    assert mdp.reward.tolist() == [1, 2, 3]
    assert mdp.actions == ("go", "stay", "stay")


def test_rewards_of_every_shape():
    rng = np.random.default_rng(0)
    P = rng.dirichlet(np.ones(3), (3, 2))
    by_next, mask = rng.normal(size=(3, 2, 3)), np.array([[1, 1], [0, 1], [1, 0]])
    wanted = [(P[s, a] * by_next[s, a]).sum() for s, a in np.argwhere(mask)]
    build = FiniteMDP.from_arrays
    assert build(P, by_next, 0.9, available=mask).reward == pytest.approx(wanted, abs=1e-15)
    assert build(P, [1, 2, 3], 0.9, available=mask).reward.tolist() == [1, 1, 2, 3]
    steps = build(P, np.stack([by_next, 2 * by_next]), horizon=2, available=mask)
    assert steps.reward == pytest.approx(np.array([wanted, 2 * np.array(wanted)]), abs=1e-15)
    kernels = np.stack([P, P[:, ::-1]])
    each = build(kernels, by_next, horizon=2)
    assert each.reward[1] == pytest.approx(np.einsum("sat,sat->sa", P[:, ::-1], by_next).reshape(-1), abs=1e-15)
    assert build(P, [[1, 2, 3]] * 4, horizon=4).reward.tolist() == [[1, 1, 2, 2, 3, 3]] * 4
    next_state = FiniteMDP([1, 1], [[0.5, 0.5], [0, 1]], sparse.csr_array([[2.0, 0], [0, 3.0]]), 0.5)
    assert next_state.reward.tolist() == [1, 3]


RECTANGULAR = [case for case in BOOK if (case.mdp.n_actions == case.mdp.n_actions[0]).all()]


@pytest.mark.parametrize("case", RECTANGULAR, ids=attrgetter("name"))
def test_matrices_per_action_say_the_same(case):
    mdp = case.mdp
    S, A = mdp.n_states, int(mdp.n_actions[0])
    P = np.asarray(mdp.kernel()).reshape(S, A, S)
    given = {"horizon": mdp.horizon} if mdp.horizon else {"gamma": mdp.gamma}
    same = FiniteMDP.from_matrices([sparse.csr_array(P[:, a]) for a in range(A)], mdp.reward.reshape(S, A), **given)
    assert (same.kernel().toarray() == mdp.kernel()).all()
    assert (same.reward == mdp.reward).all()


def test_matrices_with_a_mask_and_rewards_by_next_state():
    matrices = [sparse.csr_array([[1.0, 0], [0.5, 0.5]]), sparse.csr_array([[0.0, 1.0], [0.0, 0.0]])]
    mdp = FiniteMDP.from_matrices(matrices, [[1, 2], [3, np.nan]], 0.5, available=[[1, 1], [1, 0]])
    assert mdp.kernel().toarray().tolist() == [[1, 0], [0, 1], [0.5, 0.5]]
    assert mdp.reward.tolist() == [1, 2, 3]
    by_next = [sparse.csr_array([[4.0, 9], [2, 6]]), sparse.csr_array([[9.0, 5], [0, 0]])]
    assert FiniteMDP.from_matrices(matrices, by_next, 0.5, available=[[1, 1], [1, 0]]).reward.tolist() == [4, 5, 4]


def test_policies():
    mdp = small(gamma=None, horizon=2)
    assert mdp.deterministic([1, 0]).tolist() == [[0, 1, 1]] * 2
    assert mdp.deterministic([[0, 0], [1, 0]]).tolist() == [[1, 0, 1], [0, 1, 1]]
    assert mdp.uniform_policy().tolist() == [[0.5, 0.5, 1]] * 2
    one = np.array([0.25, 0.75, 1])
    checked = mdp.check_policy(one)
    one[:] = 9
    assert checked.tolist() == [[0.25, 0.75, 1]] * 2


def test_parts_that_can_be_exchanged():
    mdp = small()
    assert mdp.with_reward([4, 5, 6]).reward.tolist() == [4, 5, 6]
    assert mdp.with_reward([4, 5, 6]).transition is mdp.transition
    assert mdp.with_initial(1).initial.tolist() == [0, 1]
    assert small(states=["a", "b"], initial="b").initial.tolist() == [0, 1]
    with pytest.raises(InvalidMDP, match="shape 2, expected 3"):
        mdp.with_reward([1, 2])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: small([[1, 0], [0, 0.93], [0.5, 0.5]]), r"transition\[s=0, a=1\] sums to 0.93, not 1\n.*1 of 3 rows"),
        (lambda: small(sparse.csr_array([[1, 0], [0, 1], [0.5, 0.6]])), r"transition\[s=1, a=0\] sums to 1.1"),
        (lambda: small([[1, 0], [1.5, -0.5], [0.5, 0.5]]), r"transition\[s=0, a=1\] has probability -0.5 for next state 1"),
        (lambda: small(sparse.csr_array([[1, 0], [1.5, -0.5], [0, 1]])), r"transition\[s=0, a=1\] has probability -0.5 for next"),
        (lambda: small([[1, 0], [np.nan, 1], [0, 1]]), r"transition\[1, 0\] is nan"),
        (lambda: small(sparse.csr_array([[1, 0], [np.inf, 1], [0, 1]])), r"transition\[1, 0\] is inf"),
        (lambda: small([ROWS, [[1, 0], [0, 1], [0.4, 0.5]]], gamma=None, horizon=2), r"transition\[h=1, s=1, a=0\] sums to 0.9"),
        (lambda: small([ROWS] * 3, gamma=None, horizon=2), "transition has 3 kernels and the horizon is 2"),
        (lambda: small([ROWS] * 2), "transition has 2 kernels and the horizon is None"),
        (lambda: small([[1, 0], [0]]), "transition is not an array of numbers"),
        (lambda: small(sparse.csr_array([[1j, 0], [0, 1], [0, 1]])), "not a matrix of real numbers"),
        (lambda: small(np.eye(3)), "transition has shape 3 x 3, expected 3 x 2"),
        (lambda: small(sparse.eye_array(3)), "transition has shape 3 x 3, expected 3 x 2"),
        (lambda: small(n_actions=[3, 0]), "state 1 has 0 actions\n.*'stay'"),
        (lambda: small(n_actions=[]), "there are no states"),
        (lambda: small(n_actions=[True, True]), "truth values"),
        (lambda: small(n_actions=[2**62, 2**62]), "too many to number"),
        (lambda: small(n_actions=[1.5, 1.5]), "not a whole number"),
        (lambda: small(reward=[1, 2]), "reward has shape 2, expected 3"),
        (lambda: small(reward=[1, np.inf, 2]), r"reward\[1\] is inf"),
        (lambda: small(reward=[[1, 2, 3]] * 2), "reward has shape 2 x 3, expected 3"),
        (lambda: small(reward=sparse.csr_array((2, 2))), "reward has shape 2 x 2, expected 3 x 2"),
        (lambda: small(gamma=1.0), r"gamma is 1, not in \[0, 1\)"),
        (lambda: small(gamma=1.5, horizon=3), r"gamma is 1.5, not in \[0, 1\]"),
        (lambda: small(gamma=-0.1), "gamma is -0.1"),
        (lambda: small(gamma=np.nan), "gamma is nan"),
        (lambda: small(gamma=None), "neither gamma nor a horizon"),
        (lambda: small(horizon=0), "horizon is 0"),
        (lambda: small(initial=[0.5, 0.4]), "initial sums to 0.9"),
        (lambda: small(initial=[1.5, -0.5]), r"initial\[1\] is -0.5"),
        (lambda: small(terminal=[0, 0]), "there is no horizon"),
        (lambda: small(states=["a", "a"]), "two states are called 'a'"),
        (lambda: small(states=["a"]), "states has 1 labels, expected 2"),
        (lambda: small(states="ab"), "states is 'ab', not a list"),
        (lambda: small(actions="abc"), "actions is 'abc', not a list"),
        (lambda: FiniteMDP.from_arrays([[[1, 0]]], [[1]], 0.5), "transition has shape 1 x 1 x 2"),
        (lambda: FiniteMDP.from_arrays([[[1]]], [[1, 2]], 0.5), "reward has shape 1 x 2, expected 1 x 1"),
        (lambda: FiniteMDP.from_arrays([[[1]]], [[1]], 0.5, available=[[2]]), r"available\[0, 0\] is 2"),
        (lambda: FiniteMDP.from_arrays([[[1]]], [[1]], 0.5, available=[[0]]), "state 0 has 0 actions"),
        (lambda: FiniteMDP.from_arrays([[[1], [1, 2]]], [[1]], 0.5), "transition is not an array of numbers"),
        (lambda: FiniteMDP.from_matrices([], [[1]], 0.5), "there are no actions"),
        (lambda: FiniteMDP.from_matrices([np.eye(2), np.eye(3)], [[1]], 0.5), r"transition\[1\] has shape 3 x 3"),
        (lambda: FiniteMDP.from_matrices([np.eye(2)], [[1, 2]], 0.5), "reward has shape 1 x 2, expected 2 x 1"),
        (lambda: FiniteMDP.from_matrices([np.eye(2)], [sparse.eye_array(2)] * 2, 0.5), "reward has 2 matrices"),
        (lambda: small().deterministic([0, 1]), r"choice\[1\] is 1; state 1 has 1 actions"),
        (lambda: small().deterministic([0]), "choice has shape 1, expected 2"),
        (lambda: small().check_policy([0.5, 0.4, 1]), "policy at state 0 sums to 0.9"),
        (lambda: small().check_policy([1.5, -0.5, 1]), r"policy\[1\] is -0.5"),
        (lambda: small().check_policy([1, 1]), "policy has shape 2, expected 3"),
        (lambda: small(gamma=None, horizon=2).check_policy([[0.5, 0.5, 1], [0.5, 0.5, 0.5]]), "state 1, step 1 sums to 0.5"),
        (lambda: small().state_number(0.5), "state is 0.5"),
    ],
)
def test_bad_input_is_refused_with_its_place(make, words):
    with pytest.raises(InvalidMDP, match=words):
        make()


def test_states_that_do_not_exist():
    with pytest.raises(UnknownName, match=r"unknown state 'hihg'\n.*'high'"):
        small(states=["high", "low"]).state_number("hihg")
    for state in (2, -1):
        with pytest.raises(UnknownName, match="there is no state"):
            small(initial=state)


@pytest.mark.parametrize("case", [*BOOK, *POLICY_CASES], ids=attrgetter("name"))
def test_the_textbook_agrees_with_what_it_prints(case):
    if case.printed is not None:
        assert np.abs(case.values - case.printed).max() <= 0.5 * 10.0**-case.decimals + 1e-12


def test_it_prints_what_it_is():
    assert repr(two_states(0.5)) == "<FiniteMDP 'two states': 2 states, 3 state-action pairs, discount 0.5, dense>"
    assert "horizon 4" in repr(small(gamma=None, horizon=4))
    assert forest().n_pairs == 6


@pytest.mark.parametrize("bad", [None, True, 3, 0.5, "abc", b"z", object()])
@pytest.mark.parametrize("what", ["states", "actions"])
def test_what_is_no_list_of_labels_is_refused(what, bad):
    with pytest.raises(InvalidMDP, match=f"{what} is .*, not a list of labels"):
        FiniteMDP([1], [[1.0]], [1.0], 0.9, **{what: bad})


@pytest.mark.parametrize("bad", [None, True, 3, "abc", object(), sparse.eye_array(2)])
def test_what_is_no_list_of_matrices_is_refused(bad):
    with pytest.raises(InvalidMDP, match="not a list of matrices"):
        FiniteMDP.from_matrices(bad, [[1.0]], 0.9)


@pytest.mark.parametrize("bad", [None, "x", -1, 0.5, True, [1], {}])
def test_what_is_no_seed_is_refused(bad):
    with pytest.raises(InvalidMDP, match="seed"):
        random_mdp(3, 2, 1, seed=bad)
    with pytest.raises(InvalidMDP, match="rng"):
        simulate(FiniteMDP([1], [[1.0]], [1.0], 0.9), [1.0], 1, 1, rng=bad)


def test_what_is_no_discrete_dp_is_refused():
    with pytest.raises(InvalidMDP, match="int is no DiscreteDP"):
        from_quantecon(3)


@pytest.mark.parametrize("bad", [LinearConstraint([1.0], upper=1.0), "x", [1], [None], np.ones(2), 3, True])
def test_what_is_no_list_of_constraints_is_refused(bad):
    mdp = FiniteMDP([1], [[1.0]], [1.0], 0.9)
    with pytest.raises(InvalidMDP, match="not a list of LinearConstraint"):
        solve_constrained(mdp, bad)
    for name in ("", 3, None):
        with pytest.raises(InvalidMDP, match="a constraint is called"):
            LinearConstraint([1.0], upper=1.0, name=name)


def test_one_value_for_all_states_has_advantages():
    mdp = FiniteMDP([2, 1], [[1, 0], [0, 1], [0, 1]], [5.0, 10.0, -1.0], gamma=0.9)
    assert advantages(mdp, 1.0) == pytest.approx([4.9, 9.9, -1.1])
