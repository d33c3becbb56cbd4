r"""Means over joint actions, agent by agent along the network: the judge's own inference, which no method uses.

A table over a frontier of agents is carried through a topological order, in pairs (Li and Eisner 2009, expectation semirings):

.. math:: p(s, a^F) = \sum_{a^{\text{gone}}} \prod_j \pi^j(a^j \mid s, a^{\mathcal P^j}), \qquad
          w(s, a^F, q) = \sum_{a^{\text{gone}}} \prod_j \pi^j(a^j \mid s, a^{\mathcal P^j}) \sum_k f_k(s, a, q)

the products over the agents met so far, the sum over the factors whose agents are all among them. An agent leaves as soon as
no table and no factor that is still to come looks at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.bayesian_network.factors import LARGEST, Factor, spread
from eqsolve.bayesian_network.network import BayesianNetwork
from eqsolve.errors import InvalidGame


@dataclass(frozen=True, slots=True)
class Arrival:
    """One agent joins the frontier.

    Parameters
    ----------
    agent : who. axes : the frontier with the agent, itself last.
    factors : the numbers of the factors that are complete now. leaving : the agents that nothing needs any more.
    """

    agent: int
    axes: tuple[int, ...]
    factors: tuple[int, ...]
    leaving: tuple[int, ...]


def arrivals(
    network: BayesianNetwork, n_actions: Sequence[int], scopes: Sequence[tuple[int, ...]], keep: Iterable[int] = ()
) -> tuple[Arrival, ...]:
    """A topological order, chosen step by step for a small frontier, and who leaves when.

    Among the agents whose parents are there and who share a table or a factor with the frontier, the one that leaves the fewest
    cells goes next; of equals, the one with the fewest neighbours still to come, then the smaller number.
    """
    N, kept = network.n_agents, frozenset(keep)
    groups = [frozenset(network.family(i)) for i in range(N)] + [frozenset(scope) for scope in scopes]
    of_agent: list[list[int]] = [[k for k, group in enumerate(groups) if i in group] for i in range(N)]
    neighbours = [_union(groups[k] for k in of_agent[i]) for i in range(N)]
    missing = [len(group) for group in groups]
    open_groups = [len(found) for found in of_agent]
    waiting = [len(found) for found in network.parents]
    children: list[list[int]] = [[] for _ in range(N)]
    for j, i in network.edges:
        children[j].append(i)
    ready = {i for i in range(N) if not waiting[i]}
    frontier: tuple[int, ...] = ()
    seen: set[int] = set()
    found: list[Arrival] = []

    def outcome(j: int) -> tuple[list[int], tuple[int, ...]]:
        """The groups that agent j completes, and the agents that leave."""
        done = [k for k in of_agent[j] if missing[k] == 1]
        closing = {i: sum(i in groups[k] for k in done) for i in (*frontier, j)}
        return done, tuple(i for i, count in closing.items() if count == open_groups[i] and i not in kept)

    def cost(j: int) -> tuple[int, int, int, int]:
        leaving = outcome(j)[1]
        left = [i for i in (*frontier, j) if i not in leaving]
        ahead = _union(neighbours[i] for i in left) - seen - {j}
        return prod(n_actions[i] for i in left), n_actions[j], len(ahead), j

    while ready:
        near = ready & _union(neighbours[i] for i in frontier)
        j = min(near or ready, key=cost)
        done, leaving = outcome(j)
        found.append(Arrival(j, (*frontier, j), tuple(k - N for k in done if k >= N), leaving))
        for k in of_agent[j]:
            missing[k] -= 1
        for k in done:
            for i in groups[k]:
                open_groups[i] -= 1
        frontier = tuple(i for i in (*frontier, j) if i not in leaving)
        seen.add(j)
        ready.discard(j)
        for i in children[j]:
            waiting[i] -= 1
            if not waiting[i]:
                ready.add(i)
    return tuple(found)


def means(
    network: BayesianNetwork,
    tables: Sequence[FloatArray],
    factors: Sequence[Factor],
    *,
    keep: tuple[int, ...] = (),
    clamped: int | None = None,
) -> tuple[FloatArray, FloatArray]:
    r"""Probabilities of the actions of some agents, and means of a sum of factors together with them.

    .. math:: p(s, a^K) = \sum_{a^{-K}} \prod_{j \ne c} \pi^j, \qquad
              w(s, a^K, q) = \sum_{a^{-K}} \prod_{j \ne c} \pi^j \sum_k f_k(s, a, q)

    Parameters
    ----------
    tables : one per agent, (S, m_parents..., m_i). factors : tables (S, m_agents..., Q) with a common last axis, at least one.
    keep : the agents K that stay, in the order of the axes of the results.
    clamped : an agent c of K whose table is left out, as if its action were set from outside; None for nobody.

    Returns
    -------
    p (S, m_keep...) and w (S, m_keep..., Q). A mean given the kept actions is w / p: Bayes's rule, whoever they are.

    Raises
    ------
    InvalidGame : the frontier grows larger than memory allows; its size is told, and what to do instead.
    """
    S, n_actions = len(tables[0]), tuple(table.shape[-1] for table in tables)
    Q = factors[0].table.shape[-1]
    plan = arrivals(network, n_actions, [one.agents for one in factors], keep)
    _check_size(plan, n_actions, S * (Q + 1))
    p, w = np.ones(S), np.zeros((S, Q))
    for one in factors:
        if not one.agents:
            w = w + one.table
    held: tuple[int, ...] = ()
    for step in plan:
        j = step.agent
        if j == clamped:
            chosen = np.ones((1,) * len(step.axes) + (n_actions[j],))
        else:
            chosen = spread(tables[j], network.family(j), step.axes)
        p, w = p[..., None] * chosen, w[..., None, :] * chosen[..., None]
        for k in step.factors:
            w = w + p[..., None] * spread(factors[k].table, factors[k].agents, step.axes)
        held = step.axes
        for i in step.leaving:
            axis = held.index(i) + 1
            p, w = p.sum(axis=axis), w.sum(axis=axis)
            held = tuple(one for one in held if one != i)
    order = tuple(held.index(i) + 1 for i in keep)
    return np.ascontiguousarray(p.transpose(0, *order)), np.ascontiguousarray(w.transpose(0, *order, len(order) + 1))


def _union(sets: Iterable[frozenset[int]]) -> frozenset[int]:
    return frozenset(chain.from_iterable(sets))


def _check_size(plan: tuple[Arrival, ...], n_actions: Sequence[int], depth: int) -> None:
    """Refuse frontiers that no memory holds; ``depth`` numbers for every joint action of the frontier."""
    widest = max(plan, key=lambda step: prod(n_actions[i] for i in step.axes))
    numbers = prod(n_actions[i] for i in widest.axes) * depth
    if numbers > LARGEST:
        raise InvalidGame(
            f"going through the agents one by one leads to a table over {len(widest.axes)} of them: {numbers:,} numbers",
            f"At most {LARGEST:,} are held. Give rewards and transitions as factors over fewer agents, or take edges out.",
        )
