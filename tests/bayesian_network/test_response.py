"""Responses of one agent: the best table by trying all of them, and the optimum of its barrier problem by its program."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eqsolve.backends import solve_program
from eqsolve.bayesian_network import BayesianNetwork, BayesianNetworkPolicy, CooperativeMarkovGame, penalty_game
from eqsolve.bayesian_network.barrier import barrier_rows_program
from eqsolve.bayesian_network.barrier_iteration import AgentwiseBarrierIteration, barrier_path
from eqsolve.bayesian_network.certificate import nash_gap
from eqsolve.bayesian_network.evaluation import Evaluator
from eqsolve.bayesian_network.response import best_response, largest_gain
from eqsolve.certificates import certify
from eqsolve.driver import Run
from tests.bayesian_network import oracle
from tests.bayesian_network.games import random_logits, random_policy, spoilt
from tests.bayesian_network.methods import COLLIDER, GAMES, NETWORKS, ByHand, game, network_of, rescaled

CASES = [(form, seed) for form in oracle.FORMS for seed in range(14)]


def scale_of(one):
    return 1.0 + max(map(abs, one.reward_range)) / (1.0 - one.gamma)


def with_table(policy, i, table):
    tables = list(policy.tables)
    tables[i] = table
    return BayesianNetworkPolicy(policy.network, tuple(tables))


# The best table


@pytest.mark.parametrize(("form", "seed"), CASES)
def test_the_best_response_is_the_best_of_all_deterministic_tables(form, seed):
    one, policy = oracle.random_tiny(seed, form)
    evaluator = Evaluator.of(one, policy.network, compiled=False)
    unit = 1e-11 * scale_of(one)
    gains = []
    for i in range(one.n_agents):
        table, value = best_response(evaluator, policy.tables, i)
        assert table.shape == policy.tables[i].shape
        better = with_table(policy, i, table)  # which checks that its rows are distributions
        assert value == pytest.approx(oracle.value(one, better), abs=unit)
        gains.append(oracle.agent_gain(one, policy, i))
        assert value - oracle.value(one, policy) == pytest.approx(gains[-1], abs=unit)
        assert oracle.agent_gain(one, better, i) <= unit
    gap = nash_gap(one, policy)
    found = largest_gain(evaluator, policy.tables)
    assert gap.lower - unit <= found <= gap.upper + unit
    assert found == pytest.approx(max(gains), abs=unit)


@pytest.mark.parametrize("form", oracle.FORMS)
def test_the_compiled_passes_find_the_same(form):
    for seed in range(8):
        one, policy = oracle.random_tiny(seed, form)
        evaluator = Evaluator.of(one, policy.network, compiled=True)
        for i in range(one.n_agents):
            value = best_response(evaluator, policy.tables, i)[1]
            gain = oracle.agent_gain(one, policy, i)
            assert value - oracle.value(one, policy) == pytest.approx(gain, abs=1e-11 * scale_of(one))


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(sorted(GAMES)), st.sampled_from(NETWORKS), st.integers(0, 2**32), st.booleans())
def test_a_response_to_a_response_gains_nothing_and_touches_nobody_else(name, network, seed, zeros):
    one = game(name)
    net, rng = network_of(one, network), np.random.default_rng(seed)
    policy = random_policy(rng, net, one.n_states, one.n_actions)
    policy = spoilt(rng, policy) if zeros else policy
    evaluator = Evaluator.of(one, net, compiled=False)
    before = [table.tobytes() for table in policy.tables]
    for i in range(one.n_agents):
        table, value = best_response(evaluator, policy.tables, i)
        assert value >= oracle.value(one, policy) - 1e-12 * scale_of(one)
        again, same = best_response(evaluator, with_table(policy, i, table).tables, i)
        assert np.array_equal(again, table)
        assert same == value
    assert [table.tobytes() for table in policy.tables] == before


def test_rows_whose_parents_never_act_so_stay_as_they_are():
    one = penalty_game(-10.0)
    chain = BayesianNetwork.chain(2)
    policy = random_policy(np.random.default_rng(0), chain, 1, (3, 3))
    policy = with_table(policy, 0, np.array([[0.0, 1.0, 0.0]]))
    table, value = best_response(Evaluator.of(one, chain), policy.tables, 1)
    assert table[0, 1].tolist() == [0.0, 1.0, 0.0]
    assert np.array_equal(table[0, [0, 2]], policy.tables[1][0, [0, 2]])
    assert value == 2.0
    # The agent who is looked at sees what the other one would answer.
    lead, best = best_response(Evaluator.of(one, chain), [policy.tables[0], np.eye(3)[None]], 0)
    assert best == 10.0
    assert lead[0, 1] == 0.0


def test_states_that_are_never_met_are_answered_too():
    """What is best in a state does not depend on whether it is met."""
    one = game("unreachable")
    net = BayesianNetwork.product(2)
    policy = BayesianNetworkPolicy.uniform(net, 3, (2, 2))
    table = best_response(Evaluator.of(one, net), policy.tables, 1)[0]
    assert table[2].tolist() == [0.0, 1.0]
    assert oracle.visits(one, oracle.probabilities(one, policy))[2] == 0.0


def test_an_agent_with_one_action_has_one_response():
    one = game("ragged")
    for network in ("product", "dense", "chain"):
        net = network_of(one, network)
        policy = random_policy(np.random.default_rng(1), net, one.n_states, one.n_actions)
        for i in (0, 2):
            table, value = best_response(Evaluator.of(one, net), policy.tables, i)
            assert (table == 1.0).all()
            assert value == pytest.approx(oracle.value(one, policy), abs=1e-12)
    one = game("nothing to do")
    net = network_of(one, "chain")
    assert largest_gain(Evaluator.of(one, net), BayesianNetworkPolicy.uniform(net, 2, (1, 1)).tables) == 0.0


@pytest.mark.parametrize("reward", [0.0, 0.1, -1e7 / 3])
def test_where_everything_is_worth_the_same_nothing_is_gained(reward):
    one = rescaled(game("dense"), 0.0, reward)
    for network in NETWORKS:
        net = network_of(one, network)
        policy = random_policy(np.random.default_rng(3), net, one.n_states, one.n_actions)
        evaluator = Evaluator.of(one, net)
        for i in range(2):
            assert np.array_equal(best_response(evaluator, policy.tables, i)[0], policy.tables[i])
        assert largest_gain(evaluator, policy.tables) <= 1e-12 * scale_of(one)


@pytest.mark.parametrize("by", [1e-9, 1e9])
def test_units_of_reward_make_no_difference_to_the_response(by):
    for name in ("dense", "factored", "ragged"):
        one = game(name)
        net = network_of(one, "chain")
        policy = random_policy(np.random.default_rng(2), net, one.n_states, one.n_actions)
        for i in range(one.n_agents):
            plain, value = best_response(Evaluator.of(one, net), policy.tables, i)
            other, scaled = best_response(Evaluator.of(rescaled(one, by), net), policy.tables, i)
            assert np.array_equal(plain, other)
            assert scaled == pytest.approx(by * value, rel=1e-12)


# The barrier problem of one agent


def started(one, network, lam, seed, spread=1.0):
    """The objective, a random state, and the number of agents."""
    method = AgentwiseBarrierIteration(network, lam=lam)
    run, rng = Run(), np.random.default_rng(seed)
    net = network_of(one, network)
    logits = np.concatenate([part.reshape(-1) for part in random_logits(rng, net, one.n_states, one.n_actions, spread)])
    return method.objective(one, run), method.begin(one, logits, run)


def part_of(layout, i):
    return slice(int(layout.offsets[i]), int(layout.offsets[i + 1]))


def program_of(objective, state, i):
    """The barrier problem of agent i: advantages times visits by enumeration, lambda over the cells of its table."""
    one, layout = objective.evaluator.game, objective.evaluator.layout
    policy = objective.policy(np.exp(state.logits))
    pi = oracle.probabilities(one, policy)
    values, visits = oracle.values(one, pi), oracle.visits(one, pi)
    gain = visits[:, None] * oracle.probabilities(one, policy, without=i) * (oracle.action_values(one, values) - values[:, None])
    weighted = np.zeros(layout.shapes[i])
    for s in range(one.n_states):
        for k, a in enumerate(oracle.joint_actions(one)):
            weighted[(s, *(a[j] for j in layout.network.parents[i]), a[i])] += gain[s, k]
    # A constant per row makes no difference, and Q less the value of the family's row is Q less V but for one.
    rows = weighted.reshape(-1, layout.n_actions[i])
    return barrier_rows_program(rows, np.full(len(rows), objective.lam / rows.size))


@pytest.mark.parametrize("backend", ["native", "cvxpy:CLARABEL"])
@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("penalty", "chain"),
        ("dense", "dense"),
        ("factored", COLLIDER),
        ("ragged", "chain"),
        ("unreachable", "dense"),
        ("one agent", "product"),
        ("nothing to do", "chain"),
    ],
)
def test_the_barrier_response_is_the_optimum_of_its_program(name, network, backend):
    one = game(name)
    for lam in (0.05, 2.0) if backend == "native" else (0.2,):
        objective, state = started(one, network, lam, seed=3)
        layout = objective.evaluator.layout
        for i in range(one.n_agents):
            path, first, _ = barrier_path(objective, state, (i,))
            assert first == 1.0
            response = np.exp(path(1.0))[part_of(layout, i)]
            program = program_of(objective, state, i)
            outcome = solve_program(program, backend)
            assert certify(program, outcome).holds(1e-9 if backend == "native" else 1e-6)
            best, n = outcome.objective, len(response)
            reached = program.c[:n] @ response + program.c[n:] @ np.log(response)
            assert reached == pytest.approx(best, abs=1e-10 if backend == "native" else 1e-5)
            assert response == pytest.approx(outcome.x[:n], abs=1e-9 if backend == "native" else 2e-3)
            others = np.delete(path(1.0) - state.logits, np.arange(layout.size)[part_of(layout, i)])
            assert np.abs(others).max(initial=0.0) <= 1e-12


def test_rows_that_are_never_visited_answer_uniformly():
    one = game("unreachable")
    objective, state = started(one, "chain", 0.1, seed=5)
    target = objective.evaluator.layout.tables(np.exp(barrier_path(objective, state, (0, 1))[0](1.0)))
    for table in target:
        assert table[2] == pytest.approx(0.5, abs=1e-15)
        assert np.abs(table[0] - 0.5).min() > 1e-3


def test_agents_with_one_action_have_nothing_to_answer():
    one = game("ragged")
    objective, state = started(one, "dense", 0.1, seed=6)
    target = objective.evaluator.layout.tables(np.exp(barrier_path(objective, state, range(4))[0](1.0)))
    assert (target[0] == 1.0).all()
    assert (target[2] == 1.0).all()


@pytest.mark.parametrize("name", ["penalty", "one state", "no future", "climbing"])
@pytest.mark.parametrize("network", [*NETWORKS, ((1, 0),)])
def test_where_visits_are_fixed_no_table_of_the_agent_has_a_larger_objective(name, network):
    """With one state or without a future the problem of one agent is L_lambda itself, as a function of its table."""
    one = game(name)
    rng = np.random.default_rng(0)
    for lam in (0.02, 1.0):
        objective, state = started(one, network, lam, seed=1)
        layout, by_hand = objective.evaluator.layout, ByHand(one, network_of(one, network), lam)
        for i in range(one.n_agents):
            best = barrier_path(objective, state, (i,))[0](1.0)
            part = part_of(layout, i)
            assert np.abs(by_hand.gradient(best)[part]).max() <= 1e-12 * max(lam, one.value_span)
            for spread in (1e-3, 1.0, 5.0):
                for _ in range(8):
                    other = best.copy()
                    other[part] += spread * rng.standard_normal(other[part].shape)
                    assert by_hand(other) <= by_hand(best) + 1e-12 * max(lam, one.value_span)


@pytest.mark.parametrize("name", ["penalty", "dense", "sparse", "factored", "ragged", "unreachable"])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_slope_is_that_of_the_objective_along_the_path(name, network):
    one = game(name)
    by_hand = ByHand(one, network_of(one, network), 0.3)
    objective, state = started(one, network, 0.3, seed=2)
    for agents in [*((i,) for i in range(one.n_agents)), range(one.n_agents)]:
        path, _, slope = barrier_path(objective, state, agents)
        assert np.abs(path(0.0) - state.logits).max() <= 1e-14 * (1 + np.abs(state.logits).max())
        assert by_hand(path(1e-30j)).imag / 1e-30 == pytest.approx(slope, rel=1e-9, abs=1e-12 * scale_of(one))
        assert slope >= 0.0


def test_a_policy_that_answers_itself_is_stationary():
    one = CooperativeMarkovGame((2, 2), None, np.array([[[1.0, 0.0], [0.0, 1.0]]]), 0.0)
    objective, state = started(one, "product", 0.1, seed=0, spread=0.0)
    path, _, slope = barrier_path(objective, state, (0, 1))
    assert np.exp(path(1.0)) == pytest.approx(0.5, abs=1e-15)
    assert slope == pytest.approx(0.0, abs=1e-15)
    assert state.gradient_norm <= 1e-16
