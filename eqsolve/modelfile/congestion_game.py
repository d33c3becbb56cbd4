"""Model files of the system ``congestion_game``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Discriminator, Tag

from eqsolve.aggregative.congestion_games.actions import ListedActions
from eqsolve.aggregative.congestion_games.costs import AffineCosts, BPRCosts, Costs, PiecewiseLinearCosts, PolynomialCosts
from eqsolve.aggregative.congestion_games.game import CongestionGame
from eqsolve.aggregative.congestion_games.generators import GENERATORS
from eqsolve.aggregative.congestion_games.network import RoadNetwork
from eqsolve.aggregative.congestion_games.tntp import read_game
from eqsolve.arrays import IntArray, float_array
from eqsolve.errors import InvalidModelFile, unknown
from eqsolve.modelfile.fields import DataFile, Names, Numbers, Strict
from eqsolve.modelfile.generated import GeneratorPart
from eqsolve.modelfile.packed import PackedPart, renamed
from eqsolve.modelfile.schema import NamedFile


class CostsPart(Strict):
    """What all families have: columns of one entry per resource, or single numbers for all."""

    def rows(self) -> int | None:
        """How many resources the columns are of; None where there are only single numbers."""
        columns = (one for one in dict(self).values() if isinstance(one, tuple) or (isinstance(one, np.ndarray) and one.ndim))
        return next(map(len, columns), None)

    def columns(self, size: int, *keys: str) -> list[Any]:
        """Columns (size,) by their keys."""
        return [float_array(f"costs.{key}", getattr(self, key), (size,), error=InvalidModelFile) for key in keys]


class BPRPart(CostsPart):
    """``family: bpr``: free_flow (1 + b (flow / capacity)^power)."""

    family: Literal["bpr"]
    free_flow: Numbers
    capacity: Numbers
    b: Numbers = np.array(0.15)
    power: Numbers = np.array(4.0)

    def build(self, size: int) -> Costs:
        """The costs."""
        return BPRCosts(*self.columns(size, "free_flow", "b", "capacity", "power"))


class AffinePart(CostsPart):
    """``family: affine``: constant + slope x flow."""

    family: Literal["affine"]
    constant: Numbers
    slope: Numbers

    def build(self, size: int) -> Costs:
        """The costs."""
        return AffineCosts(*self.columns(size, "constant", "slope"))


class PolynomialPart(CostsPart):
    """``family: polynomial``: coefficients (R, M) of the powers 0, 1, 2 ... of the flow."""

    family: Literal["polynomial"]
    coefficients: Numbers

    def build(self, size: int) -> Costs:
        """The costs."""
        return PolynomialCosts(float_array("costs.coefficients", self.coefficients, (size, None), error=InvalidModelFile))


class PiecewisePart(CostsPart):
    """``family: piecewise``: per resource the flows and the costs between which it is linear, as two lists of lists."""

    family: Literal["piecewise"]
    flow: tuple[Numbers, ...]
    cost: tuple[Numbers, ...]

    def build(self, size: int) -> Costs:
        """The costs."""
        if not len(self.flow) == len(self.cost) == size:
            raise InvalidModelFile(
                f"costs.flow lists {len(self.flow)} curves and costs.cost {len(self.cost)}, and there are {size} resources"
            )
        return PiecewiseLinearCosts(self.flow, self.cost)


def _family(value: Any) -> str | None:
    return f"<{value.get('family', 'none: the key family is missing')}>" if isinstance(value, dict) else None


CostPart = Annotated[
    Annotated[BPRPart, Tag("<bpr>")]
    | Annotated[AffinePart, Tag("<affine>")]
    | Annotated[PolynomialPart, Tag("<polynomial>")]
    | Annotated[PiecewisePart, Tag("<piecewise>")],
    Discriminator(_family),
]


class TripsPart(Strict):
    """``trips``: columns ``origin``, ``destination`` (nodes by name) and ``vehicles``; ``weight``: what one adds to the flow.

    A single number serves all rows. Rows without vehicles are left out, and so are trips from a place to itself.
    """

    origin: Names
    destination: Names
    vehicles: Numbers
    weight: Numbers = np.array(1.0)

    def rows(self, number: dict[str, int]) -> tuple[list[list[float]], Any]:
        """Triples (origin, destination, vehicles), and the weights."""
        T = len(self.origin)
        if len(self.destination) != T:
            raise InvalidModelFile(f"trips.destination has {len(self.destination)} rows, trips.origin has {T}")
        vehicles, weight = (
            float_array(f"trips.{key}", getattr(self, key), (T,), error=InvalidModelFile) for key in ("vehicles", "weight")
        )
        if T and vehicles.min() < 0:
            k = int(np.argmin(vehicles))
            raise InvalidModelFile(f"trips.vehicles[{k}] is {vehicles[k]:g}, not 0 or more")
        ends = [_numbers(f"trips.{key}", getattr(self, key), number) for key in ("origin", "destination")]
        kept = (vehicles > 0) & (ends[0] != ends[1])
        if not kept.any():
            raise InvalidModelFile("trips.vehicles gives no vehicle that goes anywhere", "Give at least one pair of places some.")
        return np.column_stack((*ends, vehicles))[kept].tolist(), weight[kept]


class RoadsPart(Strict):
    """``roads``: links from ``tail`` to ``head`` (nodes by name) with ``costs``, and ``trips``.

    ``zones`` are nodes that trips begin and end at and do not pass through. Nodes are numbered as they first come, zones first.
    """

    tail: Names
    head: Names
    costs: CostPart
    trips: TripsPart
    zones: Names = ()

    def build(self, name: str | None) -> CongestionGame:
        """Make the game."""
        if len(self.tail) != len(self.head):
            raise InvalidModelFile(f"tail has {len(self.tail)} rows, head has {len(self.head)}")
        twice = next((k for k, zone in enumerate(self.zones) if zone in self.zones[:k]), None)
        if twice is not None:
            raise InvalidModelFile(f"zones[{twice}] is {self.zones[twice]!r}, which is there already")
        number = {node: k for k, node in enumerate(dict.fromkeys((*self.zones, *self.tail, *self.head)))}
        tail, head = (_numbers(key, getattr(self, key), number) for key in ("tail", "head"))
        network = RoadNetwork(len(number), tail, head, len(self.zones), names=tuple(number))
        trips, weight = self.trips.rows(number)
        return CongestionGame.from_trips(network, self.costs.build(len(tail)), trips, weight, name or "road traffic")


class RoadsGamePart(Strict):
    """``roads``: a network of roads, with trips."""

    roads: RoadsPart

    def build(self, name: str | None) -> CongestionGame:
        """Make the game."""
        return self.roads.build(name)


class TNTPFiles(Strict):
    """The files ``net`` and ``trips``, and ``nodes`` for the places of the nodes on a map."""

    net: DataFile
    trips: DataFile
    nodes: DataFile | None = None


class TNTPPart(Strict):
    """``tntp``: files of the format of "Transportation Networks for Research"."""

    tntp: TNTPFiles

    def build(self, name: str | None) -> CongestionGame:
        """Read the files."""
        return read_game(self.tntp.net, self.tntp.trips, self.tntp.nodes, name)


def _resource(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise InvalidModelFile(f"is {value!r}, not a resource", "Write its number or its name.")
    return value


Resource = Annotated[Any, BeforeValidator(_resource)]


class ListedPart(Strict):
    """``actions``: per type a list of sets of resources, by number or name; ``count`` and ``weight`` (T,), ``costs``."""

    costs: CostPart
    actions: tuple[tuple[tuple[Resource, ...], ...], ...]
    count: Numbers
    weight: Numbers = np.array(1.0)
    resources: Names = ()
    types: Names = ()

    def build(self, name: str | None) -> CongestionGame:
        """Make the game."""
        used = [one for own in self.actions for action in own for one in action if isinstance(one, int)]
        R = len(self.resources) or self.costs.rows() or 1 + max(used, default=-1)
        number = {label: r for r, label in enumerate(self.resources)}
        listed = [
            [_numbers(f"actions[{t}][{k}]", action, number, R).tolist() for k, action in enumerate(own)]
            for t, own in enumerate(self.actions)
        ]
        actions, costs = ListedActions.of(listed, R), self.costs.build(R)
        return CongestionGame(costs, actions, self.count, self.weight, name or "congestion game", self.resources, self.types)


class StandardPart(GeneratorPart):
    """``generator``: a standard game or a random one; see ``eqsolve.aggregative.congestion_games.generators``."""

    def build(self, name: str | None) -> Any:
        """Generate."""
        return renamed(self.call(GENERATORS), name)


class PackedGamePart(PackedPart):
    """``npz``: a game that ``write_model`` wrote."""

    def build(self, name: str | None) -> Any:
        """The game."""
        return self.game_of("congestion_game", name)


def _kind_of_game(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    return next((f"<{key}>" for key in ("generator", "npz", "tntp", "roads") if key in value), "<listed>")


class CongestionGameFile(NamedFile):
    """A model file of a congestion game: roads with trips, or listed sets of resources."""

    system: Literal["congestion_game"]
    game: Annotated[
        Annotated[StandardPart, Tag("<generator>")]
        | Annotated[PackedGamePart, Tag("<npz>")]
        | Annotated[TNTPPart, Tag("<tntp>")]
        | Annotated[RoadsGamePart, Tag("<roads>")]
        | Annotated[ListedPart, Tag("<listed>")],
        Discriminator(_kind_of_game),
    ]

    def build(self) -> Any:
        """The game."""
        return self.game.build(self.name)


def _numbers(key: str, given: Sequence[Any], number: dict[str, int], size: int = 0) -> IntArray:
    """The numbers of nodes or resources given by name; those of ``size`` resources may be given as numbers.

    Raises
    ------
    InvalidModelFile : there is none of that name or number; key and index are named.
    """
    kind = "resource" if size else "node"
    for k, one in enumerate(given):
        if isinstance(one, str) and one not in number:
            error = unknown(kind, one, number)
            raise InvalidModelFile(f"{key}[{k}]: {error.what}", error.remedy)
        if isinstance(one, int) and not 0 <= one < size:
            raise InvalidModelFile(f"{key}[{k}] is {one}; the resources are 0 to {size - 1}")
    return np.array([number[one] if isinstance(one, str) else one for one in given], dtype=np.int64)
