"""Joint policies over a network against products, sums and counts over all joint actions."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from eqsolve.bayesian_network import BayesianNetwork, BayesianNetworkPolicy, InvalidPolicy
from eqsolve.bayesian_network.policy import check_plays
from eqsolve.driver.pack import from_bytes, to_bytes
from tests.bayesian_network.games import (
    joint_actions,
    joint_by_hand,
    networks,
    random_logits,
    random_network,
    random_policy,
    spoilt,
)

Net, Policy = BayesianNetwork, BayesianNetworkPolicy


def random_sizes(rng, N, most=3):
    return tuple(rng.integers(1, most + 1, N).tolist())


def case(seed, agents=4):
    """A policy with rows of all kinds, over a random network of agents with one to three actions."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, int(rng.integers(1, agents + 1)))
    S, m = int(rng.integers(1, 4)), random_sizes(rng, network.n_agents)
    policy = random_policy(rng, network, S, m)
    return (spoilt(rng, policy) if seed % 2 else policy), rng


SEEDS = range(30)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_joint_policy_is_the_product_of_the_tables(seed):
    policy, _ = case(seed)
    S, m = policy.n_states, policy.n_actions
    joint = policy.joint()
    assert joint.shape == (S, *m)
    assert joint.reshape(S, -1).sum(axis=1) == pytest.approx(np.ones(S), abs=1e-12)
    assert joint.reshape(S, -1) == pytest.approx(joint_by_hand(policy.network, policy.tables, m), abs=1e-15)


@pytest.mark.parametrize("seed", SEEDS)
def test_marginals_are_sums_of_the_joint_policy(seed):
    policy, rng = case(seed)
    N, joint = policy.network.n_agents, policy.joint()
    for k in range(N + 1):
        agents = tuple(rng.permutation(N)[:k].tolist())
        others = tuple(i + 1 for i in range(N) if i not in agents)
        kept = sorted(agents)
        wanted = joint.sum(axis=others).transpose(0, *(kept.index(i) + 1 for i in agents))
        assert policy.marginal(agents) == pytest.approx(wanted, abs=1e-14)


def test_marginals_of_many_agents_need_no_joint_policy():
    rng = np.random.default_rng(0)
    m = (2, 3) * 30
    policy = random_policy(rng, Net.chain(60), 2, m)
    forward = policy.tables[0]
    for i in range(1, 60):
        forward = np.einsum("sa,sab->sb", forward, policy.tables[i])
    assert policy.marginal((59,)) == pytest.approx(forward, abs=1e-14)
    assert policy.marginal((59, 0)).sum(axis=2) == pytest.approx(forward, abs=1e-14)
    assert policy.marginal((59, 0)).sum(axis=1) == pytest.approx(policy.tables[0], abs=1e-14)


@pytest.mark.parametrize("seed", range(4))
def test_samples_follow_the_joint_policy(seed):
    policy, rng = case(seed, agents=3)
    S, m, n = policy.n_states, policy.n_actions, 300_000
    states = rng.integers(S, size=n)
    actions = policy.sample(np.random.default_rng(seed), states)
    assert actions.shape == (n, policy.network.n_agents)
    counts = np.zeros((S, np.prod(m)), dtype=int)
    np.add.at(counts, (states, np.ravel_multi_index(tuple(actions.T), m)), 1)
    expected, trials = joint_by_hand(policy.network, policy.tables, m), np.bincount(states, minlength=S)[:, None]
    tail = np.minimum(binom.cdf(counts, trials, expected), binom.sf(counts - 1, trials, expected))
    assert tail.min() > 1e-7  # of some hundred counts, the rarest is one in thousands
    assert not counts[expected == 0].any()


def test_samples_are_those_of_the_seed():
    policy, rng = case(3)
    states = rng.integers(policy.n_states, size=500)
    first, again, other = (policy.sample(np.random.default_rng(k), states) for k in (7, 7, 8))
    assert first.tobytes() == again.tobytes()
    assert (first != other).any()
    assert policy.sample(np.random.default_rng(0), []).shape == (0, policy.network.n_agents)


