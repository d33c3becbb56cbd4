"""Anderson's mixing of Bellman sweeps, with a safeguard; the memory is kept in single precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray

Single: TypeAlias = npt.NDArray[np.float32]
Each: TypeAlias = Callable[[Callable[[slice], Any]], list[Any]]
"""Runs work on slices of the states of the global agent, perhaps in threads, and gives the answers in their order."""

RANK = 1e-10
GROWTH = 10.0
PATIENCE = 12
MOST_REST = 4096
COMPILE_FROM = 20_000
"""Values from which the compiled passes serve; below, loading the compiler would take longer than it saves."""


@dataclass(frozen=True, slots=True, eq=False)
class Mixing:
    r"""Values between two sweeps, and the memory of the sweeps before; no step changes an array.

    The next values are :math:`TV - \sum_k \theta_k \Delta_k(TV)` with the :math:`\theta` that makes the residual :math:`TV - V`,
    less its mean, least in that affine space; constants are settled by MacQueen's bounds. Safeguard: a plain sweep brings the span
    of the residual down by gamma. Where ``PATIENCE`` mixed ones have not done so for the best so far, or one has made it ten times
    larger, plain sweeps from the best values follow, twice as many after each failure.

    Parameters
    ----------
    values : (G, N) where the next sweep starts. memory : how many sweeps are mixed; 0 is plain value iteration.
    images, turns : (G, N) each, the last differences of TV and of the residual, less their means, latest first, at most ``memory``.
    gram : (memory, memory) inner products of ``turns``.
    image, residual : (G, N) the last TV and residual; None before the first sweep and after a restart.
    safe : (G, N) the plain step from the best values, whose residual has the span ``span``. waited : mixed sweeps since then.
    resting : plain sweeps still to do. penalty : how many the next failure costs.

    Notes
    -----
    Sources: Anderson (1965); Walker and Ni (2011); for MDPs, Geist and Scherrer (2018).
    """

    values: FloatArray
    memory: int
    images: tuple[Single, ...] = ()
    turns: tuple[Single, ...] = ()
    gram: FloatArray | None = None
    image: FloatArray | None = None
    residual: Single | None = None
    safe: FloatArray | None = None
    span: float = np.inf
    waited: int = 0
    resting: int = 0
    penalty: int = 1

    def after(self, top: FloatArray, low: float, high: float, gamma: float, each: Each) -> Mixing:
        """The state after a sweep that gave TV = ``top`` from ``values``, with the least and largest TV - V."""
        span = high - low
        plain = top + gamma / (1.0 - gamma) * 0.5 * (low + high)
        if self.resting or not self.memory or self.safe is None:
            resting = max(self.resting - 1, 0)
            fresh = Mixing(plain, self.memory, safe=plain, span=span, resting=resting, penalty=self.penalty)
            return fresh if resting or not self.memory else fresh._mixed(self, top, each)
        better = span <= gamma * self.span
        waited = 0 if better else self.waited + 1
        if waited > PATIENCE or not span <= GROWTH * self.span:
            penalty = min(2 * self.penalty, MOST_REST)
            return Mixing(self.safe, self.memory, safe=self.safe, span=self.span, resting=penalty, penalty=penalty)
        found = replace(self, values=plain, waited=waited)
        if better:
            found = replace(found, safe=plain, span=span)
        return found._mixed(self, top, each)

    def _mixed(self, before: Mixing, top: FloatArray, each: Each) -> Mixing:
        """With one more difference, where there is a sweep to differ from, and mixed."""
        residual = _centred(lambda part: top[part] - before.values[part], top.shape, each)
        image, last = before.image, before.residual
        if image is None or last is None:
            return replace(self, image=top, residual=residual)
        images = (_centred(lambda part: top[part] - image[part], top.shape, each), *before.images)[: self.memory]
        turns = (residual - last, *before.turns)[: self.memory]
        used = len(turns)
        gram = np.zeros((self.memory, self.memory))
        if before.gram is not None:
            gram[1:, 1:] = before.gram[:-1, :-1]
        products = each(lambda part: [[_inner(one[part], other[part]) for other in turns] for one in (turns[0], residual)])
        newest, aim = np.sum(products, axis=0)
        gram[0, :used] = gram[:used, 0] = newest
        values = self.values
        size = np.sqrt(np.diag(gram)[:used])
        keep = np.flatnonzero(size > 0.0)
        if len(keep):
            unit = gram[np.ix_(keep, keep)] / size[keep] / size[keep, None]
            theta = np.linalg.lstsq(unit, aim[keep] / size[keep], rcond=RANK)[0] / size[keep]
            values = values.copy()

            def take(part: slice) -> None:
                for number, at in zip(theta, keep, strict=True):
                    _subtract(values[part], number, images[at][part])

            each(take)
        return replace(self, values=values, images=images, turns=turns, gram=gram, image=top, residual=residual)


def _centred(rows: Callable[[slice], FloatArray], shape: tuple[int, ...], each: Each) -> Single:
    """(G, N) the rows less the mean of all, in single precision."""
    found = each(lambda part: (part, rows(part)))
    mean = sum(float(row.sum()) for _, row in found) / float(np.prod(shape))
    out = np.empty(shape, dtype=np.float32)
    for part, row in found:
        np.subtract(row, mean, out=out[part], casting="same_kind")
    return out


def _inner(a: Single, b: Single) -> float:
    if a.size < COMPILE_FROM:
        return float(np.einsum("gd,gd->", a, b, dtype=np.float64))
    from eqsolve.mean_field.operators import mixing_kernels

    return float(mixing_kernels.inner_pass(a.reshape(-1), b.reshape(-1)))


def _subtract(values: FloatArray, number: float, other: Single) -> None:
    if values.size < COMPILE_FROM:
        values -= number * other.astype(np.float64)
        return
    from eqsolve.mean_field.operators import mixing_kernels

    mixing_kernels.subtract_pass(values.reshape(-1), float(number), other.reshape(-1))
