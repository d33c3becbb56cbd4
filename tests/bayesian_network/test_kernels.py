"""The compiled passes give what their numpy twins give; size alone chooses, and small games never load the compiler."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from eqsolve.bayesian_network import (
    BayesianNetwork,
    BayesianNetworkPolicy,
    CooperativeMarkovGame,
    Factor,
    barrier_objective,
    coordination_line,
    evaluate,
    policy_gradient,
    random_cooperative,
    random_factored,
    search_mission,
)
from eqsolve.bayesian_network import evaluation as evaluation_module
from eqsolve.bayesian_network.evaluation import COMPILE_FROM, PER_AGENT, Evaluator
from eqsolve.bayesian_network.objective import Objective
from eqsolve.bayesian_network.plan import Plan

FORMS = ("dense", "sparse", "factored", "one state")


def random_pair(seed):
    """A game of one of the forms with agents of 1 to 3 actions, and an acyclic graph that knows nothing of it."""
    rng = np.random.default_rng(seed)
    form, S = FORMS[seed % len(FORMS)], int(rng.integers(1, 5))
    m = tuple(rng.integers(1, 4, rng.integers(1, 6)).tolist())
    gamma = float(rng.choice([0.0, 0.5, 0.99], p=[0.2, 0.4, 0.4]))
    if form == "factored":
        game = random_factored(S, m, scope=int(rng.integers(1, 4)), gamma=gamma, seed=seed)
    elif form == "one state":
        game = random_factored(1, m, scope=int(rng.integers(1, 4)), gamma=gamma, seed=seed)
    else:
        game = random_cooperative(S, m, gamma=gamma, successors=2 if form == "sparse" else 0, seed=seed)
    order, share = rng.permutation(len(m)).tolist(), rng.random()
    edges = [(order[j], order[i]) for i in range(len(m)) for j in range(i) if rng.random() < share]
    return game, BayesianNetwork.from_edges(len(m), edges)


def mixed_game():
    """Rewards and transitions over scopes of their own, some without agents, some given twice or in another order."""
    rng = np.random.default_rng(7)
    S, m = 3, (2, 3, 1, 2, 3)

    def moves(weight, *agents):
        return Factor(agents, weight * rng.dirichlet(np.ones(S), (S, *(m[i] for i in agents))))

    def gain(*agents):
        return Factor(agents, rng.normal(size=(S, *(m[i] for i in agents))))

    rewards = [gain(), gain(4, 0), gain(1, 3), gain(3, 1), gain(2), gain()]
    transitions = [moves(0.3), moves(0.2, 3, 1), moves(0.4, 4), moves(0.1, 1, 3)]
    return CooperativeMarkovGame(m, transitions, rewards, 0.9, initial=rng.dirichlet(np.ones(S)))


def logits_of(objective, seed, spread=2.0):
    return spread * np.random.default_rng(seed).standard_normal(objective.evaluator.layout.size)


def hold_the_twins_together(game, network, seed, spread=2.0):
    twin, loops = (Objective.of(game, network, 0.3, compiled=compiled) for compiled in (False, True))
    assert (twin.evaluator.plan is None) is (loops.evaluator.plan is not None) is True
    logits = logits_of(twin, seed, spread)
    one, other = twin.at(logits), loops.at(logits)
    scale = 1.0 + np.abs(one.evaluation.values).max()

    def same(a, b, size=scale):
        np.testing.assert_allclose(b, a, rtol=1e-13, atol=1e-13 * size)

    same(one.logits, other.logits, 1.0 + np.abs(logits).max())
    same(one.probability, other.probability, 1.0)
    same(one.value, other.value)
    same(one.objective, other.objective)
    for name in ("values", "visits"):
        same(getattr(one.evaluation, name), getattr(other.evaluation, name))
    for i in range(game.n_agents):
        assert other.evaluation.weighted_advantages(i).shape == one.evaluation.tables[i].shape
        same(one.evaluation.weighted_advantages(i), other.evaluation.weighted_advantages(i))
        same(one.evaluation.advantages(i), other.evaluation.advantages(i))
        same(one.evaluation.action_values(i), other.evaluation.action_values(i))
        family = network.family(i)
        same(one.evaluation.visitation(family), other.evaluation.visitation(family))
    size = scale * one.evaluation.visits.sum()
    same(twin.visited_advantages(one), loops.visited_advantages(other), size)
    same(twin.value_gradient(one), loops.value_gradient(other), size)
    same(twin.barrier_gradient(one.probability), loops.barrier_gradient(one.probability), 1.0)
    same(twin.gradient(one), loops.gradient(other), size)
    return loops, other


@pytest.mark.parametrize("seed", range(40))
def test_the_twins_agree(seed):
    hold_the_twins_together(*random_pair(seed), seed)


@pytest.mark.parametrize(
    "network",
    [BayesianNetwork.product(5), BayesianNetwork.chain(5, (4, 0, 2, 1, 3)), BayesianNetwork.dense(5)],
    ids=str,
)
def test_scopes_of_every_kind(network):
    hold_the_twins_together(mixed_game(), network, 0)


@pytest.mark.parametrize("successors", [0, 3])
@pytest.mark.parametrize("S", [2, 120, 320])
def test_chains_of_every_size(S, successors):
    """Solved with by elimination, as a dense and as a sparse matrix; the sparse one has rows that miss their diagonal."""
    game = random_cooperative(S, (2, 1, 2), successors=min(successors, S - 1), gamma=0.95, seed=S)
    network = BayesianNetwork.chain(3, (2, 1, 0))
    _, point = hold_the_twins_together(game, network, S)
    joint = BayesianNetworkPolicy(network, point.evaluation.tables).joint().reshape(S, 1, 4)
    kernel = game.kernel.toarray() if sparse.issparse(game.kernel) else game.kernel
    chain = (joint @ kernel.reshape(S, 4, S))[:, 0]
    visits = point.evaluation.visits
    assert visits == pytest.approx(game.initial + 0.95 * visits @ chain, abs=1e-12)
    assert visits.sum() == pytest.approx(20.0, rel=1e-12)


@pytest.mark.parametrize("spread", [0.0, 1e-8, 30.0, 700.0])
def test_policies_from_uniform_to_deterministic(spread):
    for game in (search_mission(2, 2, 2), coordination_line(9, 3, gamma=0.5), random_factored(2, (3, 2, 2, 3))):
        hold_the_twins_together(game, BayesianNetwork.tree(game.n_agents), 5, spread)


def test_tables_and_vectors_of_one_policy_are_the_same():
    game, network = mixed_game(), BayesianNetwork.chain(5)
    policy = BayesianNetworkPolicy.uniform(network, game.n_states, game.n_actions).greedy()
    for compiled in (False, True):
        evaluator = Evaluator.of(game, network, compiled=compiled)
        one, other = evaluator.evaluate(policy.tables), evaluator.evaluate(evaluator.layout.flatten(policy.tables))
        assert np.array_equal(one.values, other.values)
        assert np.array_equal(one.visited_advantages(), other.visited_advantages())
        assert all(np.array_equal(a, b) for a, b in zip(one.tables, policy.tables, strict=True))
    assert one.values == pytest.approx(evaluate(game, policy).values, rel=1e-13)


def test_the_compiled_gradient_is_that_of_the_compiled_objective():
    game, network = mixed_game(), BayesianNetwork.from_edges(5, [(1, 0), (1, 4), (0, 3)])
    objective = Objective.of(game, network, 0.2, compiled=True)
    logits, rng = logits_of(objective, 1, 1.0), np.random.default_rng(2)
    gradient = objective.gradient(objective.at(logits))
    for _ in range(5):
        direction = rng.standard_normal(len(logits))
        ahead, behind = (objective.at(logits + step * direction).objective for step in (1e-5, -1e-5))
        assert gradient @ direction == pytest.approx((ahead - behind) / 2e-5, rel=1e-7, abs=1e-7)


def test_the_same_call_gives_the_same_bytes():
    """Wherever the numbers lie in memory, and however often the game was laid out."""
    for game, network in (random_pair(seed) for seed in range(8)):
        seen = set()
        for shifted in range(4):
            objective = Objective.of(game, network, 0.3, compiled=True)
            room = np.empty(objective.evaluator.layout.size + shifted)
            logits = room[shifted:]
            logits[:] = logits_of(objective, 3)
            logits.setflags(write=shifted % 2 == 0)
            point = objective.at(logits)
            seen.add((point.objective, point.logits.tobytes(), objective.gradient(point).tobytes()))
        assert len(seen) == 1


def test_nothing_that_was_handed_out_is_written_to_again():
    objective = Objective.of(mixed_game(), BayesianNetwork.dense(5), 0.3, compiled=True)
    point = objective.at(logits_of(objective, 0))
    pull = objective.visited_advantages(point)
    gradient = objective.gradient(point)
    before = [one.copy() for one in (point.logits, point.probability, pull, gradient, point.evaluation.values)]
    objective.gradient(objective.at(point.logits + 1.0 * pull))
    for one, held in zip((point.logits, point.probability, pull, gradient, point.evaluation.values), before, strict=True):
        assert np.array_equal(one, held)


def test_size_chooses_the_twin():
    def compiled(game, network, **given):
        return Evaluator.of(game, network, **given).plan is not None

    line = [coordination_line(n, 2) for n in range(2, 30)]
    chosen = [compiled(game, BayesianNetwork.chain(game.n_agents)) for game in line]
    assert all(one <= other for one, other in pairwise(chosen))
    assert chosen.index(True) + 2 == 20
    assert COMPILE_FROM // PER_AGENT == 20
    assert compiled(coordination_line(50, 5), BayesianNetwork.chain(50))
    assert compiled(random_cooperative(3, (2,) * 11), BayesianNetwork.dense(11))
    assert not compiled(random_cooperative(3, (2, 3, 2)), BayesianNetwork.dense(3))
    assert not compiled(search_mission(2, 3, 3), BayesianNetwork.dense(2))
    assert compiled(random_cooperative(3, (2, 3, 2)), BayesianNetwork.dense(3), compiled=True)
    assert not compiled(coordination_line(50, 5), BayesianNetwork.chain(50), compiled=False)


def test_what_is_asked_once_is_answered_by_the_twin(monkeypatch):
    game, network = coordination_line(40, 3), BayesianNetwork.chain(40)
    policy = BayesianNetworkPolicy.uniform(network, 1, game.n_actions)
    monkeypatch.setattr(Plan, "of", lambda *_, **__: pytest.fail("a plan was made"))
    evaluate(game, policy)
    barrier_objective(game, policy, 0.1)
    policy_gradient(game, policy.logits(), network, 0.1)


def test_a_solve_that_fails_goes_to_the_one_that_is_checked(monkeypatch):
    game, network = random_cooperative(4, (2, 2), seed=3), BayesianNetwork.dense(2)
    for compiled, name in ((False, "_factored"), (True, "eliminated")):
        evaluator = Evaluator.of(game, network, compiled=compiled)
        pi = np.full(evaluator.layout.size, 0.5)
        expected = evaluator.evaluate(pi)
        monkeypatch.setattr(evaluation_module, name, lambda *_: (np.full(4, np.nan), np.full(4, np.inf)))
        found = evaluator.evaluate(pi)
        assert found.values == pytest.approx(expected.values, rel=1e-13)
        assert found.visits == pytest.approx(expected.visits, rel=1e-13)


def in_a_fresh_interpreter(code):
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120)


def test_small_games_never_load_the_compiler():
    code = """
