"""Two or more coupling rows: Dantzig-Wolfe decomposition with one pricing argmax per group."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from eqsolve.aggregative.master import Master
from eqsolve.aggregative.purify import purified
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.programs import StructureAnswer

if TYPE_CHECKING:
    from eqsolve.aggregative.multiple_choice import Task

EXACT = 1e-12
"""Relative reduced cost below which a column does not improve."""
MAX_COLUMNS = 2000


def solve_dantzig_wolfe(task: Task) -> StructureAnswer:
    """First the least violation of the coupling rows, then the objective; both by columns that are pure profiles."""
    unit = np.maximum(np.abs(task.g).max(axis=0), 1e-300)
    given, task = task, replace(task, g=task.g / unit, low=task.low / unit, high=task.high / unit)
    profiles = _Profiles(task)
    first = profiles.add(task.best(np.where(task.allowed, task.w, -np.inf))[0])
    master = Master(task.low, task.high, *first)
    for feasibility in (True, False):
        if feasibility and master.is_feasible:
            continue
        if not _generate(profiles, master, feasibility):
            return StructureAnswer("iteration_limit", iterations=master.pivots)
        if not master.is_feasible:
            return StructureAnswer("infeasible", ray=given.farkas(-master.price / unit), iterations=master.pivots)
    q = np.zeros(len(task.w))
    for k, weight in master.mix():
        q += weight * task.point(profiles.choices[k])
    vertex = purified(task.offsets, task.need, task.g, task.low, task.high, task.w, q)
    return StructureAnswer("optimal", vertex, given.duals(master.price / unit), iterations=master.pivots, is_vertex=True)


class _Profiles:
    """Pure profiles by number: the column of each group, the objective W and the coupling activity G."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.choices: list[IntArray] = []

    def add(self, choice: IntArray) -> tuple[float, FloatArray]:
        self.choices.append(choice)
        need = self.task.need
        return float(need @ self.task.w[choice]), np.asarray(need @ self.task.g[choice])


def _generate(profiles: _Profiles, master: Master, feasibility: bool) -> bool:
    """Add the best profile at the master's prices until none improves; False when they run out."""
    task = profiles.task
    w = np.zeros_like(task.w) if feasibility else task.w
    size = 1.0 if feasibility else 1.0 + float(np.abs(task.w).max()) * float(task.need.sum())
    while master.optimise(feasibility):
        if feasibility and master.is_feasible:
            return True
        choice, score = task.best(np.where(task.allowed, w - task.g @ master.price, -np.inf))
        rounding = EXACT * (size + float(np.abs(master.price) @ master.scale))
        if float(task.need @ score) - master.convexity <= rounding or len(profiles.choices) >= MAX_COLUMNS:
            return len(profiles.choices) < MAX_COLUMNS
        master.add(*profiles.add(choice))
    return False