@pytest.mark.parametrize("seed", SEEDS)
def test_likelihoods_are_logarithms_of_the_joint_policy(seed):
    policy, _ = case(seed)
    S, m = policy.n_states, policy.n_actions
    a = joint_actions(m)
    states, actions = np.repeat(np.arange(S), len(a)), np.tile(a, (S, 1))
    joint = joint_by_hand(policy.network, policy.tables, m).reshape(-1)
    found = policy.log_likelihood(states, actions)
    assert np.isneginf(found).tolist() == (joint == 0).tolist()
    assert np.exp(found) == pytest.approx(joint, abs=1e-14)


def test_greedy_takes_the_first_of_the_likeliest():
    policy = Policy(Net.chain(2), ([[0.4, 0.2, 0.4], [0.2, 0.3, 0.5]], np.array([[[0.5, 0.5], [0.1, 0.9], [1.0, 0.0]]] * 2)))
    greedy = policy.greedy()
    assert greedy.tables[0].tolist() == [[1, 0, 0], [0, 0, 1]]
    assert greedy.tables[1].tolist() == [[[1, 0], [0, 1], [1, 0]]] * 2
    assert greedy.joint().max(axis=(1, 2)).tolist() == [1, 1]


@pytest.mark.parametrize("seed", range(10))
def test_a_dense_network_holds_every_joint_policy(seed):
    rng = np.random.default_rng(seed)
    m = random_sizes(rng, 3)
    joint = rng.dirichlet(np.ones(np.prod(m)), 2) if seed % 2 else rng.dirichlet(np.full(np.prod(m), 0.05), 2)
    joint = joint.reshape(2, *m)
    for order in permutations(range(3)):
        network = Net.dense(3, order)
        assert Policy.from_joint(network, joint).joint() == pytest.approx(joint, abs=1e-15)


def divergence(p, q):
    """KL(p, q) averaged over states."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(p > 0, p * np.log(p / q), 0.0).sum() / len(p))


@pytest.mark.parametrize("seed", range(20))
def test_other_networks_hold_the_closest_policy(seed):
    """Closest in relative entropy: no random tables are closer, nor any near its own."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, 3, 0.4)
    m = random_sizes(rng, 3)
    joint = rng.dirichlet(np.ones(np.prod(m)), 2).reshape(2, *m)
    found = Policy.from_joint(network, joint)
    least = divergence(joint, found.joint())
    for scale in (1e-3, 0.03, 1.0):
        for _ in range(10):
            near = [a + scale * b for a, b in zip(found.logits(), random_logits(rng, network, 2, m), strict=True)]
            assert divergence(joint, Policy.softmax(network, near).joint()) >= least - 1e-15
            other = random_policy(rng, network, 2, m)
            assert divergence(joint, other.joint()) >= least - 1e-15
    own = random_policy(rng, network, 2, m)
    assert Policy.from_joint(network, own.joint()).joint() == pytest.approx(own.joint(), abs=1e-14)


def test_rows_that_are_never_reached_are_uniform():
    found = Policy.from_joint(Net.dense(2), [[[0.25, 0.75], [0.0, 0.0]]])
    assert found.tables[1].tolist() == [[[0.25, 0.75], [0.5, 0.5]]]


@given(networks(5), st.integers(0, 2**32), st.data())
def test_more_edges_keep_the_joint_policy(network, seed, data):
    rng = np.random.default_rng(seed)
    policy = random_policy(rng, network, 2, random_sizes(rng, network.n_agents))
    wider = network
    for _ in range(data.draw(st.integers(0, 4))):
        j, i = rng.integers(network.n_agents, size=2).tolist()
        if j not in wider.parents[i] and not wider.creates_cycle(j, i):
            wider = wider.with_edge(j, i)
    same = policy.over(wider)
    assert same.network == wider
    assert same.joint() == pytest.approx(policy.joint(), abs=1e-15)
    for lacking in set(wider.edges) - set(network.edges):
        with pytest.raises(InvalidPolicy, match=rf"the network lacks the edge \({lacking[0]}, {lacking[1]}\) of the policy"):
            same.over(Net.from_edges(network.n_agents, set(wider.edges) - {lacking}))


