r"""Families of transitions P_h(. | s, x) of an aggregative Markov game: how the next state depends on the aggregator.

Every family evaluates at any x in batch and bounds its own Lipschitz constants in total variation (half the L1 distance):
:math:`\lVert P_h(s, x) - P_h(s, x') \rVert_{TV} \le \gamma_P(h, s) \lVert x - x' \rVert_\infty`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eqsolve.arrays import FloatArray, IntArray, float_array, frozen, whole_number
from eqsolve.errors import InvalidGame

CHECKED = 1e-9
"""How far probabilities may add up away from 1."""


class Transitions(ABC):
    """Next-state probabilities of H steps and S states over d aggregator coordinates."""

    lipschitz_is_computed = True
    """Whether ``lipschitz`` follows from the family's own numbers; False where it is the user's word."""

    @property
    @abstractmethod
    def n_steps(self) -> int:
        """Number of steps H; 1 for a family that is the same at every step."""

    @property
    @abstractmethod
    def n_states(self) -> int:
        """Number of states S."""

    @property
    @abstractmethod
    def n_coordinates(self) -> int | None:
        """Number of coordinates d; None where x plays no part."""

    @abstractmethod
    def batch(self, h: int, s: int, x: FloatArray) -> FloatArray:
        """Next-state probabilities (B, S) at step h and state s for aggregators (B, d)."""

    @abstractmethod
    def lipschitz(self, h: int, s: int) -> float:
        """gamma_P(h, s), in total variation per unit of x in the sup norm."""

    def at(self, h: int, s: int, x: FloatArray) -> FloatArray:
        """Next-state probabilities (S,) at one aggregator (d,)."""
        return np.asarray(self.batch(h, s, np.asarray(x, dtype=np.float64)[None, :])[0])

    def expected(self, h: int, s: int, x: FloatArray, values: FloatArray, row: IntArray) -> FloatArray:
        """Expected values (K,) at the next step: each aggregator (K, d) with the values (S,) of its row (K,) of a table (R, S)."""
        return np.asarray(np.einsum("ks,ks->k", self.batch(h, s, x), values[row]))

    def step(self, h: int) -> int:
        """The index of step h in arrays that have one entry for all steps."""
        return h if self.n_steps > 1 else 0


@dataclass(frozen=True, slots=True, eq=False)
class ConstantTransitions(Transitions):
    """P (H, S, S) or (S, S), whatever the aggregator; gamma_P = 0."""

    probability: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "probability", _kernels("transition.probability", self.probability))

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.probability)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return int(self.probability.shape[-1])

    @property
    def n_coordinates(self) -> None:
        """Any."""
        return None

    def batch(self, h: int, s: int, x: FloatArray) -> FloatArray:
        """The same row for every aggregator."""
        return np.broadcast_to(self.probability[self.step(h), s], (len(x), self.n_states))

    def expected(self, h: int, s: int, x: FloatArray, values: FloatArray, row: IntArray) -> FloatArray:
        """One sum per row of the table."""
        return means(values, self.probability[self.step(h), s])[row]

    def lipschitz(self, h: int, s: int) -> float:
        """Nothing moves."""
        return 0.0


@dataclass(frozen=True, slots=True, eq=False)
class MixtureTransitions(Transitions):
    r"""Between two kernels, by how much the aggregator says.

    .. math:: P_h(s, x) = (1 - \phi)\, A_h(s) + \phi\, B_h(s), \qquad
              \phi = \min(1, \max(0,\ \text{base}_{hs} + \text{slope}_{hs} \cdot x))

    :math:`\gamma_P(h, s) = \lVert \text{slope}_{hs} \rVert_1 \lVert A_h(s) - B_h(s) \rVert_{TV}`.

    Parameters
    ----------
    low, high : A and B, (H, S, S) or (S, S). base : (H, S) or (S,). slope : (H, S, d) or (S, d).
    """

    low: FloatArray
    high: FloatArray
    base: FloatArray
    slope: FloatArray

    def __post_init__(self) -> None:
        low, high = (_kernels(f"transition.{name}", getattr(self, name)) for name in ("low", "high"))
        S = low.shape[-1]
        base = _stepped("transition.base", self.base, 1)
        slope = _stepped("transition.slope", self.slope, 2)
        steps = max(len(one) for one in (low, high, base, slope))
        for name, one, shape in (("low", low, (S, S)), ("high", high, (S, S)), ("base", base, (S,)), ("slope", slope, (S, None))):
            object.__setattr__(self, name, _for_steps(f"transition.{name}", one, steps, shape))

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.low)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return int(self.low.shape[-1])

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates."""
        return int(self.slope.shape[-1])

    def batch(self, h: int, s: int, x: FloatArray) -> FloatArray:
        """Both rows, mixed."""
        k, share = self.step(h), self._share(h, s, x)[:, None]
        return np.asarray((1.0 - share) * self.low[k, s] + share * self.high[k, s])

    def expected(self, h: int, s: int, x: FloatArray, values: FloatArray, row: IntArray) -> FloatArray:
        """Two sums per row of the table, mixed."""
        k, share = self.step(h), self._share(h, s, x)
        low, high = means(values, self.low[k, s]), means(values, self.high[k, s])
        return np.asarray((1.0 - share) * low[row] + share * high[row])

    def _share(self, h: int, s: int, x: FloatArray) -> FloatArray:
        """phi (B,) at aggregators (B, d)."""
        k = self.step(h)
        return np.asarray(np.clip(self.base[k, s] + np.einsum("bd,d->b", x, self.slope[k, s]), 0.0, 1.0))

    def lipschitz(self, h: int, s: int) -> float:
        """The steepest change of the share, times the distance of the rows."""
        k = self.step(h)
        return float(np.abs(self.slope[k, s]).sum() * 0.5 * np.abs(self.low[k, s] - self.high[k, s]).sum())


