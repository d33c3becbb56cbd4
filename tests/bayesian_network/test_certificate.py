"""Gaps against every deterministic deviation; the judge's inference against enumeration; brackets in rational arithmetic."""

from __future__ import annotations

import ast
from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eqsolve.bayesian_network
from eqsolve.bayesian_network import (
    BayesianNetwork,
    BayesianNetworkPolicy,
    CooperativeMarkovGame,
    Factor,
    InvalidPolicy,
    as_network,
    coordination_line,
    penalty_game,
    random_cooperative,
    random_factored,
)
from eqsolve.bayesian_network import certificate as judge
from eqsolve.bayesian_network.best_joint import max_sum, optimal_values
from eqsolve.bayesian_network.certificate import (
    agent_gaps,
    nash_gap,
    optimal_value,
    optimality_gap,
    policy_value,
    value_interval,
)
from eqsolve.bayesian_network.deviation import augmented_mdp, faced
from eqsolve.bayesian_network.frontier import arrivals, means
from eqsolve.errors import InvalidGame
from eqsolve.mdp import value_bracket
from tests.bayesian_network import oracle

SEEDS = range(24)
NEAR = 1e-10


@pytest.fixture(params=["joint actions", "elimination"])
def way(request, monkeypatch):
    """Judge optimality over joint actions, or by elimination where the game is one of factors."""
    if request.param == "elimination":
        monkeypatch.setattr(judge, "JOINT", 0)
    return request.param


def tiny(form, seeds=SEEDS, **more):
    return [oracle.random_tiny(seed, form, **more) for seed in seeds]


@pytest.mark.parametrize("form", oracle.FORMS)
def test_the_nash_gap_is_the_best_of_all_deterministic_deviations(form):
    kinds = set()
    for game, policy in tiny(form):
        gains = [oracle.agent_gain(game, policy, i) for i in range(game.n_agents)]
        found = agent_gaps(game, policy)
        assert [one.upper for one in found] == pytest.approx(gains, abs=NEAR)
        for one, gain in zip(found, gains, strict=True):
            assert one.lower - 1e-13 <= gain <= one.upper + 1e-13
        gap = nash_gap(game, policy)
        assert (gap.concept, gap.method) == ("NE", "exact")
        assert gap.upper == pytest.approx(max(gains), abs=NEAR)
        assert gap.lower == pytest.approx(max(gains), abs=NEAR)
        kinds |= {f"N{game.n_agents}", f"S{game.n_states}", f"gamma{game.gamma}", f"gain {max(gains) > NEAR}"}
        kinds.add(f"zeros {any((table == 0).any() for table in policy.tables)}")
        kinds |= {f"one action {min(game.n_actions) == 1}", f"ragged {len(set(game.n_actions)) > 1}"}
    assert kinds >= {"N1", "N2", "N3", "S1", "S2", "S3", "gamma0.0", "gamma0.9"}
    assert kinds >= {f"{word} {truth}" for word in ("gain", "zeros", "one action", "ragged") for truth in (True, False)}


@pytest.mark.parametrize("form", oracle.FORMS)
def test_the_optimality_gap_and_the_values(form, way):
    for game, policy in tiny(form):
        mine, best = oracle.value(game, policy), oracle.best_value(game)
        assert policy_value(game, policy) == pytest.approx(mine, abs=NEAR)
        low, high = value_interval(game, policy)
        assert low - 1e-13 <= mine <= high + 1e-13
        assert high - low < NEAR
        low, high = optimal_value(game)
        assert low - 1e-12 <= best <= high + 1e-12
        assert high - low < NEAR
        gap = optimality_gap(game, policy)
        assert (gap.concept, gap.method) == ("optimality", "exact")
        assert gap.upper == pytest.approx(best - mine, abs=NEAR)
        assert gap.lower == pytest.approx(best - mine, abs=NEAR)
        assert nash_gap(game, policy).lower <= gap.upper


