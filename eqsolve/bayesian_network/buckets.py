"""Variable elimination over a network: in which order, and through which cliques."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from eqsolve.bayesian_network.network import BayesianNetwork


@dataclass(frozen=True, slots=True)
class Buckets:
    r"""The cliques of an elimination, last agent of a topological order first.

    Eliminating agent i multiplies by its table and sums over its actions. All its children are gone by then, so that its clique
    holds the agent, its parents, and whoever shares a scope with it; given the rest of the clique (the separator), its action
    depends on its parents alone: :math:`P(C_i) = P(C_i \setminus i)\, \pi^i(a^i \mid s, a^{\mathcal P^i})`.

    Parameters
    ----------
    network : the graph. order : a topological order of the agents; eliminated from its end.
    cliques : by agent, the clique in the order of elimination's reverse, the agent itself last.
    above : by agent, the clique that holds its separator, named by its agent; -1 at a root.
    """

    network: BayesianNetwork
    order: tuple[int, ...]
    cliques: tuple[tuple[int, ...], ...]
    above: tuple[int, ...]

    @staticmethod
    def of(network: BayesianNetwork, n_actions: tuple[int, ...], scopes: Iterable[Iterable[int]]) -> Buckets:
        """The elimination for tables over ``scopes``, each of which comes to lie in one clique.

        Among the agents without children left, the one with the smallest clique goes first (the smaller number of equals last).
        """
        N = network.n_agents
        holding: list[set[int]] = [{i, *network.parents[i]} for i in range(N)]
        for scope in map(frozenset, scopes):
            for i in scope:
                holding[i] |= scope
        # After this, holding[i] is i and everybody who shares a scope with it; families of children count once these are gone.
        children = [0] * N
        for found in network.parents:
            for j in found:
                children[j] += 1
        cost = {i: _cells(holding[i], n_actions) for i in range(N) if not children[i]}
        cliques: list[frozenset[int]] = [frozenset()] * N
        reverse: list[int] = []
        while cost:
            i = min(cost, key=lambda one: (cost[one], -one))
            del cost[i]
            reverse.append(i)
            cliques[i] = frozenset(holding[i])
            separator = cliques[i] - {i}
            for j in separator:
                holding[j] |= separator
                holding[j].discard(i)
            for j in network.parents[i]:
                children[j] -= 1
                if not children[j]:
                    cost[j] = 0
            for j in separator & cost.keys():
                cost[j] = _cells(holding[j], n_actions)
        order = tuple(reversed(reverse))
        rank = {i: k for k, i in enumerate(order)}
        sorted_cliques = tuple(tuple(sorted(one, key=rank.__getitem__)) for one in cliques)
        return Buckets(network, order, sorted_cliques, tuple(one[-2] if len(one) > 1 else -1 for one in sorted_cliques))

    def home(self, scope: Iterable[int]) -> int:
        """The agent whose clique holds a scope that the elimination knew of: the first one of it to be eliminated; -1 if empty."""
        rank = {i: k for k, i in enumerate(self.order)}
        return max(scope, key=rank.__getitem__, default=-1)

    def cells(self, n_actions: tuple[int, ...]) -> int:
        """The number of cells of all cliques together, which the work and the memory per state go by."""
        return sum(_cells(one, n_actions) for one in self.cliques)

    @property
    def width(self) -> int:
        """The number of agents in the largest clique, less 1: the treewidth of the elimination."""
        return max(len(one) for one in self.cliques) - 1


def _cells(agents: Iterable[int], n_actions: tuple[int, ...]) -> int:
    return prod(n_actions[i] for i in agents)