@dataclass(frozen=True, slots=True, eq=False)
class SoftmaxTransitions(Transitions):
    r"""Logits affine in the aggregator, :math:`P_h(s' \mid s, x) \propto \exp(\text{base}_{hss'} + \text{slope}_{hss'} \cdot x)`.

    :math:`\gamma_P(h, s) = \tfrac14 \max_{s', s''} \lVert \text{slope}_{hss'} - \text{slope}_{hss''} \rVert_1`: along a direction
    in which the logits have range R, the L1 norm of the derivative, a mean absolute deviation, is at most R / 2.

    Parameters
    ----------
    base : (H, S, S) or (S, S). slope : (H, S, S, d) or (S, S, d).
    """

    base: FloatArray
    slope: FloatArray
    _constant: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        base, slope = _stepped("transition.base", self.base, 2), _stepped("transition.slope", self.slope, 3)
        S, steps = base.shape[-1], max(len(base), len(slope))
        for name, one, shape in (("base", base, (S, S)), ("slope", slope, (S, S, None))):
            object.__setattr__(self, name, _for_steps(f"transition.{name}", one, steps, shape))
        apart = np.abs(self.slope[:, :, :, None] - self.slope[:, :, None]).sum(axis=-1)
        object.__setattr__(self, "_constant", frozen(0.25 * apart.max(axis=(2, 3))))

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.base)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return int(self.base.shape[-1])

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates."""
        return int(self.slope.shape[-1])

    def batch(self, h: int, s: int, x: FloatArray) -> FloatArray:
        """Softmax of the logits."""
        k = self.step(h)
        logits = self.base[k, s] + x @ self.slope[k, s].T
        weight = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(weight / weight.sum(axis=1, keepdims=True))

    def lipschitz(self, h: int, s: int) -> float:
        """A quarter of the largest distance of slopes."""
        return float(self._constant[self.step(h), s])


class CallableTransitions(Transitions):
    """Any function, with the user's word on its Lipschitz constants in total variation.

    Parameters
    ----------
    function : ``function(step, state, x)`` with x (B, d), returning (B, S) probabilities; deterministic. Its answers are checked.
    lipschitz : one number or (H, S); ``AggregativeMarkovGame.check_lipschitz`` tries to refute it by samples.
    n_states, n_coordinates : S and d. n_steps : H where ``lipschitz`` differs from step to step, else 1.

    Raises
    ------
    InvalidGame : ``function`` cannot be called, a constant is negative or not finite.
    """

    lipschitz_is_computed = False

    def __init__(
        self,
        function: Callable[[int, int, FloatArray], Any],
        lipschitz: float | FloatArray,
        n_states: int,
        n_coordinates: int,
        n_steps: int = 1,
    ) -> None:
        if not callable(function):
            raise InvalidGame(
                f"transition.function is {function!r}, which cannot be called", "Give a function of (step, state, x)."
            )
        self.function = function
        self._states = whole_number("transition.n_states", n_states, 1, InvalidGame)
        self._dimension = whole_number("transition.n_coordinates", n_coordinates, 1, InvalidGame)
        steps = whole_number("transition.n_steps", n_steps, 1, InvalidGame)
        self.constants = float_array("transition.lipschitz", lipschitz, (steps, self._states), error=InvalidGame)
        if self.constants.min() < 0:
            h, s = (int(one) for one in np.argwhere(self.constants < 0)[0])
            raise InvalidGame(f"transition.lipschitz[h={h}, s={s}] is {self.constants[h, s]}; a Lipschitz constant is 0 or more")

    def parts(self) -> dict[str, Any]:
        """What the constructor takes; files cannot hold the function, fingerprints take its name."""
        return {
            "function": self.function,
            "lipschitz": self.constants,
            "n_states": self._states,
            "n_coordinates": self._dimension,
            "n_steps": len(self.constants),
        }

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return len(self.constants)

    @property
    def n_states(self) -> int:
        """Number of states."""
        return self._states

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates."""
        return self._dimension

    def batch(self, h: int, s: int, x: FloatArray) -> FloatArray:
        """The function, its answer checked: shape, finite, not negative, adding up to 1."""
        shape = (len(x), self._states)
        found = float_array("transition function(step, state, x)", self.function(h, s, x), shape, error=InvalidGame)
        off = np.abs(found.sum(axis=1) - 1.0)
        if found.size and (found.min() < 0 or off.max() > CHECKED):
            b = int(np.argmax((found.min(axis=1) < 0) | (off > CHECKED)))
            told = f"sums to {found[b].sum():.9g}" if found[b].min() >= 0 else f"has the entry {found[b].min():.6g}"
            raise InvalidGame(f"transition[h={h}, s={s}] at x = {x[b].tolist()} {told}", "Return probabilities of the next states.")
        return found

    def lipschitz(self, h: int, s: int) -> float:
        """The user's word."""
        return float(self.constants[self.step(h), s])