def exact_gaps(game, policy):
    """In rational arithmetic, of a game of two states: the gain of each agent, and of all together.

    Every row of the policy, and of the transitions, is divided by its sum.
    """

    def solved(pi):
        """V(mu) of a joint policy [s][a], by Cramer's rule."""
        gamma = Fraction(game.gamma)
        (a, b), (c, d) = (
            [Fraction(int(s == t)) - gamma * sum(pi[s][k] * P[s][k][t] for k in range(A)) for t in range(2)] for s in range(2)
        )
        r = [sum(pi[s][k] * R[s][k] for k in range(A)) for s in range(2)]
        det = a * d - b * c
        v = ((d * r[0] - b * r[1]) / det, (a * r[1] - c * r[0]) / det)
        return sum(Fraction(weight) * one for weight, one in zip(game.initial.tolist(), v, strict=True))

    actions, A = oracle.joint_actions(game), game.n_joint
    P = [[[Fraction(x) for x in row] for row in part] for part in oracle.transitions(game).tolist()]
    P = [[[x / sum(row) for x in row] for row in part] for part in P]
    R = [[Fraction(x) for x in row] for row in oracle.rewards(game).tolist()]

    def row(i, s, a):
        return (s, *(a[j] for j in policy.network.parents[i]))

    def share(i, s, a):
        weights = [Fraction(x) for x in policy.tables[i][row(i, s, a)].tolist()]
        return weights[a[i]] / sum(weights)

    def joint(i, table):
        """The product of the tables, agent i playing ``table[row]`` instead."""
        found = [[Fraction(1)] * A for _ in range(2)]
        for s, (k, a), j in product(range(2), enumerate(actions), range(game.n_agents)):
            found[s][k] *= share(j, s, a) if j != i else Fraction(int(table[row(i, s, a)] == a[i]))
        return found

    mine = solved(joint(None, {}))
    gains = []
    for i in range(game.n_agents):
        rows = sorted({row(i, s, a) for s in range(2) for a in actions})
        plays = (dict(zip(rows, pick, strict=True)) for pick in product(range(game.n_actions[i]), repeat=len(rows)))
        gains.append(max(solved(joint(i, table)) for table in plays) - mine)
    plain = [[Fraction(int(k == j)) for k in range(A)] for j in range(A)]
    return gains, max(solved(pi) for pi in product(plain, repeat=2)) - mine


@pytest.mark.parametrize("factored", [False, True])
def test_the_brackets_hold_in_rational_arithmetic(factored, way):
    strict = 0
    for seed in range(6):
        if factored:
            game = random_factored(2, (2, 2), scope=1, gamma=0.75, seed=seed)
        else:
            game = random_cooperative(2, (2, 2), gamma=0.75, seed=seed)
        policy = oracle.random_policy(np.random.default_rng(seed), BayesianNetwork.chain(2), 2, (2, 2))
        gains, together = exact_gaps(game, policy)
        claims = [*zip(agent_gaps(game, policy), gains, strict=True), (optimality_gap(game, policy), together)]
        for found, exact in claims:
            assert Fraction(found.lower) <= exact <= Fraction(found.upper)
            strict += 0 < found.lower < found.upper
    assert strict


@pytest.mark.parametrize("form", oracle.FORMS)
def test_the_witness_gains_what_it_says(form):
    seen = 0
    for game, policy in tiny(form, full=True):
        names = {"agents": [f"agent-{i}" for i in range(game.n_agents)], "states": [f"s{s}" for s in range(game.n_states)]}
        names["actions"] = [[f"{i}/{a}" for a in range(m)] for i, m in enumerate(game.n_actions)]
        game = CooperativeMarkovGame(**{**game.parts(), **names})
        gap = nash_gap(game, policy)
        if gap.witness is None:
            assert gap.lower == 0.0
            continue
        seen += 1
        i = game.agents.index(gap.witness.who)
        assert gap.witness.gain == pytest.approx(oracle.agent_gain(game, policy, i), abs=NEAR)
        assert gap.witness.gain == gap.lower > 0
        s = game.states.index(gap.witness.state) if game.n_states > 1 else 0
        before = gap.witness.where.partition("after ")[2]
        parents = [int(part.split("/")[1]) for part in before.split(", ")] if before else []
        assert len(parents) == len(policy.network.parents[i])
        action = int(gap.witness.deviation.split(",")[0].split("/")[1])
        # One row changed for good: it earns more, because the state and the parents' actions are met.
        table = policy.tables[i].copy()
        table[(s, *parents)] = np.arange(game.n_actions[i]) == action
        changed = replace(policy, tables=(*policy.tables[:i], table, *policy.tables[i + 1 :]))
        assert oracle.value(game, changed) > oracle.value(game, policy) + 1e-12
        if (policy.tables[i][(s, *parents)] == 1.0).any():
            assert f"not {i}/{policy.tables[i][(s, *parents)].argmax()}" in gap.witness.deviation
    assert seen >= 15


