"""The search for edges: classes of networks, all of them solved one by one, worth of edges, budgets, resumption, bad input."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations, product
from math import comb

import joblib
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eqsolve
from eqsolve.backends import Limits
from eqsolve.bayesian_network import (
    BayesianNetwork,
    BayesianNetworkPolicy,
    CooperativeMarkovGame,
    InvalidNetwork,
    barrier_objective,
    penalty_game,
    random_cooperative,
)
from eqsolve.bayesian_network.barrier_iteration import BarrierPolicyIteration
from eqsolve.bayesian_network.lbfgs import LBFGS
from eqsolve.bayesian_network.network_search import NOTHING, NetworkSearch, distinct_networks
from eqsolve.driver import Checkpoints, Result, Status
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidData, UnknownName
from tests.bayesian_network import oracle
from tests.bayesian_network.games import joint_by_hand, networks, random_policy
from tests.bayesian_network.methods import LAM, ByHand, logits_of, mismatch_by_enumeration, scale_of

SEARCHES = ("greedy", "exhaustive")
SMALL = {
    "two agents": lambda: random_cooperative(2, (2, 3), gamma=0.6, seed=2),
    "one state": lambda: random_cooperative(1, (2, 2, 2), gamma=0.5, seed=0),
    "two states": lambda: random_cooperative(2, (2, 2, 2), gamma=0.5, seed=3),
}
"""Games over every network of which a climb meets the same optimum from several starts."""
IDLE = {"one idle agent": (2, 1, 2), "two idle agents": (1, 1, 2), "one alone": (3,)}
"""Games with agents of one action, whose edges are worth nothing."""


@lru_cache(maxsize=len(SMALL))
def small(name):
    return SMALL[name]()


@lru_cache(maxsize=8)
def acyclic(N):
    """All acyclic graphs over so many agents, by trying all sets of ordered pairs."""
    pairs, found = list(combinations(range(N), 2)), []
    for ways in product((None, False, True), repeat=len(pairs)):
        edges = [pair[::-1] if back else pair for pair, back in zip(pairs, ways, strict=True) if back is not None]
        if nx.is_directed_acyclic_graph(nx.DiGraph(edges)):
            found.append(BayesianNetwork.from_edges(N, edges))
    return found


def independences(network):
    """Which pairs of agents a set of others separates: what the network says about its joint policies."""
    graph, N, found = network.to_networkx(), network.n_agents, []
    for i, j in combinations(range(N), 2):
        others = [k for k in range(N) if k not in (i, j)]
        for n in range(len(others) + 1):
            found += [nx.is_d_separator(graph, {i}, {j}, set(seen)) for seen in combinations(others, n)]
    return tuple(found)


@lru_cache(maxsize=500)
def separately(one, edges):
    """The objective that a solve of its own reaches over a network, by another method and from two starts."""
    runs = [eqsolve.solve(one, LBFGS(edges, lam=LAM, perturb=spread), seed=7) for spread in (1e-3, 1.0)]
    assert {run.status for run in runs} == {Status.CONVERGED}
    return max(run.state.objective for run in runs)


def certified(result, lam=LAM):
    """The certificate and the objective of the policy handed back, by enumeration."""
    one, policy = result.game, result.policy
    scale = scale_of(one) + abs(result.value)
    assert result.gap.upper == pytest.approx(max(oracle.agent_gain(one, policy, i) for i in range(one.n_agents)), abs=1e-9 * scale)
    assert result.gap.upper <= result.optimality.upper + 1e-11 * scale
    assert result.value == pytest.approx(oracle.value(one, policy), abs=1e-12 * scale)
    assert result.state.best.value == pytest.approx(result.value, abs=1e-11 * scale)
    objective = result.state.best.objective
    assert objective == pytest.approx(ByHand(one, policy.network, lam)(logits_of(policy)), abs=1e-11 * scale)
    assert objective == pytest.approx(barrier_objective(one, policy, lam), abs=1e-11 * scale)
    assert nx.is_directed_acyclic_graph(policy.network.to_networkx())
    assert len(policy.network.edges) <= result.algorithm.edges
    return True


# Classes of networks


@pytest.mark.parametrize(("N", "graphs", "classes"), [(1, 1, 1), (2, 3, 2), (3, 25, 11), (4, 543, 185)])
def test_one_network_of_every_class_of_equal_independences(N, graphs, classes):
    """The counts are Robinson's (1973), and Gillispie's and Perlman's (2001)."""
    everything = acyclic(N)
    assert len(everything) == graphs
    found = [BayesianNetwork.from_edges(N, edges) for edges in distinct_networks(N, comb(N, 2))]
    told = [independences(network) for network in found]
    assert len(found) == len(set(told)) == classes
    assert {independences(network) for network in everything} == set(told)
    assert [network.edges for network in found] == list(distinct_networks(N, 10**9))


