r"""Passes over the cliques of an elimination, all states at once: marginals downwards, conditional means upwards.

With u a sum of tables over few agents (rewards, or rewards and what follows), the upward pass computes for every clique

.. math:: I_i(C_i) = \sum_{k \in \text{bucket } i} u_k + \sum_{c \text{ below } i} M_c, \qquad
          M_i(C_i \setminus i) = \sum_{a^i} \pi^i(a^i \mid s, a^{\mathcal P^i})\, I_i

so that the means of u are the M of the roots. All that lies outside the subtree of i depends on a^i through nothing, so that
the advantage of an action of agent i is the mean of I - M given its family: no probability is ever divided by.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eqsolve.arrays import FloatArray
from eqsolve.bayesian_network.buckets import Buckets
from eqsolve.bayesian_network.factors import Factor, spread, sum_onto


def clique_marginals(buckets: Buckets, tables: Sequence[FloatArray]) -> list[FloatArray]:
    """By agent, (S, m_clique...) the joint probability of its clique."""
    found: list[FloatArray] = [np.empty(0)] * len(tables)
    for i in buckets.order:
        found[i] = separator_marginal(buckets, found, i)[..., None] * over_clique(buckets, tables, i)
    return found


def separator_marginal(buckets: Buckets, marginals: Sequence[FloatArray], i: int) -> FloatArray:
    """(S, m_separator...) the joint probability of the clique of agent i without i; (1,) at a root."""
    above = buckets.above[i]
    return np.ones(1) if above < 0 else sum_onto(marginals[above], buckets.cliques[above], buckets.cliques[i][:-1])


def marginal(buckets: Buckets, marginals: Sequence[FloatArray], agents: tuple[int, ...]) -> FloatArray:
    """(S, m_agents...) the joint probability of agents who share a clique, in the order given."""
    home = buckets.home(agents)
    return arranged(marginals[home], buckets.cliques[home], agents)


def means_upwards(
    buckets: Buckets, tables: Sequence[FloatArray], terms: Sequence[Factor]
) -> tuple[list[FloatArray], list[FloatArray]]:
    """By agent, I (S, m_clique...) and M (S, m_separator...); terms that look at nobody are left out, as no action changes them.

    Sides of I and M along which nothing changes may have length 1.
    """
    held: list[list[FloatArray]] = [[] for _ in tables]
    for one in terms:
        home = buckets.home(one.agents)
        if home >= 0:
            held[home].append(spread(one.table, one.agents, buckets.cliques[home]))
    inner: list[FloatArray] = [np.empty(0)] * len(tables)
    means: list[FloatArray] = [np.empty(0)] * len(tables)
    for i in reversed(buckets.order):
        clique, above = buckets.cliques[i], buckets.above[i]
        inner[i] = sum(held[i][1:], start=held[i][0]) if held[i] else np.zeros((1,) * (len(clique) + 1))
        means[i] = (over_clique(buckets, tables, i) * inner[i]).sum(axis=-1)
        if above >= 0:
            held[above].append(spread(means[i], clique[:-1], buckets.cliques[above]))
    return inner, means


def weighted_advantages(
    buckets: Buckets, marginals: Sequence[FloatArray], inner: Sequence[FloatArray], means: Sequence[FloatArray], i: int
) -> FloatArray:
    r"""(S, m_parents..., m_i) :math:`\Pr(a^{\mathcal P^i} \mid s)\, A^i(s, a^{\mathcal P^i}, a^i)`, without any division."""
    clique = buckets.cliques[i]
    part = separator_marginal(buckets, marginals, i)[..., None] * (inner[i] - means[i][..., None])
    sides = (marginals[i].shape[0], *marginals[i].shape[1:])
    return arranged(np.broadcast_to(part, sides), clique, buckets.network.family(i))


def over_clique(buckets: Buckets, tables: Sequence[FloatArray], i: int) -> FloatArray:
    """The table of agent i as a view that broadcasts over its clique."""
    return spread(tables[i], buckets.network.family(i), buckets.cliques[i])


def arranged(table: FloatArray, agents: tuple[int, ...], wanted: tuple[int, ...]) -> FloatArray:
    """A table over (states, agents) summed onto those wanted, in their order; any further axes stay behind."""
    part = sum_onto(table, agents, wanted)
    kept = tuple(one for one in agents if one in wanted)
    order = tuple(kept.index(one) + 1 for one in wanted)
    return part if kept == wanted else part.transpose(0, *order, *range(len(kept) + 1, part.ndim))
