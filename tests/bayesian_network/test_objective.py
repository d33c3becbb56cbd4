"""The log-barrier objective and its gradient against differences of its definition, and the formula of the paper as printed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eqsolve.bayesian_network import (
    BayesianNetwork,
    BayesianNetworkPolicy,
    InvalidPolicy,
    barrier_objective,
    penalty_game,
    policy_gradient,
    random_cooperative,
)
from eqsolve.bayesian_network.layout import Layout
from eqsolve.bayesian_network.objective import Objective
from eqsolve.errors import InvalidData, UnknownName
from eqsolve.mdp import evaluate as evaluate_process
from eqsolve.mdp import q_values, visitation
from tests.bayesian_network.games import (
    FORMS,
    joint_actions,
    joint_by_hand,
    networks,
    random_case,
    random_logits,
    random_network,
    random_policy,
    spoilt,
)

Net, Policy = BayesianNetwork, BayesianNetworkPolicy
STEP = 1e-5


class ByHand:
    """L_lambda over joint actions: V from the joint process, and the barrier as its definition has it. Takes complex logits."""

    def __init__(self, dense, network, lam):
        self.dense, self.network, self.lam = dense, network, lam

    def tables(self, logits):
        weights = [np.exp(one) for one in logits]
        return [one / one.sum(axis=-1)[..., None] for one in weights]

    def __call__(self, logits):
        tables = self.tables(logits)
        barrier = 0.0
        for table in tables:
            m = table.shape[-1]
            barrier += ((1.0 / m) * np.log(1.0 / m / table)).sum(axis=-1).mean()  # the KL of a row, averaged over (s, a^P)
        return self.dense.value(joint_by_hand(self.network, tables, self.dense.m)) - self.lam * barrier

    def moved(self, logits, i, at, by):
        return self([one if j != i else one + by * (np.arange(one.size) == at).reshape(one.shape) for j, one in enumerate(logits)])

    def differences(self, logits, quotient):
        return [np.array([quotient(i, k) for k in range(one.size)]).reshape(one.shape) for i, one in enumerate(logits)]

    def central(self, logits):
        def quotient(i, k):
            return (self.moved(logits, i, k, STEP) - self.moved(logits, i, k, -STEP)) / (2 * STEP)

        return self.differences(logits, quotient)

    def complex_step(self, logits):
        """Exact to rounding: nothing is subtracted."""
        return self.differences(logits, lambda i, k: self.moved(logits, i, k, 1e-30j).imag / 1e-30)


def case(seed):
    """A game in all forms in turn, itself over joint actions, a network, logits and lambda."""
    game, dense, policy = random_case(1000 + seed, FORMS[seed % len(FORMS)])
    rng = np.random.default_rng(seed)
    logits = random_logits(rng, policy.network, game.n_states, game.n_actions)
    return game, dense, policy.network, logits, float(rng.choice([0.01, 0.3, 2.0]))


def worst(found, wanted):
    assert [one.shape for one in found] == [one.shape for one in wanted]
    return np.max([np.abs(a - b).max() for a, b in zip(found, wanted, strict=True)])  # NaN if any is


SEEDS = range(100)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gradient_is_that_of_the_definition(seed):
    game, dense, network, logits, lam = case(seed)
    by_hand = ByHand(dense, network, lam)
    differences, exact = by_hand.central(logits), by_hand.complex_step(logits)
    objective = Objective.of(game, network, lam)
    layout = objective.evaluator.layout
    point = objective.at(layout.flatten(logits))
    for found in (
        policy_gradient(game, logits, network, lam),
        policy_gradient(game, logits, network, lam, normalised=True),
        layout.tables(objective.gradient(point)),
    ):
        assert worst(found, differences) < 1e-7
        assert worst(found, exact) < 1e-11
    assert worst([objective.value_gradient(point)], [objective.visited_advantages(point) * point.probability]) < 1e-14


@pytest.mark.parametrize("seed", SEEDS)
def test_the_objective_is_its_definition(seed):
    game, dense, network, logits, lam = case(seed)
    wanted = ByHand(dense, network, lam)(logits)
    policy = Policy.softmax(network, logits)
    objective = Objective.of(game, network, lam)
    shifted = [one + 3.0 * np.random.default_rng(seed).standard_normal(one.shape[:-1])[..., None] for one in logits]
    for start in (logits, shifted, policy.logits()):
        point = objective.at(objective.evaluator.layout.flatten(start))
        assert point.objective == pytest.approx(wanted, abs=1e-11)
        assert point.value == pytest.approx(dense.value(joint_by_hand(network, policy.tables, dense.m)), abs=1e-11)
        assert np.exp(point.logits) == pytest.approx(point.probability, rel=1e-13)
    assert barrier_objective(game, policy, lam) == pytest.approx(wanted, abs=1e-11)
    again = objective.at(objective.start(policy))
    assert again.objective == pytest.approx(wanted, abs=1e-11)
    same = objective.policy(again.probability)
    assert same.network == network
    assert worst(same.tables, policy.tables) < 1e-14


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_of_the_gradient_sum_to_zero(seed):
    """Adding a number to all logits of a row changes nothing."""
    game, _, network, logits, lam = case(seed)
    for one in policy_gradient(game, logits, network, lam):
        assert np.abs(one.sum(axis=-1)).max() < 1e-12


def as_printed(dense, network, logits, lam):
    """Lemma 1 of the paper, with the d of its section 2, the discounted sum of visits, which is not normalised."""
    m, tables = dense.m, ByHand(dense, network, lam).tables(logits)
    S, process = len(dense.r), dense.process()
    joint = joint_by_hand(network, tables, m)
    values = evaluate_process(process, joint.reshape(-1))
    q = q_values(process, values).reshape(joint.shape)
    d = visitation(process, joint.reshape(-1), normalised=False).reshape(joint.shape)
    found = []
    for i, table in enumerate(tables):
        parents, mine = network.parents[i], np.zeros(table.shape)
        for s in range(S):
            for at in np.ndindex(table.shape[1:]):
                seen, own = at[:-1], at[-1]
                like_parents = np.array([tuple(a[list(parents)]) == seen for a in joint_actions(m)])
                like_family = like_parents & (joint_actions(m)[:, i] == own)
                q_parents = (joint[s] * q[s])[like_parents].sum() / joint[s, like_parents].sum()
                q_family = (joint[s] * q[s])[like_family].sum() / joint[s, like_family].sum()
                pi = table[(s, *at)]
                mine[(s, *at)] = d[s, like_parents].sum() * pi * (q_family - q_parents) / (1 - dense.gamma)
                mine[(s, *at)] += lam / (S * np.prod([m[j] for j in parents])) * (1 / m[i] - pi)
        found.append(mine)
    return found


@pytest.mark.parametrize("seed", SEEDS[:40])
def test_the_paper_prints_a_gradient_only_without_future(seed):
    game, dense, network, logits, lam = case(seed)
    printed = policy_gradient(game, logits, network, lam, variant="paper")
    assert worst(printed, as_printed(dense, network, logits, lam)) < 1e-11
    assert worst(printed, policy_gradient(game, logits, network, lam, variant="paper", normalised=True)) == 0.0
    truth = ByHand(dense, network, lam).complex_step(logits)
    if dense.gamma == 0.0:
        assert worst(printed, truth) < 1e-11
        return
    flat, wanted = (np.concatenate([one.reshape(-1) for one in part]) for part in (printed, truth))
    if np.abs(wanted).max() < 1e-12:  # agents of one action
        assert np.abs(flat).max() < 1e-12
        return
    multiple = (flat @ wanted) / (wanted @ wanted)
    assert np.abs(flat - wanted).max() > 1e-3 * np.abs(wanted).max()
    assert np.abs(flat - multiple * wanted).max() > 1e-4 * np.abs(wanted).max()


def test_the_cases_have_a_future_and_none():
    gammas = [case(seed)[1].gamma for seed in SEEDS[:40]]
    assert {0.0, 0.5, 0.9} == set(gammas)
    assert sum(max(case(seed)[1].m) > 1 and gamma > 0 for seed, gamma in enumerate(gammas)) > 20


@given(networks(), st.integers(0, 2**32), st.integers(1, 3))
def test_the_barrier_is_one_divergence_of_joint_policies(network, seed, S):
    """sum_i E_unif log pi^i = E_unif log pi for every graph, so the barrier is KL of the uniform joint policy to the policy."""
    rng = np.random.default_rng(seed)
    m = tuple(rng.integers(1, 4, network.n_agents).tolist())
    policy = random_policy(rng, network, S, m)
    log_joint = np.log(joint_by_hand(network, policy.tables, m))
    by_agent = sum(np.log(one).mean() for one in policy.tables)
    assert by_agent == pytest.approx(log_joint.mean(), abs=1e-12)
    game = random_cooperative(S, m, gamma=0.0)
    objective = Objective.of(game, network, 0.7)
    log_pi = Layout(network, S, m).flatten(policy.logits())
    divergence = -log_joint.mean() - np.log(log_joint.shape[1])
    assert objective.divergence(log_pi) == pytest.approx(divergence, abs=1e-12)
    value = game.initial @ (np.exp(log_joint) * game.joint_reward().reshape(S, -1)).sum(axis=1)
    assert barrier_objective(game, policy, 0.7) == pytest.approx(value - 0.7 * divergence, abs=1e-12)
    assert divergence >= -1e-15


def test_the_uniform_policy_pays_no_barrier():
    game = random_cooperative(3, (2, 3), seed=1)
    uniform = Policy.uniform(Net.chain(2), 3, (2, 3))
    objective = Objective.of(game, Net.chain(2), 5.0)
    assert barrier_objective(game, uniform, 5.0) == pytest.approx(objective.at(objective.start()).value, abs=1e-14)
    assert np.abs(objective.barrier_gradient(objective.at(objective.start()).probability)).max() < 1e-16


@pytest.mark.parametrize("seed", range(12))
def test_a_probability_of_zero_costs_everything(seed):
    game, _, policy = random_case(seed, FORMS[seed % len(FORMS)])
    edge = spoilt(np.random.default_rng(seed), policy, 0.8)
    zeros = min(one.min() for one in edge.tables) == 0.0
    found = barrier_objective(game, edge, 0.1)
    assert np.isneginf(found) == zeros
    if zeros:
        with pytest.raises(InvalidData, match=r"logits of the start\[\d+\] is -inf"):
            Objective.of(game, edge.network, 0.1).start(edge)


def test_logits_may_be_extreme():
    """Where probabilities underflow to 0 the gradient is still one, without NaN."""
    game, network = penalty_game(), Net.chain(2)
    logits = [np.array([[1000.0, 0.0, 0.0]]), np.zeros((1, 3, 3))]
    objective = Objective.of(game, network, 0.3)
    layout = objective.evaluator.layout
    point = objective.at(layout.flatten(logits))
    assert point.value == pytest.approx(0.0, abs=1e-12)  # left against anything: 10, 0 and -10
    assert point.objective == pytest.approx(-0.3 * (1000 * 2 / 3 - np.log(3)), rel=1e-12)
    wanted = [np.array([[-0.2, 0.1, 0.1]]), np.array([[[10 / 3, 0, -10 / 3], [0, 0, 0], [0, 0, 0]]])]
    for found in (layout.tables(objective.gradient(point)), policy_gradient(game, logits, network, 0.3)):
        assert worst(found, wanted) < 1e-12


def test_a_start_over_fewer_edges_is_widened():
    game = penalty_game()
    product = random_policy(np.random.default_rng(0), Net.product(2), 1, (3, 3))
    objective = Objective.of(game, Net.dense(2), 0.2)
    assert objective.at(objective.start(product)).objective == pytest.approx(barrier_objective(game, product, 0.2), abs=1e-13)
    with pytest.raises(InvalidPolicy, match=r"lacks the edge \(0, 1\)"):
        Objective.of(game, Net.product(2), 0.2).start(product.over(Net.dense(2)))


GAME, UNIFORM = penalty_game(), Policy.uniform(Net.chain(2), 1, (3, 3))


@pytest.mark.parametrize("lam", [0.0, -1.0, np.nan, np.inf, None, True, "x"])
def test_lambda_must_be_above_zero(lam):
    for call in (
        lambda: Objective.of(GAME, UNIFORM.network, lam),
        lambda: barrier_objective(GAME, UNIFORM, lam),
        lambda: policy_gradient(GAME, UNIFORM.tables, UNIFORM.network, lam),
    ):
        with pytest.raises(InvalidData, match="lam is"):
            call()


def test_what_has_no_objective():
    with pytest.raises(UnknownName, match=r"unknown variant 'papper'\n.*'paper'"):
        policy_gradient(GAME, UNIFORM.tables, UNIFORM.network, 0.1, variant="papper")
    with pytest.raises(InvalidPolicy, match=r"tables\[1\] has shape 1 x 3, expected 1 x 3 x 3"):
        policy_gradient(GAME, [np.zeros((1, 3))] * 2, UNIFORM.network, 0.1)
    with pytest.raises(InvalidPolicy, match="of another game"):
        policy_gradient(GAME, [np.zeros((1, 2))] * 2, Net.product(2), 0.1)
    with pytest.raises(InvalidPolicy, match="of another game"):
        barrier_objective(random_cooperative(2, (3, 3)), UNIFORM, 0.1)
    with pytest.raises(InvalidPolicy, match="a ndarray is not a policy"):
        barrier_objective(GAME, np.ones(3), 0.1)
    with pytest.raises(InvalidPolicy, match="of another game"):
        Objective.of(GAME, Net.chain(2), 0.1).start(
            random_policy(np.random.default_rng(0), random_network(np.random.default_rng(0), 3), 1, (3,) * 3)
        )
