"""Path flows: how many vehicles of each type take which action."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eqsolve.aggregative.congestion_games.actions import check_pointers
from eqsolve.arrays import FloatArray, IntArray, float_array, int_array
from eqsolve.errors import InvalidGame

if TYPE_CHECKING:
    from eqsolve.aggregative.congestion_games.game import CongestionGame

SUM = 1e-9
"""How far the flows of a type may be from its vehicles, relative to them."""


@dataclass(frozen=True, slots=True, eq=False)
class PathFlows:
    """P paths (or listed actions), each taken by vehicles of one type.

    Parameters
    ----------
    type_of : (P,) type of each path. indptr, resources : (P+1,) and flat, path p is ``resources[indptr[p]:indptr[p+1]]``.
    flow : (P,) vehicles, 0 or more. atomic : whether vehicles are indivisible: flows are whole, and one who moves is felt.

    Raises
    ------
    InvalidGame : shapes, a negative flow, a flow that is not whole though vehicles are indivisible.
    """

    type_of: IntArray
    indptr: IntArray
    resources: IntArray
    flow: FloatArray
    atomic: bool = False

    def __post_init__(self) -> None:
        type_of = int_array("type_of", self.type_of, (None,), error=InvalidGame)
        indptr = int_array("indptr", self.indptr, (len(type_of) + 1,), error=InvalidGame)
        resources = int_array("resources", self.resources, (None,), error=InvalidGame)
        check_pointers(indptr, len(resources))
        flow = float_array("flow", self.flow, (len(type_of),), error=InvalidGame)
        if len(flow) and flow.min() < 0:
            raise InvalidGame(f"flow[{int(np.argmin(flow))}] is {flow.min():g}, not 0 or more")
        broken = flow != np.floor(flow)
        if self.atomic and broken.any():
            p = int(np.argmax(broken))
            raise InvalidGame(
                f"flow[{p}] is {flow[p]:g}, not a whole number of vehicles", "Say atomic=False for divisible traffic."
            )
        own = {"type_of": type_of, "indptr": indptr, "resources": resources, "flow": flow, "atomic": bool(self.atomic)}
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property
    def n_paths(self) -> int:
        """Number of paths P."""
        return len(self.flow)

    @property
    def owner(self) -> IntArray:
        """The path of each of the flat resources."""
        return np.repeat(np.arange(self.n_paths), np.diff(self.indptr))

    def path(self, p: int) -> IntArray:
        """The resources of a path."""
        return self.resources[self.indptr[p] : self.indptr[p + 1]]

    def x(self, n_resources: int, weight: FloatArray) -> FloatArray:
        """(R,) weighted flow on each resource; ``weight`` (T,) of one vehicle of each type."""
        load = np.repeat(self.flow * weight[self.type_of], np.diff(self.indptr))
        return np.asarray(np.bincount(self.resources, weights=load, minlength=n_resources), dtype=np.float64)

    def path_costs(self, cost: FloatArray) -> FloatArray:
        """(P,) the cost of each path when the resources cost ``cost`` (R,)."""
        return np.asarray(np.bincount(self.owner, weights=cost[self.resources], minlength=self.n_paths), dtype=np.float64)

    def check(self, game: CongestionGame) -> None:
        """Whether these are flows of a game.

        Raises
        ------
        InvalidGame : a type or resource that does not exist, a path that is no action of its type, vehicles of a type that do not
            add up, indivisible vehicles of a game that has none; the message names the first.
        """
        for name, values, size in (("type_of", self.type_of, game.n_types), ("resources", self.resources, game.n_coordinates)):
            wrong = (values < 0) | (values >= size)
            if wrong.any():
                k = int(np.argmax(wrong))
                raise InvalidGame(f"{name}[{k}] is {values[k]}; the game has 0 to {size - 1}")
        if self.atomic and not game.is_atomic:
            raise InvalidGame("the vehicles are indivisible, and the game's counts are not whole", "Say atomic=False.")
        misfit = game.actions.misfit(self.type_of, self.indptr, self.resources)
        if misfit is not None:
            p, why = misfit
            raise InvalidGame(f"path {p} is no action of {game.type_label(int(self.type_of[p]))}: {why}")
        total = np.bincount(self.type_of, weights=self.flow, minlength=game.n_types)
        allowed = 0.0 if self.atomic else SUM
        off = np.abs(total - game.count) > allowed * game.count
        if off.any():
            t = int(np.argmax(off))
            raise InvalidGame(f"the flows of {game.type_label(t)} add up to {total[t]:.12g}, not to {game.count[t]:.12g} vehicles")
