"""Branch and bound over blocks of cells, for aggregators of more coordinates than a block has children for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import heapify, heappop
from typing import Any

import numpy as np

from eqsolve.aggregative.part import Part
from eqsolve.aggregative.programs import ROUNDING, Box, StageFamily
from eqsolve.aggregative.sweep import SLACK, Search, _Block
from eqsolve.arrays import FloatArray, IntArray
from eqsolve.backends import Limits, Session

ROUNDS = 12
"""Times a block is shrunk to what its actions reach, at most."""
SHRUNK = 0.8
"""A block is tested again when it keeps at most this share of its cells along some axis."""
REPLIES = 256
"""Best replies that the search begins with, at most."""
PATIENCE = 1.3
"""Growth of the number of programs from one plunge to the next."""


@dataclass(frozen=True, slots=True, eq=False)
class Node(_Block):
    """A block in the tree.

    Parameters
    ----------
    price : (d,) at the optimum of the relaxation of the last block around it that had one solved.
    since : how often it was cut since then. relaxed : whether that block is this one.
    """

    price: FloatArray | None = None
    since: int = 0
    relaxed: bool = False


class BoxSearch(Search):
    """Best-first over blocks that are cut in half along their longest axis, with relaxations and plunges.

    - A block shrinks to the cells that meet what its actions reach, until that rules out little more. Payoffs are bounded by
      the family's own form (``Payoffs.range_on``), not by the Lipschitz constants alone.
    - Its *relaxation* is the stage program of the whole block: the actions that are approximate best responses at some cell,
      the aggregator anywhere in it. It is solved once in d cuts; in between its prices bound the parts, which costs no program.
    - It begins with averaged best replies (fictitious play), which often lead to a feasible cell at once.
    - A *plunge* follows the most recent block instead of the best one until a cell is solved: the first answer comes early.

    What lies within the gap asked for is given up; its bound counts in ``proven``.

    Parameters
    ----------
    family, vertex, rescue, relative, absolute : as in ``Search``.
    """

    def __init__(
        self, family: StageFamily, *, vertex: bool = True, rescue: bool = False, relative: float = 0.0, absolute: float = 0.0
    ) -> None:
        self.plunge, self.next_plunge = 0, 1
        super().__init__(family, vertex=vertex, rescue=rescue, relative=relative, absolute=absolute)

    def take(self, session: Session, limits: Limits) -> None:
        """Bound the next block better, or solve its cell, or cut it in two.

        Raises
        ------
        OutOfTime, KeyboardInterrupt : a program was cut short. The bound stays true; the block is not looked at again.
        """
        if not self.counts.programs:
            self._reply(session, limits)
        above, node = self._next()
        bound = self._priced(node, above)
        if node.size == 1 and bound > self._enough():
            infeasible = self.counts.infeasible
            self._solve(session, node, bound, limits)
            if self.counts.infeasible == infeasible:
                self.plunge = 0
        elif bound <= self._enough():
            self._count(skipped=1)
            self.proven = max(self.proven, bound)
        elif not self._waits(bound, above, node):
            if not node.relaxed and (node.price is None or node.since >= len(node.low)):
                above = bound
                bound, node = self._relaxed(session, node, bound, limits)
            if bound <= self._enough():
                self.proven = max(self.proven, bound)
            elif not self._waits(bound, above, node):
                self._cut(node, bound)
        self.in_hand = -np.inf

    def more(self) -> dict[str, Any]:
        """Prices, cuts since the last relaxation and whether it is solved, block by block; the plunges."""
        nodes = [_node(one[-1]) for one in sorted(self.heap, key=lambda one: one[:3])]
        nothing = np.full(self.family.game.n_coordinates, np.nan)
        price = [nothing if node.price is None else node.price for node in nodes]
        return {
            "price": np.array(price, dtype=np.float64).reshape(len(nodes), len(nothing)),
            "since": np.array([node.since for node in nodes], dtype=np.int64),
            "relaxed": np.array([node.relaxed for node in nodes], dtype=bool),
            "plunge": self.plunge,
            "next_plunge": self.next_plunge,
        }

    def restore(self, frontier: list[tuple[float, int, IntArray, IntArray]], more: dict[str, Any] | None = None) -> None:
        """Put blocks back: where a block is shrunk and cut depends on nothing but itself, so that the way to it is found again."""
        counts, self.heap = self.counts, []
        root = self._tested(np.zeros_like(self.family.grid.cells), self.family.grid.cells, self.whole, np.inf)
        known: dict[bytes, Node] = {}
        for k, (bound, order, low, high) in enumerate(frontier):
            assert root is not None
            assert more is not None
            node = root[1]
            while not (np.array_equal(node.low, low) and np.array_equal(node.high, high)):
                one = next(side for side in _halves(node) if (side[0] <= low).all() and (high <= side[1]).all())
                key = one[0].tobytes() + one[1].tobytes()
                if key not in known:
                    tested = self._tested(*one, node.part, np.inf)
                    assert tested is not None
                    known[key] = tested[1]
                node = known[key]
            price = more["price"][k]
            known_price = None if np.isnan(price).any() else price
            self.order = order
            self._push(bound, replace(node, price=known_price, since=int(more["since"][k]), relaxed=bool(more["relaxed"][k])))
        if more:
            self.plunge, self.next_plunge = more["plunge"], more["next_plunge"]
        self.counts = counts

    def _next(self) -> tuple[float, Node]:
        """The block of the largest bound; in a plunge, the most recent one. Its bound stays in hand while it is worked on."""
        k = 0
        if self.plunge > 0:
            self.plunge -= 1
            k = max(range(len(self.heap)), key=lambda one: self.heap[one][2])
        self.in_hand = -self.heap[k][0]
        node = _node(self.heap[k][-1])
        if k:
            self.heap[k] = self.heap[-1]
            self.heap.pop()
            heapify(self.heap)
        else:
            heappop(self.heap)
        return self.in_hand, node

    def _reply(self, session: Session, limits: Limits) -> None:
        """Solve the cells that averaged best replies visit after 1, 2, 4, 8 ... steps, up to the first that is feasible."""
        game, grid = self.family.game, self.family.grid
        x = (game.lower + game.upper) / 2
        width = np.where(grid.half_width > 0, 2 * grid.half_width, 1.0)
        for k in range(1, REPLIES + 1):
            x = x + (self._best_reply(x) - x) / k
            if k & (k - 1) == 0:
                number = grid.number(np.clip(np.floor((x - grid.lower) / width), 0, grid.cells - 1).astype(np.int64))
                self._try(session, number, limits)
                if self.best is not None:
                    return

    def _best_reply(self, x: FloatArray) -> FloatArray:
        """The aggregator that everybody's first best reply to an aggregator (d,) causes."""
        game = self.family.game
        u = game.payoff.batch(x[None, :])[0]
        columns = np.flatnonzero(u == game.reduce(np.maximum, u)[game.owner])
        first = columns[np.unique(game.owner[columns], return_index=True)[1]]
        return np.asarray(game.players @ game.contribution[first])

    def _try(self, session: Session, number: int, limits: Limits) -> None:
        """Solve the program of a cell that stays where it is in the tree: it gives an answer and prices, and proves nothing."""
        box = self.family.box(number)
        outcome = self._ask(session, self.family.update_of(number, box), f"cell {number}", limits)
        self._keep(number, box, session.program, outcome)
        if outcome.is_optimal and outcome.y is not None:
            self.prices = [*self.prices[-3:], outcome.y[self.family.game.n_types :] * self.family.scale]

    def _waits(self, bound: float, above: float, node: Node) -> bool:
        """Whether a block whose bound has come down below that of another one went back to wait for its turn."""
        lower = bound < above - SLACK * self.scale and bool(self.heap) and bound < -self.heap[0][0]
        if lower and not self.plunge:
            self._push(bound, node)
            return True
        return False

    def _relaxed(self, session: Session, node: Node, above: float, limits: Limits) -> tuple[float, Node]:
        """Solve the relaxation of a block; now and then a plunge begins there."""
        values = self.family.relaxation(node.low, node.high)
        outcome = self._ask(session, values, "a block of cells", limits)
        bound, price = self._judged(node, above, session.program, outcome)
        if not self.plunge and self.counts.programs >= self.next_plunge:
            self.plunge = 2 * node.size.bit_length()
            self.next_plunge = int(PATIENCE * self.counts.programs) + 1
        return bound, replace(node, price=node.price if price is None else price, since=0, relaxed=True)

    def _cut(self, node: Node, bound: float) -> None:
        """Test both halves and keep what may be better, the better one last."""
        kept = []
        for low, high in _halves(node):
            tested = self._tested(low, high, node.part, bound)
            if tested is None:
                continue
            half = replace(tested[1], price=node.price, since=node.since + 1)
            own = tested[0] if node.price is None else self._priced(half, tested[0], [node.price])
            if own <= self._enough():
                self.proven = max(self.proven, own)
            else:
                kept.append((own, half))
        for own, half in sorted(kept, key=lambda one: one[0]):
            self._count(cells=int(half.size == 1))
            self._push(own, half)

    def _offer(self, low: IntArray, high: IntArray, around: Part, above: float) -> None:
        """Test a block and keep it."""
        tested = self._tested(low, high, around, above)
        if tested is not None:
            self._push(*tested)

    def _tested(self, low: IntArray, high: IntArray, around: Part, above: float) -> tuple[float, Node] | None:
        """A block shrunk to what its actions reach, with its bound; None where that is nothing."""
        grid, part, bound = self.family.grid, around, above
        for _ in range(ROUNDS):
            box = Box.at(part, grid, self.family.tolerance, low, high, tight=True)
            self._count(blocks=1)
            top = part.largest(part.rows, part.settled, box.allowed)
            bound = min(bound, self._reached(top, box))
            if bound == -np.inf:
                return None
            part, allowed = part.narrowed(box.allowed)
            before = high - low
            low, high = self._shrunk(top, box, low, high)
            if not (high - low <= SHRUNK * before).any():
                break
        return bound, Node(low, high, part, allowed, grid.centre(low, high), (high - low) * grid.half_width)

    def _shrunk(self, top: FloatArray, box: Box, low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
        """The cells of a block that meet the interval of sums in each direction; the others have no feasible program."""
        grid, d, k = self.family.grid, len(self.directions), len(low)
        slack = 4 * ROUNDING * self.magnitude
        most, least = top[:d] + slack, -top[d : 2 * d] - slack
        lower = np.maximum(box.centre - box.half_width, least[:k])
        upper = np.minimum(box.centre + box.half_width, most[:k])
        if d > k:
            # The last direction is the sum of all coordinates: what the others leave of it.
            rest_low, rest_high = lower.sum() - lower, upper.sum() - upper
            lower, upper = np.maximum(lower, least[k] - rest_high), np.minimum(upper, most[k] - rest_low)
        width = np.where(grid.half_width > 0, 2 * grid.half_width, 1.0)
        room = 1e-9 + 1e-15 * grid.cells
        first = np.clip(np.floor((lower - grid.lower) / width - room).astype(np.int64), low, high - 1)
        last = np.clip(np.ceil((upper - grid.lower) / width + room).astype(np.int64), first + 1, high)
        return first, last


def _node(block: _Block) -> Node:
    assert isinstance(block, Node)
    return block


def _halves(node: Node) -> tuple[tuple[IntArray, IntArray], tuple[IntArray, IntArray]]:
    """The block cut in half along its axis of most cells."""
    k = int(np.argmax(node.high - node.low))
    middle = (node.low[k] + node.high[k]) // 2
    upto, since = node.high.copy(), node.low.copy()
    upto[k] = since[k] = middle
    return (node.low, upto), (since, node.high)