@pytest.mark.parametrize(("N", "counts"), [(3, (1, 4, 10, 11)), (4, (1, 7, 34)), (5, (1, 11, 86))])
def test_a_budget_of_edges_keeps_the_networks_that_meet_it_fewest_edges_first(N, counts):
    """With two edges: those without a common agent once, those with one as a collider and as something else."""
    everything = list(distinct_networks(N, len(counts) - 1))
    sizes = [len(edges) for edges in everything]
    assert sizes == sorted(sizes)
    for budget, count in enumerate(counts):
        within = [edges for edges in everything if len(edges) <= budget]
        assert list(distinct_networks(N, budget)) == within
        assert len(within) == count


@settings(max_examples=25, deadline=None)
@given(networks(4), st.integers(0, 2**32 - 1))
def test_any_policy_is_one_over_exactly_one_of_the_networks_with_as_many_edges(network, seed):
    """A policy with random tables has no independences beside those of its network."""
    N, rng = network.n_agents, np.random.default_rng(seed)
    joint = random_policy(rng, network, 1, (2,) * N).joint()
    hits = 0
    for edges in distinct_networks(N, len(network.edges)):
        if len(edges) == len(network.edges):
            other = BayesianNetworkPolicy.from_joint(BayesianNetwork.from_edges(N, edges), joint)
            hits += np.abs(joint_by_hand(other.network, other.tables, (2,) * N) - joint.reshape(1, -1)).max() <= 1e-12
    assert hits == 1


# All networks, one by one


@pytest.mark.parametrize("name", ["two agents", "one state"])
def test_networks_of_one_class_reach_the_same(name):
    one = small(name)
    reached = {}
    for network in acyclic(one.n_agents):
        reached.setdefault(independences(network), []).append(separately(one, network.edges))
    assert len(reached) == {2: 2, 3: 11}[one.n_agents]
    assert max(np.ptp(each) for each in reached.values()) <= 1e-9 * scale_of(one)


@pytest.mark.parametrize(("name", "budget"), [("two agents", 0), ("two agents", 1), *(("one state", b) for b in (0, 1, 2, 3))])
def test_an_exhaustive_search_finds_the_best_of_all_networks(name, budget):
    one = small(name)
    result = eqsolve.solve(one, NetworkSearch(edges=budget, lam=LAM, search="exhaustive"))
    assert result.status is Status.CONVERGED
    assert certified(result)
    assert result.gap.upper <= 2 * LAM * mismatch_by_enumeration(one)
    close, state = 1e-7 * scale_of(one), result.state
    within = [network.edges for network in acyclic(one.n_agents) if len(network.edges) <= budget]
    assert state.best.objective == pytest.approx(max(separately(one, edges) for edges in within), abs=close)
    assert separately(one, state.best.edges) == pytest.approx(state.best.objective, abs=close)
    assert len(state.best.edges) == budget  # all edges of these games are worth something
    assert [tuple(edge) for edge in state.added.tolist()] == list(state.best.edges)
    assert state.looked_at == (len(list(distinct_networks(one.n_agents, budget))) if budget else 1)
    for edge, gain in zip(state.best.edges, state.gains, strict=True):
        without = tuple(other for other in state.best.edges if other != edge)
        assert gain == pytest.approx(state.best.objective - separately(one, without), abs=2 * close)
    assert state.objectives[-1] == state.best.objective
    assert state.values[-1] == state.best.value
    for k, objective in enumerate(state.objectives.tolist()):
        few = [network.edges for network in acyclic(one.n_agents) if len(network.edges) <= k]
        assert objective == pytest.approx(max(separately(one, edges) for edges in few), abs=close)


