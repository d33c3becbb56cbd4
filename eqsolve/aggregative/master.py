"""The master of the decomposition: a bounded simplex on d + 1 rows that keeps its basis while columns arrive."""

from __future__ import annotations

import numpy as np

from eqsolve.arrays import BoolArray, FloatArray

FEASIBLE = 1e-10
"""Violation of a coupling row, relative to the size of its activity, that counts as none."""
IMPROVES = 1e-11
"""Reduced cost, relative to the size of the column's terms, that is worth a pivot."""
MAX_PIVOTS = 5000
DEGENERATE_STEP = 1e-12
DEGENERATE = 30
"""Pivots without progress after which the first candidate is taken instead of the best (Bland's rule)."""


class Master:
    r"""Mixes of profiles (W_a, G_a) within a box.

    .. math:: \max\ \sum_a \mu_a W_a \quad \text{s.t.} \quad \sum_a \mu_a G_a = s,\ \ l \le s \le u,\ \ \sum_a \mu_a = 1,\ \mu \ge 0

    Columns 0..d-1 are the activities s, the others the profiles in order of arrival. The basis starts with the first profile
    and all activities, which may lie outside the box: the first phase minimises the sum of these violations.

    Parameters
    ----------
    low, high : (d,) the box. W, G : the first profile.
    """

    def __init__(self, low: FloatArray, high: FloatArray, W: float, G: FloatArray) -> None:
        d = len(low)
        self.d = d
        self.low, self.high = low, high
        self.scale = np.maximum(1.0, np.abs(G))
        self.A: FloatArray = np.zeros((d + 1, d + 16))
        self.A[:d, :d] = -np.eye(d)
        self.W: FloatArray = np.zeros(d + 16)
        self.n = d
        self.basis = [*range(d)]
        self.at_high: BoolArray = np.zeros(d, dtype=bool)
        self.pivots = 0
        self.price: FloatArray = np.zeros(d)
        self.convexity = 0.0
        self.add(W, G)
        self.basis.append(d)
        self._refresh()

    def add(self, W: float, G: FloatArray) -> None:
        """A new profile, nonbasic at 0."""
        if self.n == self.A.shape[1]:
            self.A = np.hstack((self.A, np.zeros_like(self.A)))
            self.W = np.concatenate((self.W, np.zeros_like(self.W)))
        self.A[: self.d, self.n] = G
        self.A[self.d, self.n] = 1.0
        self.W[self.n] = W
        self.scale = np.maximum(self.scale, np.abs(G))
        self.n += 1

    @property
    def is_feasible(self) -> bool:
        """Whether every activity is in the box."""
        return not self._violation().any()

    def mix(self) -> list[tuple[int, float]]:
        """Profiles in use by number, with their weights, which add up to 1."""
        used = [
            (column - self.d, max(0.0, float(value))) for column, value in zip(self.basis, self.x, strict=True) if column >= self.d
        ]
        total = sum(weight for _, weight in used)
        return [(k, weight / total) for k, weight in used if weight > 0]

    def optimise(self, feasibility: bool) -> bool:
        """Pivot until no column in hand improves the objective (or the violation); False when pivots or precision run out.

        Sets ``price`` (d,) of the activities and ``convexity``, the dual of the convexity row.
        """
        stuck = 0
        while self.pivots < MAX_PIVOTS:
            violation = self._violation()
            if feasibility and not violation.any():
                return True
            cost = np.where(violation > 0, -1.0, np.where(violation < 0, 1.0, 0.0)) if feasibility else self.W[self.basis]
            y = cost @ self.inverse
            self.price, self.convexity = y[: self.d], float(y[self.d])
            bland = stuck > DEGENERATE
            entering, sign = self._entering(y, feasibility, bland)
            if entering < 0:
                return True
            step = self._pivot(entering, sign, violation, bland)
            if not np.isfinite(step):
                return False
            stuck = stuck + 1 if step <= DEGENERATE_STEP else 0
            self.pivots += 1
        return False

    def _entering(self, y: FloatArray, feasibility: bool, bland: bool) -> tuple[int, float]:
        """The column of the largest improvement and the direction in which it moves; -1 when there is none."""
        A = self.A[:, : self.n]
        own = np.zeros(self.n) if feasibility else self.W[: self.n]
        reduced = own - y @ A
        gain = np.where(np.arange(self.n) < self.d, 0.0, reduced)
        gain[: self.d] = np.where(self.at_high, -reduced[: self.d], reduced[: self.d])
        gain[: self.d][self.low == self.high] = 0.0
        gain[self.basis] = 0.0
        size = 1.0 if feasibility else float(np.abs(own).max())
        rounding = IMPROVES * (size + np.abs(y) @ np.abs(A))
        worth = np.flatnonzero(gain > rounding)
        if not len(worth):
            return -1, 0.0
        column = int(worth[0]) if bland else int(worth[np.argmax(gain[worth])])
        return column, -1.0 if column < self.d and self.at_high[column] else 1.0

    def _pivot(self, entering: int, sign: float, violation: FloatArray, bland: bool) -> float:
        """Move the entering column to the first bound that it or a basic column meets; returns the length of the step.

        Within a box and with weights that add up to 1 no step is infinite; if rounding makes one, or a basis without an inverse,
        nothing is moved and the answer is infinity.
        """
        change = -sign * (self.inverse @ self.A[:, entering])
        low, high = self._bounds(self.basis)
        # A basic activity outside its box stops at the face that it comes back to.
        toward = np.where(
            change > 0,
            np.where(violation < 0, low, np.where(violation > 0, np.inf, high)),
            np.where(violation > 0, high, np.where(violation < 0, -np.inf, low)),
        )
        moving = np.abs(change) > 1e-11
        room = np.full(len(change), np.inf)
        room[moving] = np.maximum((toward[moving] - self.x[moving]) / change[moving], 0.0)
        leaving = int(np.argmin(room))
        ties = np.flatnonzero(room <= room[leaving] + 1e-12)
        leaving = min(ties.tolist(), key=lambda k: self.basis[k]) if bland else int(ties[np.argmax(np.abs(change[ties]))])
        own = float(self.high[entering] - self.low[entering]) if entering < self.d else np.inf
        if not np.isfinite(min(own, room[leaving])):
            return np.inf
        if own <= room[leaving]:
            self.at_high[entering] = not self.at_high[entering]
            self._refresh()
            return own
        out = self.basis[leaving]
        at_high = self.at_high.copy()
        if out < self.d:
            self.at_high[out] = abs(toward[leaving] - self.high[out]) <= abs(toward[leaving] - self.low[out])
        self.basis[leaving] = entering
        try:
            self._refresh()
        except np.linalg.LinAlgError:
            # Rounding took a pivot element that is 0 for something else: back to the basis before.
            self.basis[leaving], self.at_high = out, at_high
            return np.inf
        return float(room[leaving])

    def _refresh(self) -> None:
        """Inverse of the basis and the values of its columns."""
        self.inverse = np.linalg.inv(self.A[:, self.basis])
        rest = np.zeros(self.d + 1)
        rest[self.d] = 1.0
        outside = [k for k in range(self.d) if k not in self.basis]
        for k in outside:
            rest[k] += self.high[k] if self.at_high[k] else self.low[k]
        self.x = self.inverse @ rest

    def _bounds(self, columns: list[int]) -> tuple[FloatArray, FloatArray]:
        low = np.array([self.low[c] if c < self.d else 0.0 for c in columns])
        high = np.array([self.high[c] if c < self.d else np.inf for c in columns])
        return low, high

    def _violation(self) -> FloatArray:
        """Of the basic columns: positive above the upper bound, negative below the lower one, 0 within the tolerance."""
        low, high = self._bounds(self.basis)
        size = FEASIBLE * np.array([self.scale[c] if c < self.d else 1.0 for c in self.basis])
        return np.asarray(np.where(self.x > high + size, self.x - high, np.where(self.x < low - size, self.x - low, 0.0)))
