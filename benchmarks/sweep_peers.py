"""The whole sweep over cells against one fresh model per cell."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy
import highspy
import numpy as np
from scipy import sparse

from benchmarks.registry import Bench, case
from eqsolve.aggregative import AggregativeGame, AggregativeNash, StageFamily, random_affine, sweep


class PerCell:
    """What everybody does without the library: one model for each cell, built from the same arrays."""

    def __init__(self, game: AggregativeGame, family: StageFamily, sample: int) -> None:
        self.game, self.family = game, family
        base = family.base
        self.base = base
        self.cells = np.random.default_rng(0).choice(len(family), min(sample, len(family)), replace=False)
        self.boxes = {int(cell): family.box(int(cell)) for cell in self.cells}
        self.factor = len(family) / len(self.cells)
        self.G = sparse.csr_array(base.A[game.n_types :])
        self.choice = sparse.csr_array(base.A[: game.n_types])

    def limits(self, cell: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        box = self.boxes[cell]
        low, high = (box.centre - box.half_width) * self.family.scale, (box.centre + box.half_width) * self.family.scale
        return low, high, np.where(box.allowed, 1.0, 0.0)

    def highs(self, presolve: str = "choose") -> list[float]:
        values = []
        A = self.base.A
        for cell in self.boxes:
            low, high, upper = self.limits(cell)
            model = highspy.Highs()
            model.silent()
            model.setOptionValue("presolve", presolve)
            model.passModel(
                A.shape[1],
                A.shape[0],
                A.nnz,
                int(highspy.MatrixFormat.kColwise),
                int(highspy.ObjSense.kMaximize),
                0.0,
                self.base.c,
                np.zeros(A.shape[1]),
                upper,
                np.concatenate((np.ones(self.game.n_types), low)),
                np.concatenate((np.ones(self.game.n_types), high)),
                A.indptr,
                A.indices,
                A.data,
                np.zeros(A.shape[1], dtype=np.int32),
            )
            model.run()
            found = model.getModelStatus() == highspy.HighsModelStatus.kOptimal
            values.append(model.getInfo().objective_function_value if found else -np.inf)
        return values

    def cvxpy(self) -> list[float]:
        values = []
        for cell in self.boxes:
            low, high, upper = self.limits(cell)
            p = cvxpy.Variable(len(upper), bounds=[np.zeros(len(upper)), upper])
            x = self.G @ p
            problem = cvxpy.Problem(cvxpy.Maximize(self.base.c @ p), [self.choice @ p == 1, x >= low, x <= high])
            problem.solve(solver=cvxpy.CLARABEL)
            values.append(float(problem.value))
        return values


def _versus(bench: Bench, players: int, dimension: int, tolerance: str, sample: int, wanted: dict[str, float]) -> None:
    game = random_affine(players, 3, dimension)
    family = AggregativeNash(tolerance, cells=41).family(game)
    naive = PerCell(game, family, sample)
    ours = sweep(family)
    found = naive.highs()
    assert max(found) <= ours.bound + 1e-6 * abs(ours.bound), "a cell is better than the search's best"
    whole: dict[str, Callable[[], object]] = {
        "eqsolve, whole sweep": lambda: sweep(AggregativeNash(tolerance, cells=41).family(game)),
        "eqsolve, backend highs": lambda: sweep(AggregativeNash(tolerance, cells=41).family(game), "highs"),
    }
    size = f"n = {players:,}, d = {dimension}, {len(family):,} cells, {tolerance}"
    quick = bench.compare(size, "solve", whole)
    slow: dict[str, Callable[[], object]] = {
        "eqsolve, whole sweep": whole["eqsolve, whole sweep"],
        "fresh highspy per cell": naive.highs,
    }
    if "cvxpy" in wanted:
        slow["cvxpy CLARABEL per cell"] = naive.cvxpy
    slow["fresh highspy per cell, no presolve"] = lambda: naive.highs("off")
    scale = {name: naive.factor for name in slow if "per cell" in name and naive.factor > 1}
    taken = bench.compare(size, "solve", slow, scale=scale, repeats=1 if bench.quick else 3)
    ours_seconds = quick["eqsolve, whole sweep"]
    for peer, target in wanted.items():
        name = next(one for one in slow if peer in one)  # the first: HiGHS at its defaults
        bench.target(f"{size}: {name} / eqsolve", taken[name] / ours_seconds, target)


@case("sweep-peers")
def run(bench: Bench) -> None:
    """Sweeps over 41 cells per coordinate; peers solve every cell (extrapolated from a random sample of cells)."""
    n = 200 if bench.quick else 1000
    for tolerance in ("opt", "paper"):
        _versus(bench, n, 2, tolerance, 5 if bench.quick else 50, {"cvxpy": 200, "fresh highspy": 50})
    for tolerance in ("opt", "paper"):
        _versus(bench, 10 * n, 1, tolerance, 3 if bench.quick else 41, {"fresh highspy": 300})
