"""The best stage program over all cells of a grid, by best-first search on blocks of cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import product
from time import perf_counter
from typing import Any, Literal

import numpy as np

from eqsolve.aggregative.part import Part
from eqsolve.aggregative.programs import ROUNDING, Box, StageFamily
from eqsolve.arrays import BoolArray, FloatArray, IntArray
from eqsolve.backends import Limits, Outcome, Session, Termination, choose_backend, get_backend, solve_program
from eqsolve.backends.solve import at_vertex
from eqsolve.driver import NothingReached, OutOfTime
from eqsolve.errors import EqsolveError
from eqsolve.programs import Program, Update

SLACK = 1e-12
"""Relative slack of comparisons between welfare bounds: rounding of sums over players."""


Ended = Literal["complete", "budget", "interrupt"]


class NoFeasibleCell(NothingReached):
    """No cell of the grid has a feasible stage program."""


@dataclass(frozen=True, slots=True)
class SweepCounts:
    """What the search did: blocks tested, cells left over, cells skipped by a price bound, programs solved."""

    blocks: int = 0
    cells: int = 0
    skipped: int = 0
    programs: int = 0
    infeasible: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SweepResult:
    """The best cell.

    Parameters
    ----------
    cell : row-major number of the cell. box : its tolerances and actions.
    program : its stage program. outcome : the answer, at a vertex.
    bound : no cell's program has a larger optimum: the outcome's objective up to rounding when the search was completed. Cells
        that were solved count by a Lagrangian bound or a refutation computed from the game, not by the backend's word.
    ended : ``"complete"``, or what ended the search before: its ``"budget"`` or an ``"interrupt"``.
    """

    cell: int
    box: Box
    program: Program
    outcome: Outcome
    bound: float
    ended: Ended
    counts: SweepCounts


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """A cell whose program has been solved: its number, its box, the answer."""

    cell: int
    box: Box
    outcome: Outcome


Progress = Callable[[SweepCounts, float, float], None]
"""Called now and then with the counts, the best welfare so far (-inf before the first) and the bound."""


def sweep(
    family: StageFamily,
    backend: str = "auto",
    limits: Limits | None = None,
    progress: Progress | None = None,
    *,
    vertex: bool = True,
) -> SweepResult:
    """Solve the stage programs in order of their upper bounds until no other can be better.

    A block of cells is discarded when no aggregator inside it can be caused by actions that are approximate best responses
    at any of its cells (interval test, with a tolerance that grows with the block), or when its welfare bound, or the
    Lagrangian bound at the prices of the best programs so far, does not exceed the best welfare. Cells are solved through
    one session, changed in place where the backend can.

    Parameters
    ----------
    backend : ``auto`` takes the structure's own exact method, and HiGHS for a program on which that gives up.
    limits : seconds for the whole search, iterations as a number of programs. What was reached is returned, with the bound.
    vertex : hand back a vertex; otherwise whatever point the backend gives, interior ones included.

    Raises
    ------
    NoFeasibleCell : every cell was ruled out; the message says why that can be.
    """
    search = Search(family, vertex=vertex, rescue=backend == "auto")
    with search.open(backend) as session:
        ended = search.run(session, limits or Limits(), progress)
    return search.result(ended)


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Cells ``low <= index < high`` with what is known of them: the undecided part, its box, the settled sums in it."""

    low: IntArray
    high: IntArray
    part: Part
    allowed: BoolArray
    centre: FloatArray
    half_width: FloatArray

    @property
    def size(self) -> int:
        return int(np.prod(self.high - self.low, dtype=object))