@pytest.mark.parametrize("form", oracle.FORMS)
def test_the_witness_of_the_optimality_gap_is_a_better_joint_action(form, way):
    seen = 0
    for game, policy in tiny(form, full=True):
        gap = optimality_gap(game, policy)
        if gap.witness is None:
            continue
        seen += 1
        assert gap.witness.gain == gap.lower
        s = int(gap.witness.state or 0)
        a = tuple(int(part) for part in gap.witness.deviation.removeprefix("play (").removesuffix(")").split(", "))
        v = oracle.values(game, oracle.probabilities(game, policy))
        lead = oracle.action_values(game, v) - v[:, None]
        assert lead[s, oracle.joint_actions(game).index(a)] == pytest.approx(lead.max(), abs=NEAR)
    assert seen >= 15


@pytest.mark.parametrize("factored", [False, True])
@pytest.mark.parametrize(
    ("gamma", "leads_to", "state", "gain"), [(0.9, 0, "0", 10.0), (0.0, 1, "0", 1.0), (0.9, 1, "1", 1.0 + 0.9 * 500.0)]
)
def test_a_witness_is_where_the_play_can_come(factored, gamma, leads_to, state, gain, way):
    """The policy loses 1 in state 0, where the play starts, and 50 in state 1, which it may never see."""
    P = np.zeros((2, 2, 2))
    P[0, :, leads_to] = P[1, :, 1] = 1.0
    transition = [((0,), P)] if factored else P
    game = CooperativeMarkovGame([2], transition, [[0.0, 1.0], [0.0, 50.0]], gamma, initial=[1.0, 0.0])
    policy = BayesianNetworkPolicy(BayesianNetwork.product(1), ([[1.0, 0.0], [1.0, 0.0]],))
    for gap in (nash_gap(game, policy), optimality_gap(game, policy)):
        assert gap.upper == pytest.approx(gain)
        assert (gap.witness.state, gap.witness.gain) == (state, pytest.approx(gain))
    assert str(nash_gap(game, policy).witness) == f"agent 0, state {state}: play 1, not 0"


@pytest.mark.parametrize("form", oracle.FORMS)
def test_the_own_table_earns_the_policys_value_in_the_augmented_process(form):
    for game, policy in tiny(form):
        for i, table in enumerate(policy.tables):
            mdp = augmented_mdp(game, policy, i)
            S, P = game.n_states, table[0].size // game.n_actions[i]
            assert mdp.n_actions.tolist() == [1] * S + [game.n_actions[i]] * (S * P)
            assert mdp.gamma == pytest.approx(np.sqrt(game.gamma))
            assert mdp.is_sparse
            bracket = value_bracket(mdp, np.concatenate((np.ones(S), table.reshape(-1))))
            assert bracket.value_lower == pytest.approx(oracle.value(game, policy), abs=NEAR)
            assert bracket.value_upper == pytest.approx(oracle.value(game, policy), abs=NEAR)
            # From a state itself, half a step earlier.
            v = oracle.values(game, oracle.probabilities(game, policy))
            assert bracket.upper[:S] == pytest.approx(np.sqrt(game.gamma) * v, abs=NEAR)