@pytest.mark.parametrize("name", ["two agents", "one state"])
def test_the_gains_of_a_greedy_search_are_those_of_separate_solves(name):
    one = small(name)
    budget = comb(one.n_agents, 2)
    result = eqsolve.solve(one, NetworkSearch(edges=budget, lam=LAM))
    assert result.status is Status.CONVERGED
    assert certified(result)
    assert result.policy.network.is_dense
    assert result.optimality.upper <= LAM * mismatch_by_enumeration(one)
    close, state = 2e-7 * scale_of(one), result.state
    here, looked_at = BayesianNetwork.product(one.n_agents), 1
    assert state.objectives[0] == pytest.approx(separately(one, ()), abs=close)
    for k, edge in enumerate(map(tuple, state.added.tolist())):
        candidates = {}
        for pair in product(range(one.n_agents), repeat=2):
            if pair not in here.edges and not here.creates_cycle(*pair):
                candidates[pair] = separately(one, here.with_edge(*pair).edges)
        looked_at += len(candidates)
        assert state.gains[k] == pytest.approx(candidates[edge] - separately(one, here.edges), abs=close)
        assert candidates[edge] >= max(candidates.values()) - close
        here = here.with_edge(*edge)
        assert state.objectives[k + 1] == pytest.approx(separately(one, here.edges), abs=close)
    assert state.looked_at == looked_at
    assert result.history["gain"].tolist() == state.gains.tolist()
    assert result.history["objective"].tolist() == state.objectives[1:].tolist()
    assert result.history["value"].tolist() == state.values[1:].tolist()
    assert result.history["edges"].tolist() == list(range(1, budget + 1))
    joint = eqsolve.solve(one, BarrierPolicyIteration(lam=LAM)).state.objective
    assert state.best.objective == pytest.approx(joint, abs=close)


def test_both_searches_and_the_joint_policy_agree_where_every_edge_is_allowed():
    one = small("one state")
    greedy, exhaustive = (eqsolve.solve(one, NetworkSearch(edges=3, lam=LAM, search=search)) for search in SEARCHES)
    assert greedy.optimality.upper == pytest.approx(exhaustive.optimality.upper, abs=1e-6 * scale_of(one))
    assert greedy.state.best.objective == pytest.approx(exhaustive.state.best.objective, abs=1e-8 * scale_of(one))


def test_the_first_edge_of_the_penalty_game_leads_past_the_safe_equilibrium():
    one = penalty_game(-10.0, agents=3)
    stuck = eqsolve.solve(one, NetworkSearch(edges=0, lam=LAM))
    result = eqsolve.solve(one, NetworkSearch(edges=1, lam=LAM))
    assert result.status is Status.CONVERGED
    for each in (stuck, result):
        assert certified(each)
        assert each.gap.upper <= 2 * LAM
    assert result.state.gains == pytest.approx([7.829], abs=1e-3)
    assert result.state.value_gains == pytest.approx([8.033], abs=1e-3)
    assert (stuck.value, result.value) == pytest.approx((1.7998, 9.8328), abs=0.05)
    assert result.state.objectives[0] == stuck.state.best.objective == pytest.approx(1.2987, abs=1e-4)
    assert result.state.looked_at == 7


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("name", IDLE)
def test_no_edge_is_added_that_is_worth_nothing(name, search):
    one = random_cooperative(2, IDLE[name], gamma=0.6, seed=1)
    result = eqsolve.solve(one, NetworkSearch(edges=3, lam=LAM, search=search))
    assert result.status is Status.CONVERGED
    assert certified(result)
    assert {frozenset(edge) for edge in result.policy.network.edges} == ({frozenset({0, 2})} if name == "one idle agent" else set())
    assert result.policy.network.edges == tuple(map(tuple, result.state.added.tolist()))
    assert (result.state.gains > NOTHING * scale_of(one)).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(oracle.FORMS), st.sampled_from(SEARCHES), st.integers(0, 3))
