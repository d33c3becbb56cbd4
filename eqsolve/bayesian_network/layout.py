"""All tables of a policy in one vector: where each table stands, and softmax over all of its rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, frozen
from eqsolve.bayesian_network.factors import LARGEST, in_words
from eqsolve.bayesian_network.network import BayesianNetwork, InvalidNetwork


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The tables (S, m_parents..., m_i) of all agents, one after another in a vector of D entries.

    A row is one distribution: a state and actions of the parents of one agent.

    Parameters
    ----------
    network : the graph. n_states : S. n_actions : (N,) numbers of actions.

    Raises
    ------
    InvalidNetwork : for another number of agents; tables larger than memory (the agent and the size are named).
    """

    network: BayesianNetwork
    n_states: int
    n_actions: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...] = field(init=False)
    """Of the tables."""
    offsets: IntArray = field(init=False)
    """(N + 1,) where each table starts, and D."""
    row_starts: IntArray = field(init=False)
    """(R,) where each row starts."""
    row_sizes: IntArray = field(init=False)
    """(R,) its number of actions."""
    row_weights: FloatArray = field(init=False)
    """(R,) 1 / (S |A^P|): the share of a row among those of its agent."""

    def __post_init__(self) -> None:
        if self.network.n_agents != len(self.n_actions):
            raise InvalidNetwork(f"the network has {self.network.n_agents} agents and there are {len(self.n_actions)}")
        m, put = self.n_actions, object.__setattr__
        shapes = tuple((self.n_states, *(m[j] for j in self.network.family(i))) for i in range(len(m)))
        sizes = [_size(i, shape) for i, shape in enumerate(shapes)]
        rows = [size // m[i] for i, size in enumerate(sizes)]
        put(self, "shapes", shapes)
        put(self, "offsets", frozen(np.concatenate(([0], np.cumsum(sizes)))))
        put(self, "row_sizes", frozen(np.repeat(np.asarray(m), rows)))
        put(self, "row_starts", frozen(np.concatenate(([0], np.cumsum(self.row_sizes)[:-1]))))
        put(self, "row_weights", frozen(np.repeat(1.0 / np.asarray(rows, dtype=np.float64), rows)))

    @property
    def size(self) -> int:
        """D, the number of entries of all tables."""
        return int(self.offsets[-1])

    @property
    def common(self) -> int:
        """The number of actions of every agent where all have equally many, else 0."""
        return self.n_actions[0] if len(set(self.n_actions)) == 1 else 0

    def tables(self, flat: FloatArray) -> tuple[FloatArray, ...]:
        """Views of a vector (D,) as tables."""
        ends = zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), self.shapes, strict=True)
        return tuple(flat[first:last].reshape(shape) for first, last, shape in ends)

    def flatten(self, tables: Sequence[FloatArray]) -> FloatArray:
        """(D,) the tables as one vector."""
        return np.concatenate([np.ascontiguousarray(one).reshape(-1) for one in tables])

    def row_sums(self, flat: FloatArray) -> FloatArray:
        """(R,) the sum of every row."""
        if self.common:
            return np.asarray(flat.reshape(-1, self.common).sum(axis=1))
        return np.asarray(np.add.reduceat(flat, self.row_starts))

    def row_maxima(self, flat: FloatArray) -> FloatArray:
        """(R,) the largest entry of every row."""
        if self.common:
            return np.asarray(flat.reshape(-1, self.common).max(axis=1))
        return np.asarray(np.maximum.reduceat(flat, self.row_starts))

    def to_entries(self, rows: FloatArray) -> FloatArray:
        """(D,) one value per row, repeated over its entries."""
        return np.repeat(rows, self.common or self.row_sizes)

    def log_softmax(self, logits: FloatArray) -> FloatArray:
        """(D,) the logarithms of the distributions proportional to exp(logits)."""
        shifted = logits - self.to_entries(self.row_maxima(logits))
        return np.asarray(shifted - self.to_entries(np.log(self.row_sums(np.exp(shifted)))))

    def barrier_gradient(self, probability: FloatArray) -> FloatArray:
        r"""(D,) the gradient by the logits of minus the relative entropy of the uniform policy, averaged over the states.

        .. math:: \frac{1}{|S| |\mathcal A^{\mathcal P^i}|} \Big( \frac{1}{|\mathcal A^i|} - \pi^i \Big)
        """
        return np.asarray(self.to_entries(self.row_weights) * (self.to_entries(1.0 / self.row_sizes) - probability))


def dot(a: FloatArray, b: FloatArray) -> float:
    """The inner product of vectors (D,).

    Not by BLAS, whose threads change its last bits with their number, and wait for one another wherever the cores are busy.
    """
    return float(np.einsum("d,d->", a, b))


def length(a: FloatArray) -> float:
    """The 2-norm of a vector (D,)."""
    return sqrt(dot(a, a))


def _size(i: int, shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape:
        size *= side
    if size > LARGEST:
        raise InvalidNetwork(
            f"the table of agent {i} would hold {in_words(size)} numbers: "
            f"its parents have {in_words(size // shape[0] // shape[-1])} joint actions",
            f"At most {LARGEST:,} are held; give the agent fewer parents.",
        )
    return size
