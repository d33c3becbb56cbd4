"""Elimination over the agents against sums over all joint actions, and against recursions along a chain of fifty agents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from eqsolve.bayesian_network import (
    BayesianNetwork,
    BayesianNetworkPolicy,
    CooperativeMarkovGame,
    InvalidNetwork,
    InvalidPolicy,
    coordination_line,
    evaluate,
    random_cooperative,
    random_factored,
)
from eqsolve.bayesian_network.buckets import Buckets
from eqsolve.bayesian_network.evaluation import Evaluator
from eqsolve.errors import InvalidData, InvalidGame
from eqsolve.mdp import evaluate as evaluate_process
from eqsolve.mdp import q_values, visitation
from tests.bayesian_network.games import (
    FORMS,
    joint_actions,
    joint_by_hand,
    networks,
    random_case,
    random_game,
    random_network,
    random_policy,
    spoilt,
)

Net, Policy = BayesianNetwork, BayesianNetworkPolicy
CASES = [(FORMS[seed % len(FORMS)], seed) for seed in range(60)]


def by_family(weights, m, agents):
    """(S, m_agents...) a table over joint actions (S, A) summed onto some agents."""
    total = np.zeros((len(weights), *(m[i] for i in agents)))
    for k, a in enumerate(joint_actions(m)):
        total[(slice(None), *(a[i] for i in agents))] += weights[:, k]
    return total


def assert_all_as_by_hand(game, dense, policy):
    """Everything that an evaluation says, from the joint process and sums over joint actions. Returns the largest error."""
    found = evaluate(game, policy)
    process, network, m = dense.process(), policy.network, dense.m
    joint = joint_by_hand(network, policy.tables, m)
    values = evaluate_process(process, joint.reshape(-1))
    d = visitation(process, joint.reshape(-1), normalised=False).reshape(joint.shape)
    q = q_values(process, values).reshape(joint.shape)
    scale = 1.0 / (1.0 - dense.gamma)
    errors = [
        np.abs(found.values - values).max() / scale,
        abs(found.value - dense.value(joint)) / scale,
        np.abs(found.visits - d.sum(axis=1)).max() / scale,
        np.abs(found.visitation() * (1 - dense.gamma) - found.visitation(normalised=True)).max(),
    ]
    assert found.visits.sum() == pytest.approx(scale, rel=1e-12)
    for i in range(len(m)):
        parents, family = network.parents[i], network.family(i)
        errors += [np.abs(found.visitation(one) - by_family(d, m, one)).max() / scale for one in (parents, family)]
        # Without the agent's own table: its action is given, and the others follow it.
        others = joint_by_hand(network, [np.ones_like(t) if j == i else t for j, t in enumerate(policy.tables)], m)
        reached = by_family(joint, m, parents)[..., None] > 0
        mass = by_family(others, m, family)
        with np.errstate(invalid="ignore", divide="ignore"):
            wanted = np.where(reached, by_family(others * q, m, family) / mass, np.nan)
        base = (policy.tables[i] * wanted).sum(axis=-1, keepdims=True)
        weight = by_family(joint, m, parents)[..., None]
        for seen, told in (
            (found.action_values(i), wanted),
            (found.advantages(i), wanted - base),
            (found.weighted_advantages(i), np.where(reached, weight * (wanted - base), 0.0)),
        ):
            assert np.isnan(seen).tolist() == np.isnan(told).tolist()
            errors.append(np.nanmax(np.abs(seen - told), initial=0.0) / scale)
    assert np.max(errors) < 1e-11  # not of NaN either
    return max(errors)


@pytest.mark.parametrize(("form", "seed"), CASES)
def test_evaluations_are_sums_over_joint_actions(form, seed):
    assert_all_as_by_hand(*random_case(seed, form))


@pytest.mark.parametrize(("form", "seed"), CASES[:30])
def test_actions_that_are_never_played(form, seed):
    """Rows may be deterministic: what no parent does has no value, and what an agent never does has the one it would have."""
    game, dense, policy = random_case(seed, form)
    assert_all_as_by_hand(game, dense, spoilt(np.random.default_rng(seed), policy, 0.6))


@pytest.mark.parametrize("m", [(1,), (3,), (1, 1, 1), (1, 3, 1), (2, 1, 3), (3, 1, 1, 2)])
@pytest.mark.parametrize("form", FORMS)
def test_agents_with_one_action(form, m):
    rng = np.random.default_rng(len(m))
    game, dense = random_game(rng, form, m)
    for network in (Net.product(len(m)), Net.chain(len(m)), Net.dense(len(m), range(len(m))[::-1])):
        assert_all_as_by_hand(game, dense, random_policy(rng, network, game.n_states, m))


def scopes_of(rng, N, count):
    return [tuple(rng.permutation(N)[: rng.integers(0, min(N, 3) + 1)].tolist()) for _ in range(count)]


@given(networks(8), st.integers(0, 2**32), st.integers(0, 6))
def test_cliques_hold_what_they_should(network, seed, count):
    rng = np.random.default_rng(seed)
    N = network.n_agents
    m, scopes = tuple(rng.integers(1, 4, N).tolist()), scopes_of(rng, N, count)
    buckets = Buckets.of(network, m, scopes)
    rank = {i: k for k, i in enumerate(buckets.order)}
    assert sorted(buckets.order) == list(range(N))
    assert all(rank[j] < rank[i] for j, i in network.edges)
    for i, clique in enumerate(buckets.cliques):
        assert clique[-1] == i
        assert list(clique) == sorted(clique, key=rank.__getitem__)
        assert set(network.family(i)) <= set(clique)
        above = buckets.above[i]
        assert (above < 0) == (len(clique) == 1)
        if above >= 0:
            assert set(clique[:-1]) <= set(buckets.cliques[above])
    for scope in scopes:
        assert set(scope) <= set(buckets.cliques[buckets.home(scope)]) if scope else buckets.home(scope) == -1
    assert buckets.width == max(map(len, buckets.cliques)) - 1
    assert buckets.cells(m) == sum(int(np.prod([m[i] for i in clique])) for clique in buckets.cliques)


@pytest.mark.parametrize(
    ("network", "scopes", "width"),
    [
        (Net.product(6), [], 0),
        (Net.product(6), [(i, i + 1) for i in range(5)], 1),
        (Net.product(6), [(i, i + 1, i + 2) for i in range(4)], 2),
        (Net.product(6), [tuple(range(6))], 5),
        (Net.product(6), [(i, (i + 1) % 6) for i in range(6)], 2),
        (Net.chain(6), [], 1),
        (Net.chain(6), [(i, i + 1) for i in range(5)], 1),
        (Net.chain(6, [2, 1, 0, 3, 4, 5]), [(2, 1), (0, 3)], 1),
        (Net.chain(6), [(i, i + 1, i + 2) for i in range(4)], 2),
        (Net.chain(6), [(0, 5)], 2),
        (Net.tree(31), [], 1),
        (Net.tree(31), [((i - 1) // 2, i) for i in range(1, 31)], 1),
        (Net.tree(40, branching=3), [(i,) for i in range(40)], 1),
        (Net.dense(6), [], 5),
        (Net.from_edges(5, [(i, 4) for i in range(4)]), [], 4),
    ],
)
def test_the_width_of_an_elimination(network, scopes, width):
    """A chain with a reward between its ends is a cycle, of treewidth 2; a line and a tree have treewidth 1."""
    assert Buckets.of(network, (2,) * network.n_agents, scopes).width == width


def along_the_chain(game, policy, s):
    """Forward and backward over a chain in one state, from factors (i, i + 1): mean reward, transitions, and Pr(a^i)."""
    pairs = {one.agents[0]: one.table[s] for one in game.reward}
    moves = {one.agents[0]: one.table[s] for one in game.moves if one.agents}
    p, reward, chain, reached = policy.tables[0][s], 0.0, 0.0, [policy.tables[0][s]]
    for i in range(1, game.n_agents):
        both = p[:, None] * policy.tables[i][s]
        reward += (both * pairs[i - 1]).sum()
        if moves:
            chain = chain + np.einsum("ab,abt->t", both, moves[i - 1])
        p = both.sum(axis=0)
        reached.append(p)
    return reward, chain if moves else np.ones(1), reached


@pytest.mark.parametrize("states", [1, 3])
def test_fifty_agents_on_a_chain(states):
    rng = np.random.default_rng(0)
    N, m = 50, tuple(rng.integers(1, 6, 50).tolist())
    game = random_factored(states, m, gamma=0.9, seed=1)
    policy = random_policy(rng, Net.chain(N), states, m)
    found = evaluate(game, policy)
    rewards, chains, reached = zip(*(along_the_chain(game, policy, s) for s in range(states)), strict=True)
    values = np.linalg.solve(np.eye(states) - 0.9 * np.array(chains), rewards)
    assert found.values == pytest.approx(values, rel=1e-12)
    assert found.value == pytest.approx(values.mean(), rel=1e-12)
    visits = np.linalg.solve(np.eye(states) - 0.9 * np.array(chains).T, game.initial)
    assert found.visits == pytest.approx(visits, rel=1e-12)
    worth = [one.table + 0.9 * ((move.table @ values) if states > 1 else 0.0) for one, move in zip_moves(game)]
    for s in range(states):
        before = [np.zeros(m[0])]  # the mean of what lies before agent i, given its action
        for i in range(1, N):
            both = reached[s][i - 1][:, None] * policy.tables[i][s]
            before.append((both * (before[-1][:, None] + worth[i - 1][s])).sum(axis=0) / reached[s][i])
        after = [np.zeros(m[-1])]  # of what lies behind it
        for i in range(N - 1, 0, -1):
            after.insert(0, (policy.tables[i][s] * (worth[i - 1][s] + after[0])).sum(axis=1))
        left = 0.9 * values[s] if states == 1 else 0.0
        for i in (1, 7, 25, 49):
            wanted = before[i - 1][:, None] + worth[i - 1][s] + after[i] + left
            assert found.action_values(i)[s] == pytest.approx(wanted, rel=1e-11)
            assert found.visitation((i - 1,))[s] == pytest.approx(visits[s] * reached[s][i - 1], rel=1e-11)


def zip_moves(game):
    return zip(game.reward, game.moves if game.n_states > 1 else [None] * len(game.reward), strict=True)


def test_factors_of_one_scope_are_one():
    rng = np.random.default_rng(0)
    table = rng.random((1, 2, 2))
    twice = CooperativeMarkovGame([2, 2], None, [((0, 1), table), ((1, 0), table.transpose(0, 2, 1)), ((0,), [[1.0, 2.0]])], 0.5)
    policy = random_policy(rng, Net.chain(2), 1, (2, 2))
    assert len(Evaluator.of(twice, policy.network).reward) == 2
    wanted = (policy.joint() * (2 * table + np.array([1.0, 2.0])[:, None])).sum() / 0.5
    assert evaluate(twice, policy).value == pytest.approx(wanted, rel=1e-14)


def test_sparse_kernels_stay_sparse():
    game = random_cooperative(2000, (2, 2), successors=2, seed=0)
    policy = random_policy(np.random.default_rng(0), Net.dense(2), 2000, (2, 2))
    found = evaluate(game, policy)
    values = evaluate_process(game.joint_mdp(), policy.joint().reshape(-1))
    assert sparse.issparse(found.evaluator.kernel)
    assert found.values == pytest.approx(values, rel=1e-11)


PAIR = Policy.uniform(Net.chain(2), 1, (2, 2))
LINE = coordination_line(5, 2)
PAIRS = [((i, j), np.zeros((1, 2, 2))) for i in range(30) for j in range(i)]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: evaluate(CooperativeMarkovGame([2] * 30, None, PAIRS, 0.0), Policy.uniform(Net.product(30), 1, [2] * 30)),
            InvalidGame,
            "cliques of up to 30 agents: 2,147,483,646 numbers\n  At most 50,000,000.*take edges out",
        ),
        (
            lambda: Evaluator.of(coordination_line(30, 2), Net.dense(30)),
            InvalidNetwork,
            "the table of agent 25 would hold 67,108,864 n",
        ),
        (
            lambda: Evaluator.of(coordination_line(2000, 2), Net.from_edges(2000, [(i, 1999) for i in range(1999)])),
            InvalidNetwork,
            r"agent 1999 would hold 1.1e\+602 numbers: its parents have 5.7e\+601 joint actions",
        ),
        (lambda: Evaluator.of(LINE, Net.chain(4)), InvalidNetwork, "the network has 4 agents and there are 5"),
        (lambda: evaluate(LINE, PAIR), InvalidPolicy, "of another game"),
        (lambda: evaluate(LINE, "uniform"), InvalidPolicy, "a str is not a policy"),
        (lambda: on_the_line().visitation((0, 3)), InvalidData, r"agents \(0, 3\) are not different agents of one clique"),
        (lambda: on_the_line().visitation((0, 0)), InvalidData, r"agents \(0, 0\) are not different"),
        (lambda: on_the_line().visitation((5,)), InvalidData, "agent is 5, more than 4"),
    ],
)
def test_what_cannot_be_evaluated(call, error, words):
    with pytest.raises(error, match=words):
        call()


def on_the_line():
    return evaluate(LINE, Policy.uniform(Net.product(5), 1, [2] * 5))


def test_random_networks_of_the_tests_are_of_all_kinds():
    found = [random_network(np.random.default_rng(k), 4) for k in range(300)]
    assert {len(one.edges) for one in found} == set(range(7))
