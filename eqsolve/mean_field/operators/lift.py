"""Expected values after the local agents have moved, for every state of the global agent: the operator of all Bellman sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray, float_array, frozen, whole_number
from eqsolve.errors import InvalidData, unknown
from eqsolve.mean_field.game import check_rows
from eqsolve.mean_field.histograms import affordable, size
from eqsolve.mean_field.operators.shears import Chain, Shears, chain
from eqsolve.mean_field.operators.zones import DENSE, Dense, Zones

ACCURACY = 1e-9
"""Relative error of an expected value above which shears are given up for sums without a negative term."""
SMALL = 150
"""Histograms up to which a matrix is as fast as anything."""
THREADED_FROM = 20_000
"""Values of one state of the global agent from which the states are shared out among threads."""
METHODS = ("auto", "shears", "zones", "dense")
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Operator(Protocol):
    """Sym^k(P) of one transition matrix; both passes work in place on (N, C)."""

    @property
    def error(self) -> float:
        """Bound of the absolute error of an expected value, per unit of the largest value."""
        ...

    def forward(self, values: FloatArray) -> None:
        """Expected values."""
        ...

    def backward(self, mass: FloatArray) -> None:
        """The adjoint."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Lift:
    r"""The laws of the next histogram, one for every state of the global agent, as operators; made by ``lift``.

    .. math:: (L_g f)(d) = \mathbb E[f(D') \mid s_g = g, d], \qquad D' = \sum_z \text{Multinomial}(d_z, P_g(\cdot \mid z))

    Parameters
    ----------
    k, Z : agents and their states.
    operators : one for each state of the global agent. methods : how each is computed.
    amplification : (G,) of the factors found; where its power k is too large, the method is another than shears.
    threads : how many states are worked on at once; as many as there are processors when 0. Answers do not depend on it.
    """

    k: int
    Z: int
    operators: tuple[Operator, ...]
    methods: tuple[str, ...]
    amplification: FloatArray
    threads: int = 0

    @property
    def size(self) -> int:
        """N, the number of histograms."""
        return size(self.k, self.Z)

    @property
    def error(self) -> float:
        """Bound of the absolute error of any expected value, per unit of the largest value."""
        return max(operator.error for operator in self.operators)

    def apply(self, values: npt.ArrayLike) -> FloatArray:
        """(G, C, N) expected values of functions (C, N) of the next histogram: entry [g, c, d] is E[f_c(D') | g, d].

        Raises
        ------
        InvalidData : values of another number of histograms.
        """
        given = float_array("values", values, (None, self.size))
        out = np.empty((len(self.operators), *given.shape))
        for g, table in enumerate(self.expected(np.ascontiguousarray(given.T))):
            out[g] = table.T
        return out

    def transpose(self, mass: npt.ArrayLike) -> FloatArray:
        """(C, N) the adjoint of ``apply``: the laws of the next histogram, from mass (G, C, N), summed over g.

        Raises
        ------
        InvalidData : mass of another number of states or histograms.
        """
        given = float_array("mass", mass, (len(self.operators), None, self.size))
        total = np.zeros((self.size, given.shape[1]))
        for moved in self._moved([np.array(table.T, order="C") for table in given], back=True):
            total += moved
        return np.ascontiguousarray(total.T)

    def expected(self, columns: FloatArray) -> list[FloatArray]:
        """For every state of the global agent, the expected values (N, C) of functions that are the columns of (N, C)."""
        return self._moved([columns.copy() for _ in self.operators], back=False)

    def _moved(self, tables: list[FloatArray], *, back: bool) -> list[FloatArray]:
        """The tables (N, C) after one pass each, in place. Where their number is odd, the last one is worked on in two halves."""
        half = tables[0].shape[1] // 2 if len(tables) % 2 and tables[0].size >= THREADED_FROM else 0
        whole = len(tables) - 1 if half else len(tables)
        jobs = list(enumerate(tables[:whole]))
        if half:
            last = tables[-1]
            jobs += [(whole, np.ascontiguousarray(last[:, half:])), (whole, np.ascontiguousarray(last[:, :half]))]

        def work(job: tuple[int, FloatArray]) -> None:
            operator = self.operators[job[0]]
            (operator.backward if back else operator.forward)(job[1])

        self.map(work, jobs, tables[0].size)
        if half:
            tables[-1][:, half:], tables[-1][:, :half] = jobs[-2][1], jobs[-1][1]
        return tables

    def map(self, work: Callable[[Item], Answer], items: Iterable[Item], numbers: int) -> list[Answer]:
        """The work on every item, in order; in threads where each item has many ``numbers``."""
        listed = list(items)
        if numbers < THREADED_FROM or len(listed) < 2:
            return [work(item) for item in listed]
        threads = min(self.threads or _processors(), len(listed))
        if threads == 1:
            return [work(item) for item in listed]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(work, listed))


def _processors() -> int:
    from joblib import cpu_count

    return int(cpu_count())


def lift(rows: npt.ArrayLike, k: int, method: str = "auto", *, threads: int = 0, accuracy: float = ACCURACY) -> Lift:
    """The operators for k agents that move by rows (G, Z, Z): [g, z, s'] is the probability of s' from z while s_g = g.

    Parameters
    ----------
    method : "shears", exact to rounding times the k-th power of the amplification; "zones", without a negative term, for moderate
        k; "dense", a matrix for few histograms; "auto", for each state of the global agent the fastest one that is accurate.
    threads : see ``Lift``. accuracy : the relative error that shears may have.

    Raises
    ------
    InvalidData : rows that are no probabilities, k below 0, more histograms than memory holds; a method that is asked for and is
        not accurate, or too slow.
    UnknownName : another method.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    agents = whole_number("k", k, 0)
    given = float_array("rows", rows, (None, None, None))
    if given.shape[1] != given.shape[2] or not given.size:
        raise InvalidData(f"rows has shape {' x '.join(map(str, given.shape))}", "Give a square matrix for every global state.")
    check_rows("rows", given, InvalidData)
    G, Z = given.shape[:2]
    affordable(agents, Z, 2 * G, "values and expected values")
    chains = [chain(np.asarray(given[g]), agents, accuracy) for g in range(G)]
    made = [_operator(method, np.asarray(given[g]), chains[g], agents, accuracy, g) for g in range(G)]
    return Lift(
        agents,
        Z,
        tuple(operator for _, operator in made),
        tuple(name for name, _ in made),
        frozen(np.array([one.amplification for one in chains])),
        whole_number("threads", threads, 0),
    )


def _operator(method: str, rows: FloatArray, found: Chain, k: int, accuracy: float, g: int) -> tuple[str, Any]:
    Z, accurate = len(rows), found.relative_error(k) <= accuracy
    if method == "shears" and not accurate:
        raise InvalidData(
            f"the factors of rows[{g}] amplify rounding {found.amplification:.3g} times per agent, to a relative error of "
            f"{found.relative_error(k):.1e} for {k} agents",
            'Give method="auto", which takes sums without a negative term instead.',
        )
    N = size(k, Z)
    if method == "dense" or (method == "auto" and (N <= SMALL or (not accurate and N <= DENSE))):
        return "dense", Dense.of(rows, k)
    if method == "zones" or not accurate:
        return "zones", Zones.of(rows, k)
    return "shears", Shears.of(found, k)