import sys
import eqsolve.bayesian_network as bn
from eqsolve.bayesian_network.objective import Objective
for game in (bn.random_cooperative(3, (2, 3, 2)), bn.search_mission(2, 3, 3), bn.coordination_line(10, 3), bn.penalty_game()):
    objective = Objective.of(game, bn.as_network("chain", game.n_agents), 0.1)
    point = objective.at(objective.start())
    objective.gradient(point)
large = bn.coordination_line(50, 5)
bn.evaluate(large, bn.BayesianNetworkPolicy.uniform(bn.as_network("chain", 50), 1, large.n_actions)).advantages(3)
assert Objective.of(large, bn.as_network("chain", 50), 0.1).evaluator.plan is not None
assert "numba" not in sys.modules
"""
    done = in_a_fresh_interpreter(code)
    assert done.returncode == 0, done.stderr


def test_loading_the_compiler_warns_of_nothing():
    code = """
import sys
import eqsolve.bayesian_network as bn
from eqsolve.bayesian_network.objective import Objective
game = bn.search_mission(3, 2, 2)
objective = Objective.of(game, bn.BayesianNetwork.dense(3), 0.1)
objective.gradient(objective.at(objective.start()))
assert "numba" in sys.modules
"""
    done = in_a_fresh_interpreter(code)
    assert done.returncode == 0, done.stderr