class Search:
    """The state of one search: a heap of blocks by bound, the best answer, the prices that bound the others.

    Parameters
    ----------
    vertex : keep vertices. rescue : let HiGHS answer a program on which the session gives up.
    relative, absolute : the search is complete when no cell can be better than the best answer by more than the larger of
        ``relative`` times its size, and ``absolute``.
    """

    def __init__(
        self, family: StageFamily, *, vertex: bool = True, rescue: bool = False, relative: float = 0.0, absolute: float = 0.0
    ) -> None:
        self.family, self.vertex, self.rescue = family, vertex, rescue
        self.relative, self.absolute = relative, absolute
        game = family.game
        d = game.n_coordinates
        # Contributions often add up to a constant over the coordinates, which no single interval can see.
        self.directions = np.vstack((np.eye(d), np.ones(d))) if d > 1 else np.eye(d)
        self.magnitude = self.directions @ game.magnitude
        g = game.contribution @ self.directions.T
        self.whole = Part.whole(game, np.vstack((g.T, -g.T, game.weights)))
        self.scale = 1.0 + float(np.abs(game.weights) @ self.whole.players[game.owner]) + family.size_of_constants
        self.prices: list[FloatArray] = []
        self.heap: list[tuple[float, int, int, _Block]] = []
        self.order = 0
        self.in_hand = -np.inf
        self.proven = -np.inf
        self.counts = SweepCounts()
        self.best: Best | None = None
        self.best_value = -np.inf
        self._offer(np.zeros_like(family.grid.cells), family.grid.cells, self.whole, np.inf)

    def open(self, backend: str) -> Session:
        """A session for the stage programs; ``auto`` takes the structure's own exact method."""
        base = self.family.base
        chosen = choose_backend(base)[0] if backend == "auto" else get_backend(backend)
        return chosen.open(base, vertex=self.vertex)

    @property
    def is_complete(self) -> bool:
        """Whether no cell that is left, or was cut short, can be better than the best answer by more than the gap asked for."""
        return self._left() <= self._enough()

    def run(self, session: Session, limits: Limits, progress: Progress | None = None) -> Ended:
        """Best-first until the search is complete, the budget (seconds, programs) ends, or Ctrl-C; which of them it was."""
        began = perf_counter()
        try:
            while not self.is_complete:
                left = None if limits.seconds is None else limits.seconds - (perf_counter() - began)
                if (left is not None and left <= 0) or (
                    limits.iterations is not None and self.counts.programs >= limits.iterations
                ):
                    return "budget"
                self.take(session, Limits(seconds=left))
                if progress is not None:
                    progress(self.counts, self.best_value, self.bound())
        except OutOfTime:
            return "budget"
        except KeyboardInterrupt:
            if self.best is None:
                raise
            return "interrupt"
        return "complete"

    def take(self, session: Session, limits: Limits) -> None:
        """Take the best block apart, or solve its program when it is one cell.

        Raises
        ------
        OutOfTime, KeyboardInterrupt : the program was cut short. The bound stays true; the cell is not looked at again.
        """
        # While a block is taken apart its bound stands for it, so that an interrupt leaves a true bound behind.
        self.in_hand = above = -self.heap[0][0]
        block = heappop(self.heap)[-1]
        bound = self._priced(block, above)
        if bound <= self._threshold():
            self._count(skipped=1)
        elif bound < above - SLACK * self.scale and self.heap and bound < -self.heap[0][0]:
            self._push(bound, block)
        elif block.size > 1:
            for low, high in _children(block.low, block.high):
                self._offer(low, high, block.part, bound)
        else:
            self._solve(session, block, bound, limits)
        self.in_hand = -np.inf

    def bound(self) -> float:
        """No cell's optimum exceeds this; it has room for the rounding of sums, and for blocks that were discarded by as much."""
        return self.computed_bound() + SLACK * self.scale

    def computed_bound(self) -> float:
        """The bound as it was computed, rounding aside."""
        return max(self.best_value, self.proven, self._left())

    def result(self, ended: Ended = "complete") -> SweepResult:
        """The best answer.

        Raises
        ------
        NoFeasibleCell : there is none, and why.
        """
        if self.best is None:
            raise self._nothing()
        best = self.best
        return SweepResult(best.cell, best.box, self.program_of(best), best.outcome, self.bound(), ended, self.counts)

    def program_of(self, best: Best) -> Program:
        """The stage program that an answer belongs to."""
        return self.family.base.with_values(self.family.update_of(best.cell, best.box))

    def frontier(self) -> list[tuple[float, int, IntArray, IntArray]]:
        """The blocks that are left, as (bound, order, low, high): what ``restore`` needs."""
        return [(-bound, order, block.low, block.high) for bound, _, order, block in sorted(self.heap, key=lambda one: one[:3])]

    def more(self) -> dict[str, Any]:
        """What else ``restore`` needs, as arrays and numbers: nothing here."""
        return {}

    def restore(self, frontier: list[tuple[float, int, IntArray, IntArray]], more: dict[str, Any] | None = None) -> None:
        """Put blocks back, each with what its ancestors decided: halving leads from the whole range to a block in one way only."""
        grid = self.family.grid
        known: dict[bytes, Part] = {}

        def part_of(low: IntArray, high: IntArray, around: Part) -> tuple[Part, Box, BoolArray]:
            box = Box.at(around, grid, self.family.tolerance, low, high)
            return (part := around.narrowed(box.allowed))[0], box, part[1]

        self.heap = []
        for bound, order, low, high in frontier:
            around, at = self.whole, (np.zeros_like(grid.cells), grid.cells)
            while not (np.array_equal(at[0], low) and np.array_equal(at[1], high)):
                key = at[0].tobytes() + at[1].tobytes()
                if key not in known:
                    known[key] = part_of(*at, around)[0]
                around = known[key]
                at = next(one for one in _children(*at) if (one[0] <= low).all() and (high <= one[1]).all())
            part, box, allowed = part_of(low, high, around)
            block = _Block(low, high, part, allowed, box.centre, box.half_width)
            heappush(self.heap, (-bound, block.size, order, block))

    def _left(self) -> float:
        """The largest bound of what is left, the block in hand included."""
        return max(self.in_hand, -self.heap[0][0] if self.heap else -np.inf)

    def _threshold(self) -> float:
        return self.best_value + SLACK * self.scale if self.best is not None else -np.inf

    def _enough(self) -> float:
        """What no cell that is left may exceed when the search is complete."""
        if self.best is None:
            return -np.inf
        return self.best_value + max(SLACK * self.scale, self.relative * abs(self.best_value), self.absolute)

    def _count(self, **more: int) -> None:
        self.counts = replace(self.counts, **{name: getattr(self.counts, name) + by for name, by in more.items()})

    def _push(self, bound: float, block: _Block) -> None:
        heappush(self.heap, (-bound, block.size, self.order, block))
        self.order += 1

    def _offer(self, low: IntArray, high: IntArray, around: Part, above: float) -> None:
        """Test a block; keep it with its bound unless nothing in it can be feasible or better."""
        box = Box.at(around, self.family.grid, self.family.tolerance, low, high)
        self._count(blocks=1)
        bound = min(self._interval(around, box), above)
        if bound == -np.inf or bound <= self._threshold():
            return
        part, allowed = around.narrowed(box.allowed)
        block = _Block(low, high, part, allowed, box.centre, box.half_width)
        if block.size == 1:
            self._count(cells=1)
        self._push(bound, block)

    def _interval(self, part: Part, box: Box) -> float:
        """Welfare bound of a box; minus infinity when its aggregators cannot be reached by its actions."""
        return self._reached(part.largest(part.rows, part.settled, box.allowed), box)

    def _reached(self, top: FloatArray, box: Box) -> float:
        """The same from the largest sums of the part's rows."""
        d = len(self.directions)
        most, least = top[:d], -top[d : 2 * d]
        centre, half = self.directions @ box.centre, np.abs(self.directions) @ box.half_width
        slack = ROUNDING * self.magnitude
        reachable = (most >= centre - half - slack) & (least <= centre + half + slack)
        return float(top[-1]) + self.family.largest_constant(box.centre, box.half_width) if reachable.all() else -np.inf

    def _priced(self, block: _Block, bound: float, prices: list[FloatArray] | None = None) -> float:
        """The least Lagrangian bound of a block over some prices, the ones seen last when left out.

        For any price vector v: max w.p <= sum_t N_t max_j (w - g.v) + sum_k max(v_k low_k, v_k high_k).
        """
        prices = self.prices if prices is None else prices
        if not prices:
            return bound
        part, price = block.part, np.array(prices)
        d = price.shape[1]
        top = part.largest(part.rows[-1] - price @ part.rows[:d], part.settled[-1] - price @ part.settled[:d], block.allowed)
        edge = price @ block.centre + np.abs(price) @ block.half_width
        constant = self.family.largest_constant(block.centre, block.half_width)
        return min(bound, float((top + edge).min()) + constant + SLACK * self.scale)

    def _refuted(self, block: _Block, price: FloatArray) -> bool:
        """Whether a price vector proves that no point of a cell exists: the Lagrangian bound of a zero objective is negative."""
        part, d = block.part, len(price)
        top = part.largest(-price @ part.rows[:d], -price @ part.settled[:d], block.allowed)
        edge = price @ block.centre + np.abs(price) @ block.half_width
        return bool(top + edge < -ROUNDING * (np.abs(price) @ self.family.game.magnitude))

    def _judged(self, block: _Block, above: float, program: Program, outcome: Outcome) -> tuple[float, FloatArray | None]:
        """Bound a solved block by the backend's duals or ray, but from the game's data: any price vector gives a true bound.

        A verdict that nothing proves leaves the block with the bound that it had. Where the backend hands over no duals or
        ray, the structure's own method looks for them.

        Returns
        -------
        The bound, minus infinity for a block that is refuted; and the price vector (d,) of an optimum, if there is one.
        """
        infeasible = outcome.termination is Termination.INFEASIBLE
        types, scale = self.family.game.n_types, self.family.scale
        y = outcome.ray if infeasible else outcome.y
        if y is None or (infeasible and not self._refuted(block, -y[types:] * scale)):
            other = solve_program(program, "native")
            y = other.ray if infeasible else other.y
        if infeasible:
            return (-np.inf if y is not None and self._refuted(block, -y[types:] * scale) else above), None
        price = None
        if y is not None:
            price = y[types:] * scale
            self.prices = [*self.prices[-3:], price]
        return self._priced(block, above), price

    def _ask(self, session: Session, values: Update, what: str, limits: Limits) -> Outcome:
        """The answer to one program, which is optimal or infeasible.

        Raises
        ------
        OutOfTime, KeyboardInterrupt : it was cut short. EqsolveError : the backend settled nothing.
        """
        session.update(values)
        outcome = session.solve(limits)
        if outcome.termination is Termination.ITERATION_LIMIT and self.rescue:
            outcome = solve_program(session.program, "highs", vertex=self.vertex, limits=limits)
        if outcome.termination is Termination.TIME_LIMIT:
            raise OutOfTime
        if outcome.termination is Termination.INTERRUPTED:
            raise KeyboardInterrupt
        infeasible = outcome.termination is Termination.INFEASIBLE
        self._count(programs=1, infeasible=int(infeasible))
        if not infeasible and (outcome.x is None or outcome.objective is None or not outcome.is_optimal):
            raise EqsolveError(
                f"the program of {what} ended with: {outcome.termination.value}",
                "\n".join(outcome.notes) or "Try another backend.",
            )
        return outcome

    def _solve(self, session: Session, block: _Block, above: float, limits: Limits) -> None:
        family = self.family
        number = family.grid.number(block.low)
        box = family.box(number)
        outcome = self._ask(session, family.update_of(number, box), f"cell {number}", limits)
        self.proven = max(self.proven, self._judged(block, above, session.program, outcome)[0])
        self._keep(number, box, session.program, outcome)

    def _keep(self, number: int, box: Box, program: Program, outcome: Outcome) -> None:
        """The answer of a cell, if it is the best one so far."""
        if outcome.is_optimal and outcome.objective is not None and outcome.objective > self.best_value:
            self.best = Best(number, box, at_vertex(program, outcome) if self.vertex else outcome)
            self.best_value = outcome.objective

    def _nothing(self) -> NoFeasibleCell:
        family = self.family
        game = family.game
        if not self.is_complete:
            solved = f"{self.counts.blocks} blocks tested, {self.counts.programs} programs solved"
            return NoFeasibleCell(
                f"the run ended before a feasible cell was found ({solved})", "Give more time, or a coarser grid."
            )
        least = 2 * family.grid.b * float(game.gamma.max())
        remedy = f"A tolerance of 2 b gamma = {least:.4g} (preset 'existence') always leaves a feasible cell."
        if family.tolerance.eta is None:
            remedy = "With this tolerance some cell is feasible, unless a Lipschitz constant is too small: game.check_lipschitz()."
        tested = f"{self.counts.blocks} blocks tested, {self.counts.programs} programs infeasible"
        return NoFeasibleCell(f"no cell of {family.size} has a feasible stage program ({tested})", remedy)


def _children(low: IntArray, high: IntArray) -> list[tuple[IntArray, IntArray]]:
    """The block cut in half along every axis that has more than one cell."""
    middle = (low + high) // 2
    sides = [((a, m), (m, b)) if b - a > 1 else ((a, b),) for a, m, b in zip(low, middle, high, strict=True)]
    return [(np.array([s[0] for s in pick]), np.array([s[1] for s in pick])) for pick in product(*sides)]