def test_parents_actions_tell_about_their_own_parents():
    """Agent 2 sees agent 1, who saw agent 0; the reward asks agent 2 to guess agent 0."""
    reward = [((0, 2), [[[1.0, 0.0], [0.0, 1.0]]])]
    game = CooperativeMarkovGame([2, 2, 2], None, reward, 0.0)
    tables = ([[0.25, 0.75]], [[[0.8, 0.2], [0.4, 0.6]]], [[[1.0, 0.0], [1.0, 0.0]]])
    policy = BayesianNetworkPolicy(BayesianNetwork.chain(3), tables)
    found = faced(game, policy, 2)
    assert found.weight[0] == pytest.approx([0.25 * 0.8 + 0.75 * 0.4, 0.25 * 0.2 + 0.75 * 0.6])
    assert found.reward[0] == pytest.approx(np.array([[0.2 / 0.5, 0.3 / 0.5], [0.05 / 0.5, 0.45 / 0.5]]))
    assert agent_gaps(game, policy)[2].upper == pytest.approx(0.3 + 0.45 - 0.25)


def test_parents_who_never_act_so_change_nothing():
    game = random_cooperative(3, (3, 2), gamma=0.9, successors=2, seed=5)
    first = np.zeros((3, 3))
    first[:, 0] = 1.0
    for seed in range(3):
        rows = np.random.default_rng(seed).dirichlet(np.ones(2), (3, 3))
        rows[:, 0] = [0.3, 0.7]
        policy = BayesianNetworkPolicy(BayesianNetwork.chain(2), (first, rows))
        found = faced(game, policy, 1)
        assert (found.weight[:, 1:] == 0.0).all()
        assert (found.reward[:, 1:] == 0.0).all()
        assert nash_gap(game, policy).upper == pytest.approx(max(oracle.agent_gain(game, policy, i) for i in range(2)), abs=NEAR)


@pytest.mark.parametrize("factored", [False, True])
def test_parents_who_seldom_act_so_count_for_what_they_are(factored):
    """Agent 1 gains 3 by an answer to what agent 0 plays with a small probability, also one too small for products."""
    reward = np.array([[[1.0, 0.0], [0.0, 3.0]]])
    for share in (1e-3, 1e-12, 1e-200, 1e-300):
        first, second = [[1.0 - share, share]], [[[1.0, 0.0], [1.0, 0.0]]]
        policy = BayesianNetworkPolicy(BayesianNetwork.chain(2), (first, second))
        game = CooperativeMarkovGame([2, 2], None, reward, 0.0)
        if not factored:
            P = np.tile([[1.0, 0.0], [0.0, 1.0]], (1, 4)).reshape(2, 4, 2)
            policy = BayesianNetworkPolicy(policy.network, (first * 2, second * 2))
            game = CooperativeMarkovGame([2, 2], P, np.tile(reward, (2, 1, 1)), 0.0)
        gap = agent_gaps(game, policy)[1]
        assert gap.upper == pytest.approx(3 * share, abs=1e-13)
        assert (gap.witness is not None) == (share > 1e-100)


def brute_means(game, policy, factors, keep, clamped):
    Q = factors[0].table.shape[-1]
    shape = (game.n_states, *(game.n_actions[i] for i in keep))
    p, w = np.zeros(shape), np.zeros((*shape, Q))
    weight = oracle.probabilities(game, policy, without=clamped)
    for s in range(game.n_states):
        for k, a in enumerate(oracle.joint_actions(game)):
            at = (s, *(a[i] for i in keep))
            p[at] += weight[s, k]
            w[at] += weight[s, k] * sum(one.table[(s, *(a[i] for i in one.agents))] for one in factors)
    return p, w


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_the_frontier_is_enumeration(seed):
    rng = np.random.default_rng(seed)
    N, S = int(rng.integers(1, 6)), int(rng.integers(1, 3))
    m = tuple(int(one) for one in rng.integers(1, 4, N))
    game = CooperativeMarkovGame(m, np.full((S * int(np.prod(m)), S), 1 / S), np.zeros((S, *m)), 0.5)
    policy = oracle.random_policy(rng, oracle.random_network(rng, N), S, m)
    Q = int(rng.integers(1, 4))
    scopes = [tuple(sorted(oracle.random_scope(rng, N))) for _ in range(int(rng.integers(1, 4)))]
    factors = [Factor(scope, rng.normal(size=(S, *(m[i] for i in scope), Q))) for scope in scopes]
    keep = tuple(int(i) for i in rng.permutation(N)[: rng.integers(0, N + 1)])
    clamped = int(rng.choice(keep)) if keep and rng.random() < 0.6 else None
    found = means(policy.network, policy.tables, factors, keep=keep, clamped=clamped)
    for one, brute in zip(found, brute_means(game, policy, factors, keep, clamped), strict=True):
        assert one.shape == brute.shape
        assert one == pytest.approx(brute, abs=1e-12)