@pytest.mark.parametrize("seed", range(5))
def test_softmax(seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng, 3)
    m = random_sizes(rng, 3)
    logits = random_logits(rng, network, 2, m, scale=3.0)
    policy = Policy.softmax(network, logits)
    for table, theta in zip(policy.tables, logits, strict=True):
        weight = np.exp(theta)
        assert table == pytest.approx(weight / weight.sum(axis=-1)[..., None], rel=1e-13)
    shifted = [theta + rng.standard_normal(theta.shape[:-1])[..., None] for theta in logits]
    for one, table in zip(Policy.softmax(network, shifted).tables, policy.tables, strict=True):
        assert one == pytest.approx(table, rel=1e-12)
    for one, table in zip(Policy.softmax(network, policy.logits()).tables, policy.tables, strict=True):
        assert one == pytest.approx(table, rel=1e-12)
    for one in Policy.softmax(network, [1000.0 * theta for theta in logits]).tables:
        assert np.isfinite(one).all()


def test_the_uniform_policy():
    policy = Policy.uniform(Net.chain(3), 2, [2, 3, 1])
    assert [one.shape for one in policy.tables] == [(2, 2), (2, 2, 3), (2, 3, 1)]
    assert policy.joint() == pytest.approx(np.full((2, 2, 3, 1), 1 / 6), abs=1e-16)


@pytest.mark.parametrize("seed", range(5))
def test_it_survives_being_written(seed):
    policy, _ = case(seed)
    data = to_bytes(policy)
    again = from_bytes(data, "a policy")
    assert isinstance(again, Policy)
    assert again.network == policy.network
    assert [one.tobytes() for one in again.tables] == [one.tobytes() for one in policy.tables]
    assert to_bytes(again) == data


def test_it_shares_no_memory_with_its_maker_and_cannot_be_changed():
    given_table = np.full((1, 2), 0.5)
    policy = Policy(Net.product(1), (given_table,))
    given_table[:] = 7.0
    assert policy.tables[0].tolist() == [[0.5, 0.5]]
    for held in (policy.tables[0], policy.joint(), policy.marginal((0,))):
        with pytest.raises(ValueError, match="read-only"):
            held[0, 0] = 1.0


