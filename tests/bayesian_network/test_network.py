"""Acyclic graphs over agents: how they are made, in which order they stand, and what is refused."""

from __future__ import annotations

import re
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eqsolve.bayesian_network import BayesianNetwork, InvalidNetwork, as_network
from eqsolve.errors import UnknownName
from tests.bayesian_network.games import networks

Net = BayesianNetwork


def test_networks_that_have_a_name():
    assert Net.product(3).parents == ((), (), ())
    assert Net.chain(4).parents == ((), (0,), (1,), (2,))
    assert Net.chain(3, order=[2, 0, 1]).edges == ((2, 0), (0, 1))
    assert Net.dense(4).parents == ((), (0,), (0, 1), (0, 1, 2))
    assert Net.dense(3, order=(2, 0, 1)).parents == ((2,), (0, 2), ())
    assert Net.tree(6).parents == ((), (0,), (0,), (1,), (1,), (2,))
    assert Net.tree(5, branching=3).parents == ((), (0,), (0,), (0,), (1,))
    assert Net.tree(4, branching=1) == Net.chain(4)
    for name in ("product", "chain", "tree", "dense"):
        assert as_network(name, 5) == getattr(Net, name)(5)
        assert getattr(Net, name)(1).parents == ((),)


def test_parents_are_kept_in_ascending_order():
    assert Net(([], [0], (1, 0))).parents == ((), (0,), (0, 1))
    assert Net.from_edges(3, [(1, 2), (0, 2)]) == Net(((), (), (0, 1)))
    assert Net(((), np.array([0]), range(2))).edges == ((0, 1), (0, 2), (1, 2))
    assert Net(((1,), ())).family(0) == (1, 0)


def test_edges_and_networks_are_taken_as_they_are():
    assert as_network([(0, 1)], 3) == as_network({(0, 1)}, 3) == Net(((), (0,), ()))
    assert as_network(((0, 1), (1, 2)), 3) == Net.chain(3)
    chain = Net.chain(3)
    assert as_network(chain, 3) is chain


def test_it_prints_what_it_is():
    assert str(Net.product(3)) == "product, 3 agents, 0 edges"
    assert str(Net.dense(3)) == "dense, 3 agents, 3 edges"
    assert str(Net.from_edges(3, [(0, 2)])) == "network, 3 agents, 1 edge"


@given(networks())
def test_dense_and_product_are_counted_by_edges(network):
    N, graph = network.n_agents, network.to_networkx()
    assert network.is_product == (graph.number_of_edges() == 0)
    tournament = all(graph.has_edge(i, j) or graph.has_edge(j, i) for i in range(N) for j in range(i))
    assert network.is_dense == tournament


@given(networks())
def test_parents_stand_before_children_and_equals_by_number(network):
    graph = network.to_networkx()
    rank = {i: k for k, i in enumerate(network.order)}
    assert sorted(network.order) == list(range(network.n_agents))
    assert all(rank[j] < rank[i] for j, i in network.edges)
    depth = {}
    for i in nx.topological_sort(graph):
        depth[i] = max((depth[j] + 1 for j in graph.predecessors(i)), default=0)
    assert list(network.order) == sorted(depth, key=lambda i: (depth[i], i))


@given(networks(), st.randoms(use_true_random=False))
def test_networkx_gives_the_same_back(network, random):
    graph = network.to_networkx()
    assert nx.is_directed_acyclic_graph(graph)
    assert list(graph.nodes) == list(range(network.n_agents))
    shuffled = nx.DiGraph()
    nodes = list(graph.nodes)
    random.shuffle(nodes)
    shuffled.add_nodes_from(nodes)
    shuffled.add_edges_from(graph.edges)
    assert Net.from_networkx(shuffled) == network
    named = nx.relabel_nodes(graph, lambda i: f"agent {i}")
    assert Net.from_networkx(named) == network
    backwards = [f"agent {i}" for i in reversed(range(network.n_agents))]
    last = network.n_agents - 1
    turned = tuple(tuple(sorted(last - j for j in network.parents[last - i])) for i in range(network.n_agents))
    assert Net.from_networkx(named, agents=backwards) == Net(turned)


@given(networks(5))
def test_an_edge_closes_a_cycle_where_a_path_leads_back(network):
    graph = network.to_networkx()
    for j in range(network.n_agents):
        for i in range(network.n_agents):
            closes = nx.has_path(graph, i, j)
            assert network.creates_cycle(j, i) == closes
            if j in network.parents[i]:
                with pytest.raises(InvalidNetwork, match=f"agent {j} is listed twice among the parents of agent {i}"):
                    network.with_edge(j, i)
            elif closes:
                with pytest.raises(InvalidNetwork, match="its own parent" if i == j else "cycle"):
                    network.with_edge(j, i)
            else:
                assert set(network.with_edge(j, i).edges) == {*network.edges, (j, i)}


