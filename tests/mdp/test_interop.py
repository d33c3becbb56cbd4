"""Processes from and to other libraries: the values are those of the other library's own solution."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse

from eqsolve.mdp import interop
from eqsolve.mdp.certificate import optimal_bracket, optimality_gap
from eqsolve.mdp.generators import forest, random_mdp
from eqsolve.mdp.interop import LibraryMissing, from_gymnasium, from_quantecon, to_quantecon
from eqsolve.mdp.model import FiniteMDP, InvalidMDP


def table_values(P, gamma, sweeps=3000):
    """Value iteration on Gymnasium's own table, where an end has no future."""
    v = np.zeros(len(P))
    for _ in range(sweeps):
        v = np.array(
            [max(sum(p * (r + gamma * v[to] * (not end)) for p, to, r, end in P[s][a]) for a in P[s]) for s in range(len(P))]
        )
    return v


@pytest.mark.parametrize(
    ("name", "options", "states", "gamma"),
    [
        ("FrozenLake-v1", {"map_name": "4x4"}, 17, 0.99),
        ("FrozenLake-v1", {"map_name": "8x8", "is_slippery": False}, 65, 0.9),
    ],
)
def test_environments_of_gymnasium(name, options, states, gamma):
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make(name, **options)
    mdp = from_gymnasium(env, gamma)
    assert mdp.n_states == states
    assert mdp.name == name
    assert mdp.initial[:-1] == pytest.approx(env.unwrapped.initial_state_distrib)
    true = table_values(env.unwrapped.P, gamma)
    assert optimal_bracket(mdp).lower[:-1] == pytest.approx(true, abs=1e-9)
    assert optimal_bracket(mdp).upper[-1] == pytest.approx(0.0, abs=1e-12)


def test_the_cliff():
    toys = pytest.importorskip("gymnasium.envs.toy_text")
    env = toys.CliffWalkingEnv()
    mdp = from_gymnasium(env, 0.95)
    assert mdp.n_states == 49
    assert optimal_bracket(mdp).lower[:-1] == pytest.approx(table_values(env.P, 0.95, 300), abs=1e-6)
    # thirteen steps along the edge, each for -1
    assert optimal_bracket(mdp).value_upper == pytest.approx(-(1 - 0.95**13) / 0.05, abs=1e-10)


def test_the_taxi():
    toys = pytest.importorskip("gymnasium.envs.toy_text")
    mdp = from_gymnasium(toys.TaxiEnv(), 0.9)
    assert (mdp.n_states, mdp.n_pairs) == (501, 3001)
    assert mdp.states[-1] == "end"
    # next to the goal with the passenger aboard, dropping him earns 20 at once
    assert optimal_bracket(mdp).upper.max() == pytest.approx(20.0, abs=1e-9)
    assert optimal_bracket(from_gymnasium(toys.TaxiEnv(), horizon=2)).lower.max() == pytest.approx(20.0)


def test_an_environment_by_its_id():
    pytest.importorskip("gymnasium")
    assert from_gymnasium("FrozenLake-v1", horizon=100).n_states == 17