def test_whatever_a_short_search_finds_is_a_network_with_the_objective_it_tells(seed, form, search, budget):
    one, _ = oracle.random_tiny(seed, form)
    result = eqsolve.solve(one, NetworkSearch(edges=budget, lam=LAM, search=search, starts=1, rounds=3), seed=seed)
    assert result.status is Status.CONVERGED
    state = result.state
    assert result.policy.network.edges == state.best.edges
    assert {tuple(edge) for edge in state.added.tolist()} == set(state.best.edges)
    assert len(state.objectives) == len(state.values) == len(state.added) + 1
    if max(oracle.n_deviations(one, result.policy.network, i) for i in range(one.n_agents)) <= oracle.MOST:
        assert certified(result)
    if search == "greedy":
        assert (state.gains > NOTHING * scale_of(one)).all()


# Budgets, interruption, resumption


@pytest.mark.parametrize("search", SEARCHES)
def test_without_edges_it_is_the_best_product_policy(search):
    one = small("two states")
    result = eqsolve.solve(one, NetworkSearch(edges=0, lam=LAM, search=search))
    assert result.status is Status.CONVERGED
    assert certified(result)
    assert result.iterations == 0
    assert result.policy.network.is_product
    assert result.state.best.objective == pytest.approx(separately(one, ()), abs=1e-8 * scale_of(one))
    assert result.state.gains.shape == (0,)
    assert result.tables()["edges.csv"] == [("parent", "child", "gain", "value gain")]
    assert result.details()["edge_gains"] == []


SHORT = {"lam": LAM, "starts": 1, "rounds": 2}


@pytest.mark.parametrize("search", SEARCHES)
def test_a_budget_is_no_convergence(search):
    one = random_cooperative(1, (2, 2, 2, 2), gamma=0.0, seed=4)
    algorithm = NetworkSearch(edges=3, search=search, **SHORT)
    for limits, status in (
        (Limits(iterations=0), Status.OUT_OF_ITERATIONS),
        (Limits(iterations=2), Status.OUT_OF_ITERATIONS),
        (Limits(seconds=0), Status.OUT_OF_TIME),
    ):
        cut = eqsolve.solve(one, algorithm, limits=limits)
        assert cut.status is status
        assert cut.iterations == (limits.iterations or 0)
        assert certified(cut)
        assert len(cut.tables()["edges.csv"]) == 1 + (cut.iterations if search == "greedy" else 0)
        assert str(cut.state.looked_at) in str(cut)


@pytest.mark.parametrize("search", SEARCHES)
def test_ctrl_c_between_steps_and_within_one_hands_back_what_was_reached(search, monkeypatch):
    one = random_cooperative(1, (2, 2, 2, 2), gamma=0.0, seed=4)
    algorithm = NetworkSearch(edges=3, search=search, **SHORT)
    cut = eqsolve.solve(one, algorithm, limits=Limits(iterations=2))

    def stop(iteration, record):
        if iteration == 1:
            raise KeyboardInterrupt

    between = eqsolve.solve(one, algorithm, progress=stop)

    def wait(iteration, record):
        if iteration == 1:
            monkeypatch.setattr("eqsolve.bayesian_network.network_search.climb", interrupted)

    def interrupted(*given):
        raise KeyboardInterrupt

    within = eqsolve.solve(one, algorithm, progress=wait)
    for result in (between, within):
        assert result.status is Status.INTERRUPTED
        assert result.iterations == 2
        assert certified(result)
        assert to_bytes(result.state) == to_bytes(cut.state)
        assert to_bytes(result.policy) == to_bytes(cut.policy)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_resumed_search_is_the_uninterrupted_one_bit_for_bit(search, tmp_path):
    one = random_cooperative(1, (2, 2, 2, 2), gamma=0.0, seed=4)
    algorithm = NetworkSearch(edges=3, search=search, **SHORT)
    whole = eqsolve.solve(one, algorithm, seed=3)
    assert whole.status is Status.CONVERGED
    assert whole.iterations >= 3
    for cut in range(whole.iterations):
        asked = Checkpoints(tmp_path / "run", seconds=0.0, resume=cut > 0)
        part = eqsolve.solve(one, algorithm, seed=3, limits=Limits(iterations=cut), checkpoint=asked)
        assert part.iterations == cut
    again = eqsolve.solve(one, algorithm, seed=3, checkpoint=Checkpoints(tmp_path / "run", resume=True))
    assert any(f"iteration {cut}" in note for note in again.provenance.notes)
    assert again.history.equals(whole.history)
    assert to_bytes(again.state) == to_bytes(whole.state)
    assert to_bytes(again.policy) == to_bytes(whole.policy)
    assert (again.gap, again.status, again.value, again.bounds) == (whole.gap, whole.status, whole.value, whole.bounds)
    back = Result.load(whole.save(tmp_path / "kept"))
    assert back.tables() == whole.tables()
    assert back.details() == whole.details()


