"""Directed acyclic graphs over agents: who sees whose action."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from eqsolve.arrays import whole_number
from eqsolve.errors import InvalidData, unknown

if TYPE_CHECKING:
    import networkx as nx

Edges: TypeAlias = tuple[tuple[int, int], ...]


class InvalidNetwork(InvalidData):
    """A graph over agents that has a cycle, an unknown agent, or an edge given twice."""


@dataclass(frozen=True, slots=True)
class BayesianNetwork:
    """A directed acyclic graph over the agents 0 to N - 1; an edge (j, i) lets agent i see the action of agent j.

    Parameters
    ----------
    parents : for every agent the agents whose actions it sees, in any order; kept in ascending order.

    Raises
    ------
    InvalidNetwork : a cycle (its agents are named), a parent that does not exist, a parent listed twice, an agent that is its own
        parent, no agents.

    Notes
    -----
    Source: section 3 of the Bayesian-network paper; Definition 3 for dense (fully-correlated) networks.

    Examples
    --------
    >>> chain = BayesianNetwork.chain(3)
    >>> chain.parents, chain.edges
    (((), (0,), (1,)), ((0, 1), (1, 2)))
    >>> BayesianNetwork.dense(3).is_dense
    True
    """

    parents: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        given: Any = self.parents
        if isinstance(given, str | bytes) or not isinstance(given, Sequence):
            raise InvalidNetwork(f"parents is {given!r}, not a list with the parents of every agent")
        if not len(given):
            raise InvalidNetwork("parents is empty: there are no agents")
        checked = tuple(_parents_of(i, one, len(given)) for i, one in enumerate(given))
        object.__setattr__(self, "parents", checked)
        _check_acyclic(checked)

    @classmethod
    def product(cls, n_agents: int) -> BayesianNetwork:
        """No edges: a product policy."""
        return cls(((),) * _count(n_agents))

    @classmethod
    def chain(cls, n_agents: int, order: Sequence[int] | None = None) -> BayesianNetwork:
        """Every agent sees the one before it in ``order`` (0 to N - 1 when left out)."""
        line = _order(n_agents, order)
        return cls.from_edges(len(line), pairwise(line))

    @classmethod
    def dense(cls, n_agents: int, order: Sequence[int] | None = None) -> BayesianNetwork:
        """Every agent sees all before it in ``order``: N (N - 1) / 2 edges, which represent every joint policy."""
        line = _order(n_agents, order)
        return cls.from_edges(len(line), [(line[j], line[i]) for i in range(len(line)) for j in range(i)])

    @classmethod
    def tree(cls, n_agents: int, branching: int = 2) -> BayesianNetwork:
        """A rooted tree in which agent i sees agent (i - 1) // ``branching``."""
        N, b = _count(n_agents), whole_number("branching", branching, 1, InvalidNetwork)
        return cls(tuple(() if i == 0 else ((i - 1) // b,) for i in range(N)))

    @classmethod
    def from_edges(cls, n_agents: int, edges: Iterable[tuple[int, int]]) -> BayesianNetwork:
        """From edges (parent, child).

        Raises
        ------
        InvalidNetwork : as ``BayesianNetwork``; an edge that is not a pair.
        """
        N = _count(n_agents)
        parents: list[list[Any]] = [[] for _ in range(N)]
        if not isinstance(edges, Iterable):
            raise InvalidNetwork(f"edges is {edges!r}, not a list of pairs (parent, child)")
        for edge in edges:
            pair = tuple(edge) if isinstance(edge, Iterable) and not isinstance(edge, str) else ()
            if len(pair) != 2:
                raise InvalidNetwork(f"the edge {edge!r} is not a pair (parent, child)")
            j, i = (_agent(one, N, f"the edge {edge!r}") for one in pair)
            parents[i].append(j)
        return cls(tuple(tuple(one) for one in parents))

    @classmethod
    def from_networkx(cls, graph: Any, agents: Sequence[Any] | None = None) -> BayesianNetwork:
        """From a networkx ``DiGraph``.

        Parameters
        ----------
        agents : the nodes in the order of the agents' numbers; sorted where all of them are numbers, else as they were added.

        Raises
        ------
        InvalidNetwork : the graph is not directed, or has parallel edges, or a node that is not among the agents, who are given
            once each; as ``BayesianNetwork``.
        """
        if not getattr(graph, "is_directed", bool)():
            raise InvalidNetwork("the graph is not directed", "Give a networkx.DiGraph whose edges go from parent to child.")
        listed = list(graph.nodes)
        nodes = list(agents) if agents is not None else sorted(listed) if all(isinstance(v, int) for v in listed) else listed
        number = {node: i for i, node in enumerate(nodes)}
        if len(number) != len(nodes):
            raise InvalidNetwork(f"agents {nodes} has a node twice")
        for node in listed:
            if node not in number:
                raise InvalidNetwork(f"node {node!r} of the graph is not among the agents")
        return cls.from_edges(len(nodes), [(number[j], number[i]) for j, i in graph.edges()])

    def to_networkx(self) -> nx.DiGraph:
        """The graph as a networkx ``DiGraph`` with the agents' numbers as nodes."""
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_nodes_from(range(self.n_agents))
        graph.add_edges_from(self.edges)
        return graph

    @property
    def n_agents(self) -> int:
        """N."""
        return len(self.parents)

    @property
    def edges(self) -> Edges:
        """All pairs (parent, child), by child and then by parent."""
        return tuple((j, i) for i, found in enumerate(self.parents) for j in found)

    @property
    def is_dense(self) -> bool:
        """Whether it has all N (N - 1) / 2 edges, so that every joint policy can be written over it (Definition 3)."""
        return len(self.edges) == self.n_agents * (self.n_agents - 1) // 2

    @property
    def is_product(self) -> bool:
        """Whether it has no edges."""
        return not any(self.parents)

    @property
    def order(self) -> tuple[int, ...]:
        """A topological order: parents before children; agents whose parents are equally deep by their numbers."""
        sorter = TopologicalSorter(dict(enumerate(self.parents)))
        sorter.prepare()
        found: list[int] = []
        while sorter.is_active():
            ready = sorted(sorter.get_ready())
            found += ready
            sorter.done(*ready)
        return tuple(found)

    def family(self, i: int) -> tuple[int, ...]:
        """The parents of an agent, then the agent: the axes of its table."""
        return (*self.parents[i], i)

    def with_edge(self, parent: int, child: int) -> BayesianNetwork:
        """The network with one more edge.

        Raises
        ------
        InvalidNetwork : it closes a cycle, or is there already.
        """
        return BayesianNetwork.from_edges(self.n_agents, (*self.edges, (parent, child)))

    def creates_cycle(self, parent: int, child: int) -> bool:
        """Whether an edge from ``parent`` to ``child`` would close a cycle; raises ``InvalidNetwork`` for an unknown agent."""
        parent, child = (_agent(one, self.n_agents, f"the edge {(parent, child)}") for one in (parent, child))
        waiting, seen = [parent], {parent}
        while waiting:
            at = waiting.pop()
            if at == child:
                return True
            waiting += [one for one in self.parents[at] if one not in seen]
            seen.update(self.parents[at])
        return False

    def __str__(self) -> str:
        N, E = self.n_agents, len(self.edges)
        kind = "product" if self.is_product else "dense" if self.is_dense else "network"
        return f"{kind}, {N} agents, {E} {'edge' if E == 1 else 'edges'}"


KINDS = ("product", "chain", "tree", "dense")
"""Networks that have a name."""


def as_network(given: BayesianNetwork | str | Iterable[tuple[int, int]], n_agents: int) -> BayesianNetwork:
    """A network for N agents, given as one, by name (``"product"``, ``"chain"``, ``"tree"``, ``"dense"``) or by its edges.

    Raises
    ------
    UnknownName : another name. InvalidNetwork : for another number of agents, or edges that make no network.
    """
    if isinstance(given, BayesianNetwork):
        if given.n_agents != n_agents:
            raise InvalidNetwork(f"the network has {given.n_agents} agents and the game has {n_agents}")
        return given
    if isinstance(given, str):
        if given not in KINDS:
            raise unknown("network", given, KINDS)
        made: BayesianNetwork = getattr(BayesianNetwork, given)(n_agents)
        return made
    if not isinstance(given, Iterable):
        raise InvalidNetwork(
            f"network is {given!r}", f"Give a BayesianNetwork, edges (parent, child), or one of {', '.join(KINDS)}."
        )
    return BayesianNetwork.from_edges(n_agents, given)


def _count(n_agents: Any) -> int:
    return whole_number("n_agents", n_agents, 1, InvalidNetwork)


def _agent(value: Any, N: int, where: str) -> int:
    known = f"The agents are 0 to {N - 1}."
    try:
        number = whole_number(f"an agent of {where}", value, -(2**62), InvalidNetwork)
    except InvalidNetwork as error:
        raise InvalidNetwork(error.what, known) from error
    if not 0 <= number < N:
        raise InvalidNetwork(f"{where} names agent {number}, which does not exist", known)
    return number


def _order(n_agents: int, order: Sequence[int] | None) -> tuple[int, ...]:
    N = _count(n_agents)
    if order is None:
        return tuple(range(N))
    if not isinstance(order, Iterable):
        raise InvalidNetwork(f"order is {order!r}, not a list of agents")
    line = tuple(_agent(one, N, f"order {tuple(order)}") for one in order)
    if sorted(line) != list(range(N)):
        raise InvalidNetwork(f"order {line} does not name each of the {N} agents once")
    return line


def _parents_of(i: int, given: Any, N: int) -> tuple[int, ...]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InvalidNetwork(f"parents[{i}] is {given!r}, not a list of agents")
    found = sorted(_agent(one, N, f"parents[{i}]") for one in given)
    for one, following in pairwise(found):
        if one == following:
            raise InvalidNetwork(f"agent {one} is listed twice among the parents of agent {i}")
    if i in found:
        raise InvalidNetwork(f"agent {i} is its own parent")
    return tuple(found)


def _check_acyclic(parents: tuple[tuple[int, ...], ...]) -> None:
    try:
        TopologicalSorter(dict(enumerate(parents))).prepare()
    except CycleError as cycle:
        path = " -> ".join(map(str, cycle.args[1]))
        raise InvalidNetwork(f"the network has the cycle {path}", "Take one of its edges out, or turn it round.") from cycle
