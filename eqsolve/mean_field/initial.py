"""Where the agents of a mean-field game start: exchangeable laws, exact on the histograms of any sample of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import SUM, FloatArray, IntArray, float_array, frozen, int_array, whole_number
from eqsolve.errors import InvalidGame
from eqsolve.mean_field.histograms import Histograms

InitialKind = Literal["iid", "dirichlet", "counts"]


@dataclass(frozen=True, slots=True, eq=False)
class InitialLaw:
    r"""The law of the first states: that of the global agent, and independent of it an exchangeable one of the local agents.

    Parameters
    ----------
    global_law : (G,) distribution of the state of the global agent.
    kind : what ``local`` is. ``"iid"``: (Z,) a distribution, each agent draws from it. ``"dirichlet"``: (Z,) concentrations
        alpha >= 0, not all 0; a distribution is drawn from Dirichlet(alpha) and each agent draws from that one. ``"counts"``: (Z,)
        how many of the n agents are in each state, who is where being random.
    local : see ``kind``.

    Raises
    ------
    InvalidGame : a probability, concentration or count that is negative, a distribution that does not sum to 1 within 1e-9, counts
        that are not whole numbers, an unknown kind.

    Notes
    -----
    The histogram of any K agents is multinomial, Dirichlet-multinomial or multivariate hypergeometric. The paper names no initial
    law; its authors' experiments draw :math:`s_g` uniformly and the others by Dirichlet(0.3).

    Examples
    --------
    >>> law = InitialLaw([1.0], "counts", [2, 1])
    >>> law.histogram_law(Histograms(2, 2)).round(4).tolist()
    [0.3333, 0.6667, 0.0]
    """

    global_law: FloatArray
    kind: InitialKind
    local: FloatArray

    def __post_init__(self) -> None:
        if self.kind not in get_args(InitialKind):
            raise InvalidGame(f"the kind of initial law is {self.kind!r}, not one of {', '.join(get_args(InitialKind))}")
        put = object.__setattr__
        put(self, "global_law", _distribution("global_law", self.global_law))
        if self.kind == "iid":
            put(self, "local", _distribution("local", self.local))
            return
        weights = float_array("local", self.local, (None,), error=InvalidGame)
        if self.kind == "counts":
            weights = frozen(int_array("local", weights, error=InvalidGame).astype(np.float64))
        _not_negative("local", weights, "concentration" if self.kind == "dirichlet" else "number of agents")
        if not weights.size or not weights.sum() > 0:
            raise InvalidGame("local has no positive entry", "Some state needs agents.")
        put(self, "local", weights)

    @property
    def n_agents(self) -> int | None:
        """How many local agents there are, where the law says so."""
        return int(self.local.sum()) if self.kind == "counts" else None

    def check(self, G: int, Z: int, n: int) -> None:
        """Refuse a law of another game.

        Raises
        ------
        InvalidGame : of other numbers of states, or of another number of agents.
        """
        for name, array, want in (("global_law", self.global_law, G), ("local", self.local, Z)):
            if len(array) != want:
                raise InvalidGame(f"initial.{name} has {len(array)} states, and the game has {want}")
        if self.n_agents not in (None, n):
            raise InvalidGame(
                f"initial.local counts {self.n_agents:,} agents, and the game has {n:,}", "Give counts of all agents."
            )

    def histogram_law(self, histograms: Histograms) -> FloatArray:
        """(N_K,) the law of the histogram of K agents drawn without replacement, exact up to rounding.

        Raises
        ------
        InvalidGame : of another number of states, or of more agents than there are.
        """
        K, Z = histograms.k, histograms.Z
        self._check_sample(K, Z)
        d = histograms.table
        if self.kind == "counts":
            logs = _sum_by_state(_log_choose, self.local, d) - _log_choose(self.local.sum(), np.array([K]))
        else:
            logs = _log_factorial(np.array([K])) - _log_factorial(d).sum(axis=1)
            logs = logs + _sum_by_state(_log_power if self.kind == "iid" else _log_rising, self.local, d)
            if self.kind == "dirichlet":
                logs = logs - _log_rising(float(self.local.sum()), np.array([K]))
        return np.asarray(np.exp(logs))

    def moments(self) -> FloatArray:
        """(Z,) the expected share of agents in each state."""
        return np.asarray(self.local / self.local.sum())

    def sample(self, rng: np.random.Generator, rollouts: int, n: int, *, stratified: bool = False) -> tuple[IntArray, IntArray]:
        """First states of many independent runs.

        Parameters
        ----------
        stratified : give every state of the global agent its share of the runs, up to less than one run, instead of drawing each.

        Returns
        -------
        (B,) states of the global agent and (B, Z) how many of n agents are in each state.

        Raises
        ------
        InvalidGame : n is not the number of agents that the law counts.
        """
        B, agents = whole_number("rollouts", rollouts, 1, InvalidGame), whole_number("n", n, 1, InvalidGame)
        self._check_sample(agents, len(self.local))
        points = (np.arange(B) + rng.random()) / B if stratified else rng.random(B)
        # The last state of positive probability also takes what rounding leaves of 1.
        edges = np.cumsum(self.global_law)
        states = np.minimum(np.searchsorted(edges, points, side="right"), np.flatnonzero(self.global_law)[-1])
        if self.kind == "counts":
            whole = self.local.astype(np.int64)
            if agents == whole.sum():
                return states, np.tile(whole, (B, 1))
            return states, rng.multivariate_hypergeometric(whole, agents, size=B, method="marginals")
        shares = np.broadcast_to(self.moments(), (B, len(self.local)))
        if self.kind == "dirichlet":
            shares = _dirichlet(rng, self.local, B)
        return states, rng.multinomial(agents, shares)

    def _check_sample(self, K: int, Z: int) -> None:
        if len(self.local) != Z:
            raise InvalidGame(f"the histograms are over {Z} states, and the initial law is over {len(self.local)}")
        if self.n_agents is not None and self.n_agents < K:
            raise InvalidGame(f"{K:,} agents cannot be drawn from the {self.n_agents:,} that the initial law counts")


def _dirichlet(rng: np.random.Generator, alpha: FloatArray, B: int) -> FloatArray:
    """(B, Z); states of concentration 0 get nothing."""
    shares = np.zeros((B, len(alpha)))
    met = alpha > 0
    shares[:, met] = rng.dirichlet(alpha[met], size=B)
    return shares


def _sum_by_state(term: object, local: FloatArray, d: npt.NDArray[np.int32]) -> FloatArray:
    total = np.zeros(len(d))
    for z, weight in enumerate(local):
        total += term(float(weight), d[:, z])  # type: ignore[operator]  # one of the functions below
    return total


def _log_factorial(d: npt.ArrayLike) -> FloatArray:
    from scipy.special import gammaln

    return np.asarray(gammaln(np.asarray(d) + 1.0))


def _log_power(p: float, d: npt.ArrayLike) -> FloatArray:
    """d log p, where 0 log 0 is 0."""
    from scipy.special import xlogy

    return np.asarray(xlogy(np.asarray(d, dtype=np.float64), p))


def _log_rising(alpha: float, d: npt.ArrayLike) -> FloatArray:
    """log of alpha (alpha + 1) ... (alpha + d - 1)."""
    return _log_product(alpha, d, 1.0)


def _log_choose(n: float, d: npt.ArrayLike) -> FloatArray:
    """log of n over d; minus infinity where d > n."""
    return np.asarray(_log_product(n, d, -1.0) - _log_factorial(d))


def _log_product(first: float, d: npt.ArrayLike, step: float) -> FloatArray:
    """log of the product of d factors: first, first + step, ...; those below 0 count as 0.

    Of a large first factor the difference of two logarithms of the gamma function would have no correct digit.
    """
    numbers = np.asarray(d)
    with np.errstate(divide="ignore"):
        logs = np.log(np.maximum(first + step * np.arange(int(numbers.max(initial=0))), 0.0))
    return np.asarray(np.concatenate([[0.0], np.cumsum(logs)])[numbers])


def _not_negative(name: str, array: FloatArray, what: str) -> None:
    if array.size and array.min() < 0:
        at = int(np.argmax(array < 0))
        raise InvalidGame(f"{name}[{at}] is {array[at]:g}, a negative {what}")


def _distribution(name: str, given: npt.ArrayLike) -> FloatArray:
    law = float_array(name, given, (None,), error=InvalidGame)
    _not_negative(name, law, "probability")
    if abs(law.sum() - 1.0) > SUM:
        raise InvalidGame(f"{name} sums to {law.sum():.12g}, not 1")
    return law