@pytest.mark.parametrize(
    ("network", "width"),
    [("product", 3), ("chain", 3), ("tree", 6)],
)
def test_the_frontier_stays_small_whatever_the_agents_are_called(network, width):
    N = 40
    names = np.random.default_rng(1).permutation(N).tolist()
    made = BayesianNetwork.from_edges(N, [(names[j], names[i]) for j, i in as_network(network, N).edges])
    scopes = [tuple(sorted((names[i], names[i + 1]))) for i in range(N - 1)] if network != "tree" else []
    for keep in ((), made.family(names[20])):
        plan = arrivals(made, (2,) * N, scopes, keep)
        order = [step.agent for step in plan]
        assert sorted(order) == list(range(N))
        assert all(order.index(j) < order.index(i) for j, i in made.edges)
        assert max(len(step.axes) for step in plan) <= width + len(keep)
        assert sorted(k for step in plan for k in step.factors) == list(range(len(scopes)))
        assert {i for step in plan for i in step.leaving} == set(range(N)) - set(keep)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_max_sum_is_enumeration(seed):
    rng = np.random.default_rng(seed)
    N, S = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    m = tuple(int(one) for one in rng.integers(1, 4, N))
    scopes = [tuple(sorted(oracle.random_scope(rng, N))) for _ in range(int(rng.integers(0, 9)))]
    factors = [Factor(scope, rng.integers(-3, 4, size=(S, *(m[i] for i in scope))).astype(float)) for scope in scopes]
    best, actions = max_sum(factors, S, m)
    assert actions.shape == (S, N)

    def total(s, a):
        return sum(one.table[(s, *(a[i] for i in one.agents))] for one in factors)

    for s in range(S):
        assert best[s] == max(total(s, a) for a in product(*map(range, m))) == total(s, actions[s])


def test_fifty_agents_on_a_line():
    """Equal neighbours pay 1: of 5 actions, uniform play earns 49/5, and whoever sees its neighbour gains 4/5 by copying."""
    game = coordination_line(50, 5, noise=0.0)
    chain = BayesianNetworkPolicy.uniform(BayesianNetwork.chain(50), 1, game.n_actions)
    assert policy_value(game, chain) == pytest.approx(49 / 5)
    gaps = agent_gaps(game, chain)
    assert [one.upper for one in gaps] == pytest.approx([0.0] + [0.8] * 49, abs=1e-9)
    assert optimality_gap(game, chain).upper == pytest.approx(49 * 0.8)
    assert optimality_gap(game, chain).witness.deviation.endswith("and 42 more)")
    alone = BayesianNetworkPolicy.uniform(BayesianNetwork.product(50), 1, game.n_actions)
    assert nash_gap(game, alone).upper < 1e-9
    assert nash_gap(game, alone).witness is None
    copies = (np.eye(5)[[0]], *(np.eye(5)[None] for _ in range(49)))
    best = BayesianNetworkPolicy(chain.network, copies)
    assert optimality_gap(game, best).upper < 1e-9
    assert optimality_gap(game, best).method == nash_gap(game, best).method == "exact"


def test_elimination_agrees_with_joint_actions_where_both_can():
    for seed in range(4):
        game = random_factored(4, (2, 3, 2, 3, 2), scope=2, gamma=0.95, seed=seed)
        low, high = optimal_values(game)
        best = optimal_value(game)
        assert game.initial @ low <= best[1]
        assert game.initial @ high >= best[0]
        assert (high - low).max() < 1e-10
        assert best[1] == pytest.approx(oracle.best_value(game), abs=1e-9)


