r"""An elimination laid out flat for the compiled passes: where every number of a policy, a message and a utility stands.

Per state, one row of R + U numbers holds what passes between cliques: first a table for the separator of every clique, then one for
the scope of every utility. Downwards these are probabilities, upwards conditional means and the utilities themselves. A *link* says
how the cells of a clique go onto one of these tables: the separator of a clique below it, or a scope that lies in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray, IntArray, frozen
from eqsolve.bayesian_network.buckets import Buckets
from eqsolve.bayesian_network.factors import Factor
from eqsolve.bayesian_network.layout import Layout
from eqsolve.mdp.bellman import unsigned

Positions = npt.NDArray[np.uint64]
ManyPositions = npt.NDArray[np.uint32]


class Index(NamedTuple):
    """The cliques, in a topological order of their agents; all positions are unsigned, and all of one state.

    A clique has n rows, one per joint action of its separator, of m cells each, one per action of its own agent.

    Parameters
    ----------
    own, rows : (N,) m and n. first : (N,) its first row among the R of all, which is where the table of its separator starts.
    table : (N,) where the table of its agent starts in a vector (D,), as in ``Layout``. stride : (N,) entries of it per state.
    family : (R,) where the entries of a row start in the table of its agent.
    links : (N + 1,) its first link. direct : (N,) whether there is just one, and onto a table with the cells of the clique.
    to : (L,) where the table of a link starts. maps : (L,) where its part of ``into`` does.
    into : for every row of the clique of a link, where its m cells go in the table of the link.
    certain : where the probability is 1 whatever the policy: separators of roots, scopes without agents.
    """

    own: Positions
    rows: Positions
    first: Positions
    table: Positions
    stride: Positions
    family: ManyPositions
    links: Positions
    direct: npt.NDArray[np.bool_]
    to: Positions
    maps: Positions
    into: ManyPositions
    certain: Positions


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The compiled passes over one game and network; made by ``Plan.of``.

    Parameters
    ----------
    index : of the cliques. n_states : S. entries : D. policy_rows : the number of distributions in a policy.
    separators : R. widest : cells of the largest clique.
    reward : (S, U) by utility; those that move the state come first, U' of them.
    moves : (S, S, U') transitions, next states on the axis in the middle, or (S A, S) as CSR; None where they make no difference.
    mixture : how CSR ones add up to a chain.
    """

    index: Index
    n_states: int
    entries: int
    policy_rows: int
    separators: int
    widest: int
    reward: FloatArray
    moves: Any
    mixture: Mixture | None

    @staticmethod
    def of(
        layout: Layout, buckets: Buckets, reward: Iterable[Factor], moves: Iterable[Factor], kernel: Any, *, dense_up_to: int
    ) -> Plan:
        """Lay out an elimination.

        Parameters
        ----------
        reward, moves : utilities and transitions; no transitions where these make no difference.
        kernel : (S A, S) in place of ``moves``, over the scope of the only reward.
        dense_up_to : states up to which the chain of a CSR kernel is held dense.
        """
        m, S, order = layout.n_actions, layout.n_states, buckets.order
        rank = {i: b for b, i in enumerate(order)}
        cliques = [buckets.cliques[i] for i in order]
        own = np.asarray([m[i] for i in order])
        rows = np.asarray([_cells(clique[:-1], m) for clique in cliques])
        first = np.concatenate(([0], np.cumsum(rows)))
        links: list[list[tuple[int, tuple[int, ...]]]] = [[] for _ in order]
        certain = []
        for b, i in enumerate(order):
            if buckets.above[i] < 0:
                certain.append(int(first[b]))
            else:
                links[rank[buckets.above[i]]].append((int(first[b]), cliques[b][:-1]))
        scopes, table, steps = _utilities(reward, moves, rank, S)
        place = int(first[-1])
        for scope in scopes:
            if scope:
                links[rank[scope[-1]]].append((place, scope))
            else:
                certain.append(place)
            place += _cells(scope, m)
        into = [_row_starts(clique, onto, m) for clique, found in zip(cliques, links, strict=True) for _, onto in found]
        ends = np.cumsum([0, *map(len, links)])
        direct = [len(found) == 1 and len(found[0][1]) == len(clique) for clique, found in zip(cliques, links, strict=True)]
        index = Index(
            own=_positions(own),
            rows=_positions(rows),
            first=_positions(first[:-1]),
            table=_positions(layout.offsets[list(order)]),
            stride=_positions(np.diff(layout.offsets)[list(order)] // S),
            family=_many([_row_starts(cliques[b], buckets.network.family(i), m) for b, i in enumerate(order)]),
            links=_positions(ends),
            direct=frozen(np.asarray(direct)),
            to=_positions([to for found in links for to, _ in found]),
            maps=_positions(np.cumsum([0, *map(len, into)])[:-1]),
            into=_many(into),
            certain=_positions(certain),
        )
        mixture = Mixture.of(kernel, S, dense_up_to >= S) if sparse.issparse(kernel) else None
        if kernel is not None:
            steps = kernel if sparse.issparse(kernel) else kernel.reshape(S, -1, S)
        if isinstance(steps, np.ndarray):
            steps = frozen(np.ascontiguousarray(steps.transpose(0, 2, 1)))
        sizes = layout.size, len(layout.row_sizes), int(first[-1]), int((rows * own).max())
        return Plan(index, S, *sizes, table, steps, mixture)

    def softmax(self, logits: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """(D,) log-probabilities and (D,) probabilities proportional to exp(logits), and KL(Unif, pi) averaged over the states."""
        from eqsolve.bayesian_network import kernels

        log_pi, sums = np.empty(self.entries), np.empty(self.policy_rows)
        kernels.shift(self.index, self.n_states, fixed(np.ascontiguousarray(logits)), log_pi)
        # numpy's exp and log work on several numbers at once, which the compiled loops cannot.
        pi = np.exp(log_pi)
        kernels.sum_rows(self.index, self.n_states, pi, sums)
        divergence = kernels.normalise(self.index, self.n_states, sums, np.log(sums), log_pi, pi)
        return log_pi, pi, divergence

    def downwards(self, pi: FloatArray) -> Pass:
        """The pass under a policy (D,)."""
        from eqsolve.bayesian_network import kernels

        mass = np.empty((self.n_states, self.separators + self.reward.shape[1]))
        kernels.downwards(self.index, fixed(pi), mass)
        return Pass(self, pi, mass)

    def add_barrier(self, pi: FloatArray, lam: float, gradient: FloatArray) -> None:
        """Add the gradient of the barrier with weight lambda to a vector (D,)."""
        from eqsolve.bayesian_network import kernels

        kernels.add_barrier(self.index, self.n_states, fixed(pi), lam, gradient)


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """What a pass downwards found; made by ``Plan.downwards``.

    Parameters
    ----------
    plan, pi : of which game, and of which policy (D,). mass : (S, R + U) the probabilities of all separators and scopes.
    """

    plan: Plan
    pi: FloatArray
    mass: FloatArray

    def chain(self) -> tuple[FloatArray, Any]:
        """(S,) the mean reward, and (S, S) the transitions; None in place of these where they make no difference."""
        # Not by BLAS, whose threads wait for one another wherever the cores are busy.
        from eqsolve.bayesian_network import kernels

        plan, S = self.plan, self.plan.n_states
        reward, mass = np.empty((S, 1)), fixed(self.mass)
        kernels.mean(mass, plan.separators, plan.reward[:, None], reward)
        if plan.mixture is not None:
            return reward[:, 0], plan.mixture.chain(mass, plan.separators)
        if plan.moves is None:
            return reward[:, 0], None
        chain = np.empty((S, S))
        kernels.mean(mass, plan.separators, plan.moves, chain)
        return reward[:, 0], chain

    def advantages(self, values: FloatArray, gamma: float, weights: FloatArray) -> FloatArray:
        """(D,) the advantages of all agents, weighted (S,) by state and with the probabilities of their parents' actions."""
        from eqsolve.bayesian_network import kernels

        plan, R = self.plan, self.plan.separators
        means = np.empty_like(self.mass)
        means[:, R:] = plan.reward
        if plan.mixture is not None:
            means[:, R:] += gamma * (plan.moves @ values).reshape(plan.n_states, -1)
        elif plan.moves is not None:
            kernels.add_following(plan.moves, gamma, fixed(values), R, means)
        found = np.zeros(plan.entries)
        kernels.upwards(plan.index, fixed(self.pi), fixed(self.mass), fixed(weights), means, np.empty(plan.widest), found)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """How the rows of a CSR kernel (S A, S) add up to a chain (S, S), whose pattern is the same for all policies.

    Parameters
    ----------
    indptr, data : of the kernel. place : for each of its nonzeros, where it goes in ``data`` of the chain, or in a dense chain.
    pattern : row starts and columns of the chain; None where it is dense. size : numbers that the chain holds.
    """

    indptr: npt.NDArray[Any]
    data: FloatArray
    place: ManyPositions
    pattern: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None
    size: int

    @staticmethod
    def of(kernel: sparse.csr_array, S: int, dense: bool) -> Mixture:
        """Work out the pattern."""
        joint = kernel.shape[0] // S
        cell = np.repeat(np.arange(S * joint) // joint, np.diff(kernel.indptr)) * S + kernel.indices
        indptr, _, data = unsigned(kernel.indptr, kernel.indices, kernel.data)
        if dense:
            return Mixture(indptr, data, _many([cell]), None, S * S)
        cells, place = np.unique(cell, return_inverse=True)
        starts = np.searchsorted(cells, np.arange(S + 1) * S).astype(np.int32)
        return Mixture(indptr, data, _many([place]), (starts, (cells % S).astype(np.int32)), len(cells))

    def chain(self, mass: FloatArray, first: int) -> Any:
        """(S, S) from the probabilities of joint actions, which stand in mass (S, R + A) from a column on."""
        from eqsolve.bayesian_network import kernels

        S, found = len(mass), np.zeros(self.size)
        kernels.mix(self.indptr, self.data, self.place, mass, first, found)
        if self.pattern is None:
            return found.reshape(S, S)
        return sparse.csr_array((found, self.pattern[1], self.pattern[0]), shape=(S, S))


def eliminated(chain: FloatArray, gamma: float, reward: FloatArray, initial: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(S,) values and (S,) visits of a dense chain (S, S), by the compiled elimination."""
    from eqsolve.bayesian_network import kernels

    values, visits = reward.copy(), initial.copy()
    kernels.solve(fixed(chain), gamma, values, visits)
    return values, visits


def fixed(array: FloatArray) -> FloatArray:
    """A read-only view: the loops are compiled for one kind of argument, whoever made it."""
    view = array.view()
    view.setflags(write=False)
    return view


def _utilities(
    reward: Iterable[Factor], moves: Iterable[Factor], rank: dict[int, int], S: int
) -> tuple[list[tuple[int, ...]], FloatArray, FloatArray | None]:
    """The scopes, each in the order of the elimination; (S, U) rewards and (S, U', S) transitions, None where there are none."""
    steps: dict[tuple[int, ...], FloatArray] = {}
    gains: dict[tuple[int, ...], FloatArray] = {}
    for factors, found, tail in ((moves, steps, (S,)), (reward, gains, ())):
        for one in factors:
            scope = tuple(sorted(one.agents, key=rank.__getitem__))
            axes = (0, *(one.agents.index(i) + 1 for i in scope), *range(len(scope) + 1, one.table.ndim))
            table = one.table.transpose(axes).reshape(S, -1, *tail)
            found[scope] = found[scope] + table if scope in found else table
    scopes = [*steps, *(one for one in gains if one not in steps)]
    table = np.concatenate([gains[one] if one in gains else np.zeros((S, steps[one].shape[1])) for one in scopes], axis=1)
    return scopes, frozen(table), np.concatenate(list(steps.values()), axis=1) if steps else None


def _row_starts(clique: tuple[int, ...], onto: tuple[int, ...], m: tuple[int, ...]) -> IntArray:
    """For every joint action of a clique without its own agent, where it starts in a table whose last axis is that agent."""
    step, strides = 1, dict.fromkeys(clique, 0)
    for i in reversed(onto):
        strides[i] = step
        step *= m[i]
    starts = np.zeros(1, dtype=np.int64)
    for i in clique[:-1]:
        starts = (starts[:, None] + strides[i] * np.arange(m[i])).reshape(-1)
    return starts


def _cells(scope: tuple[int, ...], m: tuple[int, ...]) -> int:
    return prod(m[i] for i in scope)


def _positions(values: npt.ArrayLike) -> Positions:
    return frozen(np.asarray(values, dtype=np.int64).astype(np.uint64))


def _many(parts: list[IntArray]) -> ManyPositions:
    return frozen(np.concatenate([np.zeros(0, dtype=np.int64), *parts]).astype(np.uint32))
