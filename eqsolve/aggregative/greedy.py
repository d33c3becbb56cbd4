"""One coupling row: the exact greedy over upper hulls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eqsolve.arrays import FloatArray, IntArray
from eqsolve.programs import StructureAnswer

if TYPE_CHECKING:
    from eqsolve.aggregative.multiple_choice import Task


def solve_greedy(task: Task) -> StructureAnswer:
    """Start every group at its best column, then move along hull segments of least loss until the coupling row holds.

    The last segment is the one that is taken in part: at most one group mixes.
    """
    choice, _ = task.best(np.where(task.allowed, task.w, -np.inf))
    if not task.n_coupling:
        return StructureAnswer("optimal", task.point(choice), task.duals(np.zeros(0)), is_vertex=True)
    g = task.g[:, 0]
    total = float(task.need @ g[choice])
    low, high = float(task.low[0]), float(task.high[0])
    if low <= total <= high:
        return StructureAnswer("optimal", task.point(choice), task.duals(np.zeros(1)), is_vertex=True)
    direction, missing = (1.0, low - total) if total < low else (-1.0, total - high)
    slope, gain, source, target = _hull_segments(task, direction * g, choice)
    order = np.lexsort((target, slope))
    reached = np.cumsum(gain[order])
    last = int(np.searchsorted(reached, missing))
    if last == len(order):
        if len(order) and reached[-1] >= missing - 1e-13 * max(1.0, abs(total), float(np.abs(g).max())):
            last -= 1
        else:
            return StructureAnswer("infeasible", ray=task.farkas(np.array([direction])), iterations=len(order))
    taken = order[:last]
    final = choice.copy()
    group = task.owner[source]
    # Segments of one group come in order of slope, so the last one taken tells where the group stands.
    final[group[taken]] = target[taken]
    q = task.point(final)
    edge = int(order[last])
    before = float(reached[last - 1]) if last else 0.0
    share = min(1.0, (missing - before) / float(gain[edge]))
    amount = task.need[group[edge]]
    q[source[edge]] = amount * (1.0 - share)
    q[target[edge]] += amount * share
    return StructureAnswer("optimal", q, task.duals(np.array([-direction * slope[edge]])), iterations=last + 1, is_vertex=True)


def _hull_segments(task: Task, g: FloatArray, choice: IntArray) -> tuple[FloatArray, FloatArray, IntArray, IntArray]:
    """All hull segments in the direction of growing g from each group's best column.

    Returns slopes (loss of w per unit of g, at least 0), gains of the coupling row by the whole group, and the segment's
    source and target columns. Each round finds every group's next hull column at once.
    """
    parts: list[tuple[FloatArray, FloatArray, IntArray, IntArray]] = []
    columns = np.flatnonzero(task.allowed & (task.need[task.owner] > 0))
    at = choice.copy()
    while len(columns):
        here = at[task.owner[columns]]
        rise = g[columns] - g[here]
        keep = rise > 0
        columns, here, rise = columns[keep], here[keep], rise[keep]
        if not len(columns):
            break
        loss = np.maximum(task.w[here] - task.w[columns], 0.0) / rise
        order = np.lexsort((columns, -rise, loss, task.owner[columns]))
        first = order[np.concatenate(([True], np.diff(task.owner[columns[order]]) > 0))]
        group = task.owner[columns[first]]
        parts.append((loss[first], task.need[group] * rise[first], at[group], columns[first]))
        at[group] = columns[first]
    if not parts:
        return np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    slope, gain, source, target = (np.concatenate(same) for same in zip(*parts, strict=True))
    return slope, gain, source, target
