"""From any feasible point of a multiple-choice program to a vertex that is no worse."""

from __future__ import annotations

import numpy as np

from eqsolve.arrays import FloatArray, IntArray

ZERO = 1e-11
"""Fraction of a group below which a column counts as 0."""


def purified(
    offsets: IntArray, need: FloatArray, g: FloatArray, low: FloatArray, high: FloatArray, w: FloatArray, x: FloatArray
) -> FloatArray:
    """Move along null directions of the choice and coupling rows, never losing objective, until a vertex is reached.

    A vertex has at most as many extra columns (beyond one per group) as coupling rows that hold with equality. Groups enter
    one by one, so that only the few columns of groups still mixing, at most 2d + 2 at once, are ever in a linear system:
    O(d^3) per column that is given up.

    Parameters
    ----------
    offsets, need : (T+1,) and (T,) the groups and what each must place.
    g, low, high : (N, d), (d,), (d,) the coupling rows.
    w : (N,) objective to maximise.
    x : (N,) the point; small violations are clipped, and groups are put back on their sums.
    """
    owner = np.repeat(np.arange(len(need)), np.diff(offsets))
    q = np.clip(x, 0.0, need[owner])
    q[q <= ZERO * np.maximum(need[owner], 1.0)] = 0.0
    total = np.add.reduceat(q, offsets[:-1])
    q *= np.where(total > 0, need / np.where(total > 0, total, 1.0), 1.0)[owner]
    support = np.add.reduceat(q > 0, offsets[:-1])
    activity = g.T @ q
    slack = _Slack(activity, np.minimum(low, activity), np.maximum(high, activity))
    active: list[int] = []
    for t in np.flatnonzero(support > 1):
        mine = [int(c) for c in range(offsets[t], offsets[t + 1]) if q[c] > 0]
        active.extend(mine[:2])
        rest = mine[2:]
        while True:
            active = _settled(active, owner, q, g, w, need, slack)
            if not rest:
                break
            active.append(rest.pop(0))
            if not any(owner[c] == t and c != active[-1] for c in active):
                # The group had come down to one column, which left the list; it comes back to balance the new one.
                active.append(next(c for c in range(offsets[t], offsets[t + 1]) if q[c] > 0 and c != active[-1] and c not in rest))
    return q


class _Slack:
    """The coupling rows' activities, each a column of its own with bounds."""

    def __init__(self, value: FloatArray, low: FloatArray, high: FloatArray) -> None:
        self.value, self.low, self.high = value, low, high
        self.scale = np.maximum(1.0, np.abs(value))

    def free(self) -> IntArray:
        room = 1e-10 * self.scale
        return np.flatnonzero((self.value > self.low + room) & (self.value < self.high - room))


def _settled(
    active: list[int], owner: IntArray, q: FloatArray, g: FloatArray, w: FloatArray, need: FloatArray, slack: _Slack
) -> list[int]:
    """Give up columns until those in hand are independent; groups left with one column leave the list."""
    while True:
        groups, count = np.unique(owner[active], return_counts=True) if active else (np.zeros(0, dtype=np.int64), np.zeros(0))
        single = set(groups[count == 1].tolist())
        active = [c for c in active if owner[c] not in single]
        if not active:
            return active
        direction = _null_direction(active, owner, g, slack)
        if direction is None:
            return active
        active = _moved(active, direction, owner, q, g, w, need, slack)


def _null_direction(active: list[int], owner: IntArray, g: FloatArray, slack: _Slack) -> FloatArray | None:
    """A change of the active columns that keeps group sums and every coupling row that is at a bound; None if only 0 does."""
    free = slack.free()
    tight = np.setdiff1d(np.arange(g.shape[1]), free)
    columns = np.asarray(active)
    groups = np.unique(owner[columns])
    if len(columns) <= len(groups):
        return None
    scale = np.maximum(np.abs(g[columns]).max(axis=0), 1e-300)
    matrix = np.vstack(((owner[columns] == groups[:, None]).astype(float), (g[columns] / scale).T[tight]))
    _, singular, right = np.linalg.svd(matrix, full_matrices=True)
    rank = int((singular > 1e-9 * singular[0]).sum())
    return None if rank == len(columns) else np.asarray(right[-1])


def _moved(
    active: list[int],
    direction: FloatArray,
    owner: IntArray,
    q: FloatArray,
    g: FloatArray,
    w: FloatArray,
    need: FloatArray,
    slack: _Slack,
) -> list[int]:
    """Step along the direction, up the objective, to the first column at 0 or coupling row at a bound."""
    columns = np.asarray(active)
    move = direction / np.abs(direction).max()
    move[np.abs(move) < 1e-12] = 0.0
    if w[columns] @ move < 0:
        move = -move
    drift = g[columns].T @ move
    falling = move < 0
    step = float((q[columns][falling] / -move[falling]).min())
    blocked = -1
    for k in slack.free():
        if drift[k] != 0:
            room = (slack.high[k] - slack.value[k]) / drift[k] if drift[k] > 0 else (slack.low[k] - slack.value[k]) / drift[k]
            if room < step:
                step, blocked = float(room), int(k)
    q[columns] += step * move
    slack.value += step * drift
    if blocked >= 0:
        slack.value[blocked] = slack.high[blocked] if drift[blocked] > 0 else slack.low[blocked]
    gone = q[columns] <= ZERO * np.maximum(need[owner[columns]], 1.0)
    q[columns[gone]] = 0.0
    return [c for c, out in zip(active, gone, strict=True) if not out]