@given(networks(), st.data())
def test_the_cycle_that_is_named_is_one(network, data):
    if network.is_product:
        return
    j, i = data.draw(st.sampled_from(network.edges))
    edges = {*network.edges, (i, j)}
    with pytest.raises(InvalidNetwork) as caught:
        Net.from_edges(network.n_agents, edges)
    path = [int(one) for one in re.fullmatch(r"the network has the cycle (.*)\n  Take.*", str(caught.value))[1].split(" -> ")]
    assert path[0] == path[-1]
    assert len(set(path)) == len(path) - 1 >= 2
    assert {*pairwise(path)} <= edges


def cyclic(*edges):
    return Net.from_edges(4, edges)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cyclic((0, 1), (1, 2), (2, 0), (2, 3)), "cycle (0 -> 1 -> 2 -> 0|1 -> 2 -> 0 -> 1|2 -> 0 -> 1 -> 2)\n"),
        (lambda: cyclic((2, 2)), "agent 2 is its own parent"),
        (lambda: Net(((), (0, 0))), "agent 0 is listed twice among the parents of agent 1"),
        (lambda: cyclic((0, 1), (0, 1)), "agent 0 is listed twice among the parents of agent 1"),
        (lambda: Net(((), (2,))), r"parents\[1\] names agent 2, which does not exist\n  The agents are 0 to 1"),
        (lambda: Net(((), (-1,))), r"parents\[1\] names agent -1, which does not exist"),
        (lambda: cyclic((0, 4)), r"the edge \(0, 4\) names agent 4, which does not exist"),
        (lambda: Net(((), (0.5,))), r"an agent of parents\[1\] is 0.5, not a whole number\n  The agents are 0 to 1"),
        (lambda: Net(((), ("0",))), r"an agent of parents\[1\] is '0'"),
        (lambda: Net(((), (True,))), r"an agent of parents\[1\] is True"),
        (lambda: Net(((), 0)), r"parents\[1\] is 0, not a list of agents"),
        (lambda: Net(((), "0")), r"parents\[1\] is '0', not a list of agents"),
        (lambda: Net(()), "parents is empty: there are no agents"),
        (lambda: Net(None), "parents is None, not a list"),
        (lambda: Net("ab"), "parents is 'ab', not a list"),
        (lambda: cyclic((0, 1, 2)), r"the edge \(0, 1, 2\) is not a pair"),
        (lambda: cyclic("01"), "the edge '01' is not a pair"),
        (lambda: cyclic(3), "the edge 3 is not a pair"),
        (lambda: Net.from_edges(4, 3), "edges is 3, not a list of pairs"),
        (lambda: Net.product(0), "n_agents is 0, less than 1"),
        (lambda: Net.dense(2.5), "n_agents is 2.5, not a whole number"),
        (lambda: Net.tree(3, branching=0), "branching is 0, less than 1"),
        (lambda: Net.chain(3, order=[0, 1]), r"order \(0, 1\) does not name each of the 3 agents once"),
        (lambda: Net.dense(3, order=[0, 1, 1]), r"order \(0, 1, 1\) does not name each"),
        (lambda: Net.chain(3, order=[0, 1, 3]), "names agent 3, which does not exist"),
        (lambda: Net.chain(3, order=5), "order is 5, not a list of agents"),
        (lambda: Net.product(3).creates_cycle(-1, 0), "names agent -1, which does not exist"),
        (lambda: Net.product(3).creates_cycle(0, 3), "names agent 3, which does not exist"),
        (lambda: Net.product(3).with_edge(0, 3), "names agent 3, which does not exist"),
        (lambda: as_network(Net.chain(3), 4), "the network has 3 agents and the game has 4"),
        (lambda: as_network([(0, 5)], 4), "names agent 5, which does not exist"),
        (lambda: as_network(3, 4), "network is 3\n.*BayesianNetwork"),
        (lambda: as_network(None, 4), "network is None"),
        (lambda: Net.from_networkx(nx.Graph([(0, 1)])), "the graph is not directed\n  Give a networkx.DiGraph"),
        (lambda: Net.from_networkx(3), "the graph is not directed"),
        (lambda: Net.from_networkx(nx.MultiDiGraph([(0, 1), (0, 1)])), "agent 0 is listed twice"),
        (lambda: Net.from_networkx(nx.DiGraph([("a", "b")]), agents=["a"]), "node 'b' of the graph is not among the agents"),
        (lambda: Net.from_networkx(nx.DiGraph([("a", "b")]), agents=["a", "a", "b"]), "has a node twice"),
    ],
)
def test_bad_networks_are_refused(make, words):
    with pytest.raises(InvalidNetwork, match=words):
        make()


def test_an_unknown_name_is_refused_with_the_nearest_one():
    with pytest.raises(UnknownName, match=r"unknown network 'chian'\n.*'chain'"):
        as_network("chian", 3)
    with pytest.raises(UnknownName, match="Known: chain, dense, product, tree"):
        as_network("order", 3)  # a property, and no constructor
