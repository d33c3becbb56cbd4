r"""Convex quadratic programs with one choice per group and a few linking rows, by a primal-dual interior point method.

.. math:: \min\ \tfrac12 y'By - c'y - w'q \quad \text{s.t.} \quad \sum_{j \in t} q_j = N_t, \quad G'q - E y = r, \quad
          q \ge 0, \quad l \le y \le u

Mehrotra's predictor and corrector (1992). Eliminating q group by group and then y leaves d equations in the prices of the
linking rows: a step costs O(N d^2), whatever the number of groups, and twenty to forty steps reach rounding error.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

from eqsolve.arrays import FloatArray, IntArray

MAX_STEPS = 200
EXACT = 1e-12
"""Relative residuals and gap at which the method stops."""
SOLVED = 1e-8
"""The same, at which an answer that no longer improves still counts as optimal."""
PATIENCE = 12
"""Steps without progress before it gives up."""
SMALL = 150_000
"""Multiplications that BLAS does without threads."""


@dataclass(frozen=True, slots=True, eq=False)
class QuadraticChoice:
    """The numbers of such a program.

    Parameters
    ----------
    offsets, need : (T+1,), (T,) the groups and what each places. w : (N,). G : (N, d), dense or in rows.
    B : (M, M) positive semidefinite, or (M,) its diagonal. c, low, high : (M,). E : (d, M). r : (d,).
    """

    offsets: IntArray
    need: FloatArray
    w: FloatArray
    G: FloatArray | sparse.csr_array
    B: FloatArray
    c: FloatArray
    low: FloatArray
    high: FloatArray
    E: FloatArray
    r: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class InteriorAnswer:
    """Point (q, y), prices of the linking rows (d,), and how far they are from optimal, relative."""

    q: FloatArray
    y: FloatArray
    price: FloatArray
    error: float
    steps: int


def gram(left: FloatArray, right: FloatArray) -> FloatArray:
    """left' right (d, d) of two tall matrices (N, d), in parts so small that no BLAS starts threads for them.

    On a busy machine the threads of one large product wait for each other a hundred times longer than the product takes.
    """
    N, d = left.shape
    rows = max(1, SMALL // (d * d))
    whole = N - N % rows
    stacks = (one[:whole].reshape(-1, rows, d) for one in (left, right))
    found = np.matmul(next(stacks).transpose(0, 2, 1), next(stacks)).sum(axis=0)
    return np.asarray(found + left[whole:].T @ right[whole:])


@dataclass(slots=True, eq=False)
class _Point:
    """Primal and dual variables; z, zl and zu belong to q >= 0, y >= low and y <= high."""

    q: FloatArray
    z: FloatArray
    y: FloatArray
    zl: FloatArray
    zu: FloatArray
    pi: FloatArray
    v: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Factors:
    """What a step's two systems share: weights theta = q / z, their heads, sums and means by group; the equations, factored."""

    theta: FloatArray
    head: IntArray
    weight: FloatArray
    mean: FloatArray
    stiff: FloatArray
    chol: Any
    scale: FloatArray
    system: Any