def test_rows_that_sum_to_one_within_the_tolerance_only_widen_the_bracket():
    game, off = penalty_game(), 9e-10
    network = BayesianNetwork.chain(2)
    policy = BayesianNetworkPolicy(network, (np.full((1, 3), (1 + off) / 3), np.full((1, 3, 3), (1 - off) / 3)))
    uniform = BayesianNetworkPolicy.uniform(network, 1, game.n_actions)
    assert nash_gap(game, policy).upper == pytest.approx(nash_gap(game, uniform).upper, abs=1e-12)
    P = np.random.default_rng(0).dirichlet(np.ones(2), (2, 4))
    for share in (1 + off, 1 - off):
        game = CooperativeMarkovGame([2, 2], P * share, np.arange(8.0).reshape(2, 4), 0.9)
        policy = BayesianNetworkPolicy.uniform(network, 2, (2, 2))
        gap, exact = nash_gap(game, policy), max(exact_gaps(game, policy)[0])
        assert gap.method == "bracket"
        assert Fraction(gap.lower) <= exact <= Fraction(gap.upper)
        assert gap.upper - gap.lower < 1e-4
    # Each factor is fine, and together they sum to 1 + 2 off where both agents play 1.
    parts = [((i,), np.array([[[0.2, 0.3], [0.2, 0.3 + off]]] * 2)) for i in range(2)]
    game = CooperativeMarkovGame([2, 2], parts, np.arange(8.0).reshape(2, 4), 0.9)
    gap, exact = nash_gap(game, policy), max(exact_gaps(game, policy)[0])
    assert Fraction(gap.lower) <= exact <= Fraction(gap.upper)


def every_pair(N):
    """A game of N agents, all pairs of whom share a reward."""
    return CooperativeMarkovGame([2] * N, None, [((i, j), np.eye(2)[None]) for i in range(N) for j in range(i + 1, N)], 0.0)


def test_what_does_not_fit_is_refused_with_its_size():
    game = every_pair(30)
    policy = BayesianNetworkPolicy.uniform(BayesianNetwork.product(30), 1, game.n_actions)
    with pytest.raises(InvalidGame, match=r"table over 30 of them: 2,147,483,648 numbers\n.*factors over fewer agents"):
        nash_gap(game, policy)
    with pytest.raises(
        InvalidGame, match=r"1,073,741,824 transition probabilities.*a table of 1,073,741,824 numbers\n.*the Nash gap"
    ):
        optimality_gap(game, policy)
    with pytest.raises(InvalidGame, match="maximising the agents out one by one leads to a table over 30 of them"):
        max_sum(game.reward, 1, game.n_actions)


def test_policies_of_other_games_and_agents_that_do_not_exist_are_refused():
    game = penalty_game()
    policy = BayesianNetworkPolicy.uniform(BayesianNetwork.chain(2), 1, (3, 2))
    for judged in (nash_gap, agent_gaps, optimality_gap, policy_value, lambda g, p: augmented_mdp(g, p, 0)):
        with pytest.raises(InvalidPolicy, match="of another game"):
            judged(game, policy)
        with pytest.raises(InvalidPolicy, match="a ndarray is not a policy"):
            judged(game, np.ones(3))
    fine = BayesianNetworkPolicy.uniform(BayesianNetwork.chain(2), 1, game.n_actions)
    for wrong in (2, -1, None, 0.5):
        with pytest.raises(InvalidGame, match="agent is"):
            augmented_mdp(game, fine, wrong)


@pytest.mark.parametrize("name", ["best_joint", "bounds", "certificate", "deviation", "frontier"])
def test_the_judge_imports_nothing_of_the_methods(name):
    tree = ast.parse((Path(eqsolve.bayesian_network.__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    used = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    own = {one.removeprefix("eqsolve.bayesian_network.") for one in used if one.startswith("eqsolve.bayesian_network")}
    assert own <= {"best_joint", "deviation", "factors", "frontier", "game", "network", "policy"}
    methods = {"bellman", "evaluation", "linear", "native", "occupancy", "policy_iteration", "programs"}
    assert not {one.split(".")[-1] for one in used if one.startswith("eqsolve.mdp")} & methods