def test_ends_duplicates_and_starts():
    uncertain = [(0.25, 1, 1.0, False), (0.25, 1, 3.0, False), (0.5, 0, 10.0, True)]
    table = {0: {0: uncertain, 1: [(1.0, 0, 0.0, False)]}, 1: {0: [(1.0, 1, 2, False)]}}
    env = SimpleNamespace(P=table, start_state_index=1)
    mdp = from_gymnasium(env, 0.5, name="mine")
    assert mdp.kernel().toarray().tolist() == [[0, 0.5, 0.5], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert mdp.reward.tolist() == [6, 0, 2, 0]
    assert mdp.initial.tolist() == [0, 1, 0]
    assert from_gymnasium(SimpleNamespace(P={0: {0: [(1.0, 0, 1.0, False)]}}, start_state_index=0), 0.5).n_states == 1


@pytest.mark.parametrize(
    ("env", "words"),
    [
        (SimpleNamespace(), "does not tell its kernel"),
        (SimpleNamespace(P={0: {0: [(1.0, 0, 1.0, False)]}}), "does not tell where it starts"),
        (SimpleNamespace(P={0: {0: [(0.5, 0, 1.0, False)]}}, start_state_index=0), "sums to 0.5"),
        (SimpleNamespace(P={0: {0: [(1.0, 7, 1.0, False)]}}, start_state_index=0), "next state of P.* is 7"),
        (SimpleNamespace(P={0: {1: [(1.0, 0, 1.0, False)]}}, start_state_index=0), "P is not a table"),
        (SimpleNamespace(P={0: {0: [1.0]}}, start_state_index=0), "P is not a table"),
        (SimpleNamespace(P={0: {}}, start_state_index=0), "state 0 has 0 actions"),
    ],
)
def test_environments_that_are_no_processes(env, words):
    with pytest.raises(InvalidMDP, match=words):
        from_gymnasium(env, 0.9)


def test_the_three_forms_of_quantecon():
    quantecon = pytest.importorskip("quantecon")
    rng = np.random.default_rng(0)
    Q, R = rng.dirichlet(np.ones(6), (6, 3)), rng.normal(size=(6, 3))
    R[2, 0] = R[4, 1] = -np.inf
    product = quantecon.markov.DiscreteDP(R, Q, 0.95)
    s, a = np.nonzero(np.isfinite(R))
    shuffled = rng.permutation(len(s))
    pairs = quantecon.markov.DiscreteDP(R[s, a][shuffled], Q[s, a][shuffled], 0.95, s[shuffled], a[shuffled])
    thin = quantecon.markov.DiscreteDP(R[s, a], sparse.csr_matrix(Q[s, a]), 0.95, s, a)
    for ddp in (product, pairs, thin):
        mdp, solved = from_quantecon(ddp), ddp.solve(method="policy_iteration")
        assert mdp.n_pairs == 16
        assert [mdp.action_label(int(mdp.first[2]) + k) for k in (0, 1)] == ["1", "2"]
        assert optimal_bracket(mdp).lower == pytest.approx(solved.v, abs=1e-9)
        own = [mdp.actions[int(mdp.first[k]) : int(mdp.first[k + 1])].index(str(best)) for k, best in enumerate(solved.sigma)]
        assert optimality_gap(mdp, mdp.deterministic(own), everywhere=True).holds(1e-9)
    assert from_quantecon(thin).is_sparse


def test_there_and_back():
    pytest.importorskip("quantecon")
    for mdp in (forest(), random_mdp(20, 3, 4, 0.9, seed=0, ragged=True), random_mdp(10, 2, 3, 0.9, seed=1, dense=True)):
        ddp = to_quantecon(mdp)
        assert ddp.solve(method="policy_iteration").v == pytest.approx(optimal_bracket(mdp).lower, abs=1e-8)
        again = from_quantecon(ddp)
        assert (again.reward == mdp.reward).all()
        assert np.abs(again.kernel() - mdp.kernel()).max() == 0


def test_what_does_not_fit():
    undiscounted = SimpleNamespace(R=[[1.0]], Q=[[[1.0]]], beta=1.0, s_indices=None, a_indices=None)
    with pytest.raises(InvalidMDP, match="beta is 1"):
        from_quantecon(undiscounted)
    assert from_quantecon(undiscounted, horizon=3).gamma == 1.0
    alone = SimpleNamespace(R=[[-np.inf]], Q=[[[1.0]]], beta=0.5, s_indices=None, a_indices=None)
    with pytest.raises(InvalidMDP, match="state 0 has 0 actions"):
        from_quantecon(alone)
    with pytest.raises(InvalidMDP, match="depend on the step"):
        to_quantecon(FiniteMDP([1], [[1.0]], [[1.0], [2.0]], horizon=2))


def test_a_missing_library_names_the_extra(monkeypatch):
    def nothing(name):
        raise ImportError(name)

    monkeypatch.setattr(interop, "import_module", nothing)
    with pytest.raises(LibraryMissing, match=r"gymnasium is not installed\n.*eqsolve\[gymnasium\]"):
        from_gymnasium("FrozenLake-v1", 0.9)
    with pytest.raises(LibraryMissing, match=r"eqsolve\[quantecon\]"):
        to_quantecon(forest())