class _Method:
    def __init__(self, task: QuadraticChoice) -> None:
        self.task = task
        width = np.diff(task.offsets)
        self.owner = np.repeat(np.arange(len(width)), width)
        self.diagonal = task.B.ndim == 1
        self.count = len(task.w) + 2 * len(task.c)
        self.turned: FloatArray | sparse.csr_array = task.G.T if isinstance(task.G, np.ndarray) else sparse.csr_array(task.G.T)

    def total(self, values: FloatArray) -> FloatArray:
        """Sums over the groups of (N,) or (N, d)."""
        return np.asarray(np.add.reduceat(values, self.task.offsets[:-1], axis=0))

    def heads(self, theta: FloatArray) -> IntArray:
        """The column (T,) of the largest weight in each group."""
        top = np.maximum.reduceat(theta, self.task.offsets[:-1])
        hit = np.where(theta == top[self.owner], np.arange(len(theta)), len(theta))
        return np.asarray(np.minimum.reduceat(hit, self.task.offsets[:-1]))

    def picked(self, columns: IntArray) -> FloatArray:
        """Rows of G, dense."""
        G = self.task.G
        return np.asarray(G[columns] if isinstance(G, np.ndarray) else G[columns].toarray())

    def sums(self, weights: FloatArray) -> FloatArray:
        """Weighted sums (T, d) of the rows of G by group."""
        G = self.task.G
        if isinstance(G, np.ndarray):
            return self.total(weights[:, None] * G)
        n = len(weights)
        groups = sparse.csr_array((weights, np.arange(n), self.task.offsets), shape=(len(self.task.need), n))
        return np.asarray((groups @ G).toarray())

    def square(self, weights: FloatArray) -> FloatArray:
        """G' diag(weights) G (d, d)."""
        G = self.task.G
        if isinstance(G, np.ndarray):
            return gram(G, weights[:, None] * G)
        scaled = sparse.csr_array((G.data * np.repeat(weights, np.diff(G.indptr)), G.indices, G.indptr), shape=G.shape)
        return np.asarray((self.turned @ scaled).toarray())

    def covariance(self, theta: FloatArray, weight: FloatArray, head: IntArray) -> tuple[FloatArray, FloatArray]:
        """The sum over groups of weight times covariance of G (d, d), and the groups' means (T, d).

        Counted from the heaviest column of each group: near a vertex it outweighs the others by 20 digits, and the difference
        of raw moments would lose all of them.
        """
        others = theta.copy()
        others[head] = 0.0
        rest = self.total(others)
        H, P = self.picked(head), self.sums(others)
        shift = P - rest[:, None] * H
        cross = gram(P, H)
        matrix = self.square(others) - cross - cross.T + gram(H, rest[:, None] * H) - gram(shift, shift / weight[:, None])
        return matrix, H + shift / weight[:, None]

    def bend(self, y: FloatArray) -> FloatArray:
        return self.task.B * y if self.diagonal else np.asarray(self.task.B @ y)

    def start(self) -> _Point:
        """All actions of a group alike, the pieces as that needs them, prices as the pieces give them."""
        task = self.task
        width = np.diff(task.offsets)
        q = (task.need / width)[self.owner]
        room = task.high - task.low
        # Every piece of a linking row is filled to the same share of its room, so that the row holds.
        weight = np.abs(task.E) @ room
        share = (self.turned @ q - task.r - task.E @ task.low) / np.maximum(np.abs(task.E) @ room, 1e-300)
        y = task.low + np.clip(np.abs(task.E).T @ share / np.maximum(np.abs(task.E).sum(axis=0), 1.0), 0.05, 0.95) * room
        slope = task.c - self.bend(y)
        v = np.abs(task.E) @ (room * slope) / np.maximum(weight, 1e-300)
        score = task.w + task.G @ v
        span = np.maximum.reduceat(score, task.offsets[:-1]) - np.minimum.reduceat(score, task.offsets[:-1])
        size = max(float(span.mean()), 1e-3)
        pi = np.maximum.reduceat(score, task.offsets[:-1]) + size
        z = pi[self.owner] - score
        mean = max(float((q * z).mean()), 1e-8)
        pull = task.E.T @ v - slope
        zl, zu = np.maximum(pull, 0.0) + mean / (y - task.low), np.maximum(-pull, 0.0) + mean / (task.high - y)
        return _Point(q, z, y, zl, zu, pi, v)

    def residuals(self, at: _Point) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        task = self.task
        rq = at.pi[self.owner] - task.w - task.G @ at.v - at.z
        ry = self.bend(at.y) - task.c + task.E.T @ at.v - at.zl + at.zu
        return rq, ry, task.need - self.total(at.q), task.r - self.turned @ at.q + task.E @ at.y

    def gap(self, at: _Point) -> float:
        return float(at.q @ at.z + at.zl @ (at.y - self.task.low) + at.zu @ (self.task.high - at.y))

    def error(self, at: _Point, rests: tuple[FloatArray, ...]) -> float:
        """The largest of the relative residuals and the relative gap."""
        task = self.task
        dual = max(float(np.abs(rests[0]).max(initial=0.0)), float(np.abs(rests[1]).max(initial=0.0)))
        size = 1.0 + max(float(np.abs(task.w).max(initial=0.0)), float(np.abs(task.c).max(initial=0.0)))
        group = float((np.abs(rests[2]) / (1.0 + task.need)).max(initial=0.0))
        reach = 1.0 + abs(self.turned) @ at.q
        link = float((np.abs(rests[3]) / reach).max(initial=0.0))
        objective = 0.5 * at.y @ self.bend(at.y) - task.c @ at.y - task.w @ at.q
        return max(dual / size, group, link, abs(self.gap(at)) / (1.0 + abs(float(objective))))

    def factor(self, at: _Point) -> _Factors:
        task = self.task
        theta = at.q / at.z
        weight = self.total(theta)
        if not (np.isfinite(theta).all() and (weight > 0).all()):
            raise np.linalg.LinAlgError("the weights have left the floats")
        head = self.heads(theta)
        matrix, mean = self.covariance(theta, weight, head)
        stiff = at.zl / (at.y - task.low) + at.zu / (task.high - at.y)
        if self.diagonal:
            inner = task.E / (task.B + stiff)
            chol = None
        else:
            chol = cho_factor(task.B + np.diag(stiff), check_finite=False)
            inner = cho_solve(chol, task.E.T, check_finite=False).T
        matrix = matrix + inner @ task.E.T
        matrix = (matrix + matrix.T) / 2
        scale = 1.0 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
        scaled = matrix * scale[:, None] * scale
        scaled[np.diag_indices_from(scaled)] += 1e-15
        return _Factors(theta, head, weight, mean, stiff, chol, scale, cho_factor(scaled, check_finite=False))

    def direction(
        self, at: _Point, f: _Factors, rests: tuple[FloatArray, ...], cq: FloatArray, cl: FloatArray, cu: FloatArray
    ) -> _Point:
        """The Newton step towards residuals 0 and products cq, cl, cu more than now."""
        task = self.task
        rq, ry, r1, r2 = rests
        hq = cq / at.q - rq
        hy = cl / (at.y - task.low) - cu / (task.high - at.y) - ry
        level = (self.total(f.theta * hq) - r1) / f.weight
        right = r2 - self.turned @ self.settled(f, f.theta * (hq - level[self.owner]), r1) + task.E @ self.flex(f, hy)
        dv = f.scale * cho_solve(f.system, f.scale * right, check_finite=False)
        dpi = f.mean @ dv + level
        dq = self.settled(f, f.theta * (task.G @ dv - dpi[self.owner] + hq), r1)
        dy = self.flex(f, hy - task.E.T @ dv)
        dz = (cq - at.z * dq) / at.q
        dzl = (cl - at.zl * dy) / (at.y - task.low)
        dzu = (cu + at.zu * dy) / (task.high - at.y)
        return _Point(dq, dz, dy, dzl, dzu, dpi, dv)

    def settled(self, f: _Factors, change: FloatArray, total: FloatArray) -> FloatArray:
        """The same changes of q, those of the heaviest columns from what the groups' changes add up to."""
        change[f.head] = 0.0
        change[f.head] = total - self.total(change)
        return change

    def flex(self, f: _Factors, values: FloatArray) -> FloatArray:
        if f.chol is None:
            return values / (self.task.B + f.stiff)
        return np.asarray(cho_solve(f.chol, values, check_finite=False))

    def reach(self, at: _Point, step: _Point) -> float:
        """The longest step, at most 1, that keeps every variable from its bound."""
        task = self.task
        pairs = (
            (at.q, step.q),
            (at.z, step.z),
            (at.y - task.low, step.y),
            (task.high - at.y, -step.y),
            (at.zl, step.zl),
            (at.zu, step.zu),
        )
        longest = 1.0
        for value, change in pairs:
            falling = change < 0
            if falling.any():
                longest = min(longest, float((value[falling] / -change[falling]).min()))
        return longest

    def step(self, at: _Point, rests: tuple[FloatArray, ...]) -> _Point | None:
        """Predictor, corrector, and the step; None where the equations cannot be solved any more."""
        task = self.task
        down, up = at.y - task.low, task.high - at.y
        mu = self.gap(at) / self.count
        try:
            f = self.factor(at)
        except (np.linalg.LinAlgError, ValueError):
            return None
        first = self.direction(at, f, rests, -at.q * at.z, -at.zl * down, -at.zu * up)
        far = self.reach(at, first)
        ahead = _moved(at, first, far)
        sigma = (max(self.gap(ahead), 0.0) / self.count / mu) ** 3 if mu > 0 else 0.0
        target = min(sigma, 1.0) * mu
        cq = target - at.q * at.z - first.q * first.z
        cl = target - at.zl * down - first.zl * first.y
        cu = target - at.zu * up + first.zu * first.y
        change = self.direction(at, f, rests, cq, cl, cu)
        length = self.reach(at, change)
        if not np.isfinite(length):
            return None
        return _moved(at, change, length if length == 1.0 else max(0.9, 1.0 - mu) * length if mu > 1e-3 else 0.999 * length)


def _moved(at: _Point, step: _Point, length: float) -> _Point:
    return _Point(**{one.name: getattr(at, one.name) + length * getattr(step, one.name) for one in fields(_Point)})


def solve_interior(task: QuadraticChoice) -> InteriorAnswer:
    """Steps until the residuals and the gap are rounding error, or no longer fall; the best point seen is returned."""
    size = max(float(np.abs(task.w).max(initial=0.0)), float(np.abs(task.c).max(initial=0.0)), 1e-300)
    scaled = replace(task, w=task.w / size, c=task.c / size, B=task.B / size)
    method = _Method(scaled)
    at = method.start()
    best, least, since, steps = at, np.inf, 0, 0
    with np.errstate(all="ignore"):
        while True:
            rests = method.residuals(at)
            error = method.error(at, rests)
            if error < least:
                since = since + 1 if error > 0.9 * least else 0
                best, least = at, error
            else:
                since += 1
            if least <= EXACT or since >= PATIENCE or steps >= MAX_STEPS:
                break
            ahead = method.step(at, rests)
            if ahead is None:
                break
            at, steps = ahead, steps + 1
    return InteriorAnswer(best.q, best.y, best.v * size, least, steps)