@pytest.mark.parametrize("search", SEARCHES)
def test_pieces_at_once_and_the_same_seed_give_the_same_bytes(search):
    one = small("two states")
    algorithm = NetworkSearch(edges=2, search=search, **SHORT)
    first = eqsolve.solve(one, algorithm, seed=5)
    with joblib.parallel_config(backend="threading"):
        others = [eqsolve.solve(one, algorithm, seed=5, n_jobs=n) for n in (1, 2)]
    for other in others:
        assert other.gap == first.gap
        assert to_bytes(other.state) == to_bytes(first.state)
    assert to_bytes(eqsolve.solve(one, algorithm, seed=6).state) != to_bytes(first.state)


# Reports


@pytest.mark.parametrize("search", SEARCHES)
def test_reports_put_the_most_valuable_edges_first_and_tables_the_order_of_addition(search):
    one = small("one state")
    result = eqsolve.solve(one, NetworkSearch(edges=3, search=search, lam=LAM, starts=1, rounds=10))
    state = result.state
    head, *rows = result.tables()["edges.csv"]
    assert [row[:2] for row in rows] == [(one.agent_label(j), one.agent_label(i)) for j, i in state.added.tolist()]
    for k, name in enumerate(head):
        if name not in ("parent", "child"):
            told = {"gain": state.gains, "value gain": state.value_gains}
            assert [row[k] for row in rows] == told[name].tolist()
    reached = zip(range(len(rows) + 1), state.objectives.tolist(), state.values.tolist(), strict=True)
    assert result.tables()["budget.csv"] == [("edges", "objective", "value"), *reached]
    text = str(result)
    order = np.argsort(-state.gains)
    places = [text.index(f"{rows[k][0]} -> {rows[k][1]}  ") for k in order]
    assert places == sorted(places)
    assert [tuple(one["edge"]) for one in result.details()["edge_gains"]] == [tuple(edge) for edge in state.added.tolist()]
    assert [one["gain"] for one in result.details()["edge_gains"]] == state.gains.tolist()


# Bad input


@pytest.mark.parametrize(
    ("options", "words"),
    [
        *(
            ({name: value}, f"{name} is {value!r}")
            for name in ("edges", "starts", "rounds")
            for value in (-1, 1.5, True, None, "2", [1], np.nan, np.inf)
        ),
        ({"starts": 0}, "starts is 0, less than 1"),
        ({"rounds": 0}, "rounds is 0, less than 1"),
        ({"lam": 0.0}, "lam is 0, not above 0"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(options, words):
    with pytest.raises(InvalidData) as caught:
        NetworkSearch(**options)
    assert words in str(caught.value)


@pytest.mark.parametrize("search", ["greed", "", None, 3, ("greedy",)])
def test_an_unknown_search_is_refused(search):
    with pytest.raises(UnknownName, match="search"):
        NetworkSearch(search=search)


def test_an_exhaustive_search_of_too_many_networks_is_refused_at_once():
    one = CooperativeMarkovGame([2] * 7, None, [((i,), np.eye(2)[:1]) for i in range(7)], 0.0)
    words = r"7 agents have 10,460,353,203 sets of at most 21 edges\n  At most 200,000 are tried; use 'greedy'"
    with pytest.raises(InvalidNetwork, match=words):
        eqsolve.solve(one, NetworkSearch(edges=21, search="exhaustive"))
    few = eqsolve.solve(one, NetworkSearch(edges=1, search="exhaustive", **SHORT), limits=Limits(iterations=1))
    assert few.state.looked_at == 17