def means(values: FloatArray, probability: FloatArray) -> FloatArray:
    """(R,) the expected value of each row of a table (R, S).

    Not by BLAS, whose threads change its last bits with their number, and wait for one another wherever the cores are busy.
    """
    return np.asarray(np.einsum("rs,s->r", values, probability))


def _stepped(name: str, given: Any, axes: int) -> FloatArray:
    """An array with the axis of steps in front, of length 1 where it was left out."""
    array = np.asarray(given, dtype=np.float64) if not isinstance(given, np.ndarray) else given
    if array.ndim == axes:
        array = array[None]
    return float_array(name, array, (None,) * (axes + 1), error=InvalidGame)


def _for_steps(name: str, array: FloatArray, steps: int, shape: tuple[int | None, ...]) -> FloatArray:
    """The same array for every step where it has one entry."""
    if len(array) not in (1, steps):
        raise InvalidGame(f"{name} has {len(array)} steps; another part of the transitions has {steps}")
    whole = np.broadcast_to(array, (steps, *array.shape[1:]))
    return float_array(name, whole, (steps, *shape), error=InvalidGame)


def _kernels(name: str, given: Any) -> FloatArray:
    """(H, S, S) probabilities."""
    array = _stepped(name, given, 2)
    if array.shape[1] != array.shape[2]:
        raise InvalidGame(f"{name} has the shape {array.shape}, not (steps, states, states)")
    off = np.abs(array.sum(axis=-1) - 1.0)
    bad = (array.min(axis=-1) < 0) | (off > CHECKED)
    if bad.any():
        h, s = (int(one) for one in np.argwhere(bad)[0])
        told = f"sums to {array[h, s].sum():.9g}" if array[h, s].min() >= 0 else f"has the entry {array[h, s].min():.6g}"
        raise InvalidGame(f"{name}[h={h}, s={s}] {told}")
    return array
