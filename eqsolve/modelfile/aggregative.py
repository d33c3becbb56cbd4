"""Model files of the system ``aggregative``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal, cast

import numpy as np
from pydantic import Discriminator, Field, Tag

from eqsolve.aggregative import GENERATORS, AggregativeGame
from eqsolve.arrays import FloatArray, IntArray, check_shape, int_array
from eqsolve.errors import InvalidModelFile
from eqsolve.modelfile.fields import Names, Numbers, Real, Strict, Whole
from eqsolve.modelfile.packed import PackedPart
from eqsolve.modelfile.payoffs import PayoffPart
from eqsolve.modelfile.routes import RoutesPart, TravellersPart, routes_game
from eqsolve.modelfile.schema import NamedFile


class GamePart(Strict, ABC):
    """One way to give the game."""

    @abstractmethod
    def build(self, name: str | None) -> AggregativeGame:
        """The game; ``name`` replaces its own."""


class CongestionPart(GamePart):
    """``generator: congestion``; see ``eqsolve.aggregative.congestion``."""

    generator: Literal["congestion"]
    players: Whole = 1000
    roads: Whole = 3
    types: Whole | None = None
    power: Whole = 4
    seed: Whole = Field(default=0, ge=0)

    def build(self, name: str | None) -> AggregativeGame:
        """Generate."""
        return _generated(self, name)


class RandomAffinePart(GamePart):
    """``generator: random_affine``; ``actions`` is one number, or [least, most]."""

    generator: Literal["random_affine"]
    players: Whole = 100
    actions: Whole | tuple[Whole, Whole] = 3
    dimension: Whole = 1
    gamma: Real = 0.5
    types: Whole | None = None
    seed: Whole = Field(default=0, ge=0)

    def build(self, name: str | None) -> AggregativeGame:
        """Generate."""
        return _generated(self, name)


class MarketPart(GamePart):
    """``generator: market``; see ``eqsolve.aggregative.market``."""

    generator: Literal["market"]
    players: Whole = 500
    quantities: Whole = 5
    types: Whole | None = None
    seed: Whole = Field(default=0, ge=0)

    def build(self, name: str | None) -> AggregativeGame:
        """Generate."""
        return _generated(self, name)


class EvChargingPart(GamePart):
    """``generator: ev_charging``; see ``eqsolve.aggregative.ev_charging``."""

    generator: Literal["ev_charging"]
    vehicles: Whole = 1000
    hours: Whole = 3
    types: Whole | None = None
    seed: Whole = Field(default=0, ge=0)

    def build(self, name: str | None) -> AggregativeGame:
        """Generate."""
        return _generated(self, name)


class RoutesGamePart(GamePart):
    """``routes`` and ``travellers``: parallel routes with tabulated times."""

    routes: RoutesPart
    travellers: TravellersPart

    def build(self, name: str | None) -> AggregativeGame:
        """Aggregator, payoffs and weights from the tables."""
        return routes_game(self.routes, self.travellers, name or "routes")


class LabelsPart(Strict):
    """``labels``: names of coordinates, types and actions; m action names serve all types when every type has m actions."""

    coordinates: Names = ()
    types: Names = ()
    actions: Names = ()


class ArraysGamePart(GamePart):
    """The arrays of ``AggregativeGame``, one entry or row per (type, action) in that reading order.

    ``n_actions`` is one number for all types, or one per type; ``count`` the players of each type, 1 when left out.
    ``contribution`` and ``welfare`` have one row per column; a contribution of one coordinate may be a plain list.
    """

    n_actions: Numbers
    contribution: Numbers
    payoff: PayoffPart
    welfare: Numbers | None = None
    count: Numbers | None = None
    labels: LabelsPart = LabelsPart()
    type_of_player: Numbers | None = None

    def build(self, name: str | None) -> AggregativeGame:
        """Check the lengths against each other and make the game."""
        g: FloatArray = self.contribution[:, None] if self.contribution.ndim == 1 else self.contribution
        check_shape("contribution", g, (None, None), InvalidModelFile)
        n_actions = self._actions_per_type(len(g))
        return AggregativeGame(
            n_actions=n_actions,
            contribution=g,
            payoff=self.payoff.build(g.shape[1]),
            welfare=self.welfare,
            count=None if self.count is None else int_array("count", self.count),
            name=name or "aggregative game",
            coordinates=self.labels.coordinates,
            types=self.labels.types,
            actions=self._action_names(n_actions, len(g)),
            type_of_player=None if self.type_of_player is None else int_array("type_of_player", self.type_of_player),
        )

    def _actions_per_type(self, columns: int) -> IntArray:
        given = int_array("n_actions", self.n_actions, error=InvalidModelFile)
        if given.ndim:
            return given
        m = int(given)
        if m < 1 or columns % m:
            raise InvalidModelFile(
                f"n_actions is {m}, but contribution has {columns} rows",
                "There is one row for every type and action: types x actions.",
            )
        return np.full(columns // m, m)

    def _action_names(self, n_actions: IntArray, columns: int) -> tuple[str, ...]:
        names = self.labels.actions
        same = len(n_actions) > 0 and bool((n_actions == n_actions[0]).all())
        if same and len(names) == int(n_actions[0]) != columns:
            return names * len(n_actions)
        return names


class PackedGamePart(PackedPart):
    """``npz``: a game that ``write_model`` wrote."""

    def build(self, name: str | None) -> AggregativeGame:
        """The game."""
        game: AggregativeGame = self.game_of("aggregative", name)
        return game


def _kind_of_game(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    if "npz" in value:
        return "<npz>"
    if "generator" in value:
        return f"<{value['generator']}>"
    return "<routes>" if "routes" in value or "travellers" in value else "<arrays>"


Game = Annotated[
    Annotated[CongestionPart, Tag("<congestion>")]
    | Annotated[RandomAffinePart, Tag("<random_affine>")]
    | Annotated[MarketPart, Tag("<market>")]
    | Annotated[EvChargingPart, Tag("<ev_charging>")]
    | Annotated[RoutesGamePart, Tag("<routes>")]
    | Annotated[PackedGamePart, Tag("<npz>")]
    | Annotated[ArraysGamePart, Tag("<arrays>")],
    Discriminator(_kind_of_game),
]


class AggregativeFile(NamedFile):
    """A model file of an aggregative game."""

    system: Literal["aggregative"]
    game: Game

    def build(self) -> AggregativeGame:
        """The game."""
        return self.game.build(self.name)


def _generated(part: CongestionPart | RandomAffinePart | MarketPart | EvChargingPart, name: str | None) -> AggregativeGame:
    game = cast(Callable[..., AggregativeGame], GENERATORS[part.generator])(**part.model_dump(exclude={"generator"}))
    return game if name is None else replace(game, name=name)
