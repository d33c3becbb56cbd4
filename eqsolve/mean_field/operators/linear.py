"""Fixed points of affine contractions, by Anderson's mixing of the last sweeps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eqsolve.arrays import FloatArray

MEMORY = 6
PATIENCE = 8
"""Mixed sweeps without a smaller residual, after which the best point so far is swept plainly."""
RANK = 1e-12


def settle(
    sweep: Callable[[FloatArray], FloatArray],
    start: FloatArray,
    over: Callable[[FloatArray, FloatArray], bool],
    size: Callable[[FloatArray], float],
    *,
    centred: bool = False,
) -> FloatArray:
    """Iterate an affine contraction until ``over``, or until rounding lets its residual fall no further.

    A plain sweep makes the residual smaller by the contraction's factor; where mixed ones have not made it smaller for some time,
    or have made it much larger, a plain sweep of the best point follows. So the iteration converges whatever the mixing does.

    Parameters
    ----------
    sweep : the contraction. start : where to begin.
    over : (point swept, its change) -> whether to stop there. size : of a change, in the norm in which ``sweep`` contracts.
    centred : mix the changes less their mean; for norms that do not see constants.

    Returns
    -------
    The last point swept; at rounding the one of the smallest change.
    """
    point = start
    best, least, waited = start, np.inf, 0
    memory = _Memory()
    while True:
        swept = sweep(point)
        change = swept - point
        if over(swept, change):
            return swept
        now = size(change)
        if now < least:
            best, least, waited = swept, now, 0
        elif memory.is_empty and np.isfinite(least):
            return best
        else:
            waited += 1
        if waited > PATIENCE or now > 10.0 * least:
            point, memory, waited = best, _Memory(), 0
        else:
            point = memory.mixed(swept, change - change.mean() if centred else change)


class _Memory:
    """The last differences of the points swept and of their residuals, latest first."""

    def __init__(self) -> None:
        self._moves: list[FloatArray] = []
        self._turns: list[FloatArray] = []
        self._gram = np.zeros((0, 0))
        self._last: tuple[FloatArray, FloatArray] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing has been swept since the start, so that the next point is swept plainly."""
        return self._last is None

    def mixed(self, swept: FloatArray, residual: FloatArray) -> FloatArray:
        """The point swept less the combination of the differences that takes the most out of the residual."""
        if self._last is not None:
            kept = slice(0, MEMORY - 1)
            self._moves = [swept - self._last[0], *self._moves[kept]]
            self._turns = [residual - self._last[1], *self._turns[kept]]
            self._gram = np.pad(self._gram[kept, kept], ((1, 0), (1, 0)))
            self._gram[0] = self._gram[:, 0] = [_inner(self._turns[0], one) for one in self._turns]
        self._last = (swept, residual)
        scale = np.sqrt(np.diag(self._gram))
        if not self._moves or not scale.all():
            return swept
        target = np.array([_inner(one, residual) for one in self._turns])
        theta = np.linalg.lstsq(self._gram / np.outer(scale, scale), target / scale, rcond=RANK)[0] / scale
        mixed = swept.copy()
        for weight, move in zip(theta.tolist(), self._moves, strict=True):
            mixed -= weight * move
        return mixed


def _inner(a: FloatArray, b: FloatArray) -> float:
    return float(np.einsum("i,i->", a.reshape(-1), b.reshape(-1)))