HALF = [[0.5, 0.5]]
PAIR = Policy.uniform(Net.chain(2), 1, (2, 2))
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Policy(Net.chain(2), (HALF,)), "there are 1 tables, and the network has 2 agents"),
        (lambda: Policy(Net.chain(2), (HALF, HALF)), r"tables\[1\] has shape 1 x 2, expected 1 x 2 x 2 \(states, .*parents \(0,\)"),
        (lambda: Policy(Net.product(2), (HALF, HALF * 2)), r"tables\[1\] has shape 2 x 2, expected 1 x 2"),
        (lambda: Policy(Net.chain(2), (HALF, [[[0.5, 0.5]] * 3])), r"tables\[1\] has shape 1 x 3 x 2, expected 1 x 2 x 2"),
        (lambda: Policy(Net.product(1), ([0.5, 0.5],)), r"tables\[0\] has shape \(2,\); a table has axes"),
        (lambda: Policy(Net.product(1), (np.zeros((1, 0)),)), r"tables\[0\] has shape \(1, 0\)"),
        (lambda: Policy(Net.product(1), ([[0.5, 0.4]],)), r"agent 0 in state 0 sums to 0.9, not 1"),
        (
            lambda: Policy(Net.chain(2), ([[0.5, 0.5]] * 2, [[[0.5, 0.5]] * 2, [[0.5, 0.5], [0.3, 0.6]]])),
            r"agent 1 in state 1, its parents playing \(1,\) sums to 0.9",
        ),
        (lambda: Policy(Net.product(1), ([[0.5, 0.5 + 3e-9]],)), "sums to 1.000000003, not 1"),
        (lambda: Policy(Net.product(2), (HALF, [[1.5, -0.5]])), r"tables\[1\]\[0, 1\] is -0.5, a negative probability"),
        (lambda: Policy(Net.product(1), ([[np.nan, 1.0]],)), r"tables\[0\]\[0, 0\] is nan"),
        (lambda: Policy(Net.product(1), (["half"],)), r"tables\[0\] is not an array of numbers"),
        (lambda: Policy.uniform(Net.product(2), 1, [2]), "n_actions has shape 1, expected 2"),
        (lambda: Policy.uniform(Net.product(2), 1, [2, 0]), r"n_actions\[1\] is 0"),
        (lambda: Policy.uniform(Net.product(2), 0, [2, 2]), "n_states is 0"),
        (lambda: Policy.softmax(Net.product(1), [[[np.inf, 0.0]]]), r"logits\[0\]\[0, 0\] is inf"),
        (lambda: Policy.softmax(Net.product(1), [1.0]), r"logits\[0\] has shape \(\)"),
        (lambda: Policy.softmax(Net.product(1), [np.zeros((1, 0))]), r"logits\[0\] has shape \(1, 0\)"),
        (lambda: Policy.from_joint(Net.dense(2), HALF), "joint has 1 axes of actions, and the network has 2 agents"),
        (lambda: Policy.from_joint(Net.dense(2), [[[1, 1], [1, 1]]]), "joint of state 0 sums to 4, not 1"),
        (lambda: Policy.from_joint(Net.dense(2), [[[0.5, 0.5], [0.5, -0.5]]]), r"joint\[0, 1, 1\] is -0.5, a negative probability"),
        (lambda: PAIR.over(Net.product(2)), r"the network lacks the edge \(0, 1\) of the policy"),
        (lambda: PAIR.over(Net.product(3)), "the network has 3 agents and the policy has 2"),
        (lambda: PAIR.marginal((0, 0)), r"agents \(0, 0\) has an agent twice"),
        (lambda: PAIR.marginal((2,)), "agent is 2, more than 1"),
        (lambda: PAIR.sample(RNG, [0, 1]), r"states\[1\] is 1\n  The states are 0 to 0"),
        (lambda: PAIR.sample(RNG, [-1]), r"states\[0\] is -1"),
        (lambda: PAIR.sample(RNG, [0.5]), r"states\[0\] is 0.5, not a whole number"),
        (lambda: PAIR.log_likelihood([1], [[0, 0]]), r"states\[0\] is 1\n"),
        (lambda: PAIR.log_likelihood([-1], [[0, 0]]), r"states\[0\] is -1\n"),
        (lambda: PAIR.log_likelihood([0], [[0, 2]]), r"actions\[0, 1\] is 2, and agent 1 has 2 actions"),
        (lambda: PAIR.log_likelihood([0], [[0, -1]]), r"actions\[0, 1\] is -1"),
        (lambda: PAIR.log_likelihood([0, 0], [[0, 0]]), "actions has shape 1 x 2, expected 2 x 2"),
        (lambda: Policy.uniform(Net.product(40), 1, [2] * 40).joint(), "1,099,511,627,776 actions in 1 states"),
        (lambda: Policy.uniform(Net.product(3000), 1, [2] * 3000).joint(), r"has 1.2e\+903 actions"),
        (
            lambda: Policy.uniform(Net.product(40), 1, [2] * 40).marginal(range(30)),
            "cliques of up to 30 agents: 2,147,483,666 numbers\n.*Ask for fewer",
        ),
        (lambda: check_plays(np.ones((1, 2)), 1, (2, 2)), "a ndarray is not a policy over a Bayesian network"),
        (lambda: check_plays(PAIR, 2, (2, 2)), "of another game: 1 states"),
        (lambda: check_plays(PAIR, 1, (2, 3)), r"This game has 1 states and actions \(2, 3\)"),
    ],
)
def test_bad_policies_are_refused(make, words):
    with pytest.raises(InvalidPolicy, match=words):
        make()


def test_it_prints_what_it_is():
    assert repr(PAIR) == "<BayesianNetworkPolicy over a dense, 2 agents, 1 edge; 1 states>"
    assert check_plays(PAIR, 1, (2, 2)) is PAIR
