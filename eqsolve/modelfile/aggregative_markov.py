"""Model files of the system ``aggregative_markov``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Discriminator, Tag

from eqsolve.aggregative.markov.game import AggregativeMarkovGame
from eqsolve.aggregative.markov.generators import GENERATORS
from eqsolve.aggregative.markov.transitions import ConstantTransitions, MixtureTransitions, SoftmaxTransitions, Transitions
from eqsolve.arrays import IntArray, int_array
from eqsolve.errors import InvalidModelFile
from eqsolve.modelfile.fields import Names, Numbers, Strict, Whole
from eqsolve.modelfile.generated import GeneratorPart
from eqsolve.modelfile.packed import PackedPart, renamed
from eqsolve.modelfile.payoffs import PayoffPart
from eqsolve.modelfile.schema import NamedFile


class ConstantPart(Strict):
    """``family: constant``: probability (S, S) or (H, S, S)."""

    family: Literal["constant"]
    probability: Numbers

    def build(self) -> Transitions:
        """The transitions."""
        return ConstantTransitions(self.probability)


class MixturePart(Strict):
    """``family: mixture``: between the kernels low and high, by base (S,) plus slope (S, d) times the aggregator."""

    family: Literal["mixture"]
    low: Numbers
    high: Numbers
    base: Numbers
    slope: Numbers

    def build(self) -> Transitions:
        """The transitions."""
        return MixtureTransitions(self.low, self.high, self.base, self.slope)


class SoftmaxPart(Strict):
    """``family: softmax``: logits base (S, S) plus slope (S, S, d) times the aggregator."""

    family: Literal["softmax"]
    base: Numbers
    slope: Numbers

    def build(self) -> Transitions:
        """The transitions."""
        return SoftmaxTransitions(self.base, self.slope)


def _family(value: Any) -> str | None:
    return f"<{value.get('family', 'none: the key family is missing')}>" if isinstance(value, dict) else None


TransitionPart = Annotated[
    Annotated[ConstantPart, Tag("<constant>")]
    | Annotated[MixturePart, Tag("<mixture>")]
    | Annotated[SoftmaxPart, Tag("<softmax>")],
    Discriminator(_family),
]


def _depth(value: Any) -> str:
    if not isinstance(value, list):
        return "<everywhere>"
    return "<by step>" if any(isinstance(one, list) for one in value) else "<by state>"


Rewards = Annotated[
    Annotated[PayoffPart, Tag("<everywhere>")]
    | Annotated[tuple[PayoffPart, ...], Tag("<by state>")]
    | Annotated[tuple[tuple[PayoffPart, ...], ...], Tag("<by step>")],
    Discriminator(_depth),
]
"""One family for all states and steps, one per state, or a list over the steps of those."""


class LabelsPart(Strict):
    """``labels``: names of states, coordinates, types and actions; m action names serve all types that have m actions."""

    states: Names = ()
    coordinates: Names = ()
    types: Names = ()
    actions: Names = ()


class ArraysPart(Strict):
    """The arrays of ``AggregativeMarkovGame``, one entry or row per (type, action) in that reading order."""

    horizon: Whole
    n_actions: Numbers
    contribution: Numbers
    rewards: Rewards
    transition: TransitionPart
    initial: Numbers
    welfare: Numbers | None = None
    count: Numbers | None = None
    labels: LabelsPart = LabelsPart()
    type_of_player: Numbers | None = None

    def build(self, name: str | None) -> AggregativeMarkovGame:
        """Make the game."""
        g = self.contribution[:, None] if self.contribution.ndim == 1 else self.contribution
        if g.ndim not in (2, 3):
            raise InvalidModelFile(f"contribution has {g.ndim} axes", "They are (steps,) columns, coordinates.")
        n_actions = self._actions_per_type(g.shape[-2])
        names = self.labels.actions
        if len(set(n_actions.tolist())) == 1 and len(names) == int(n_actions[0]) != g.shape[-2]:
            names = names * len(n_actions)
        return AggregativeMarkovGame(
            horizon=self.horizon,
            n_actions=n_actions,
            contribution=g,
            rewards=_built(self.rewards, g.shape[-1]),
            transition=self.transition.build(),
            initial=self.initial,
            welfare=self.welfare,
            count=None if self.count is None else int_array("count", self.count),
            name=name or "aggregative Markov game",
            states=self.labels.states,
            coordinates=self.labels.coordinates,
            types=self.labels.types,
            actions=names,
            type_of_player=None if self.type_of_player is None else int_array("type_of_player", self.type_of_player),
        )

    def _actions_per_type(self, columns: int) -> IntArray:
        given = int_array("n_actions", self.n_actions, error=InvalidModelFile)
        if given.ndim:
            return given
        if given < 1 or columns % int(given):
            raise InvalidModelFile(
                f"n_actions is {int(given)}, but contribution has {columns} rows",
                "There is one row for every type and action: types x actions.",
            )
        return np.full(columns // int(given), int(given))


def _built(rewards: Any, d: int) -> Any:
    return tuple(_built(one, d) for one in rewards) if isinstance(rewards, tuple) else rewards.build(d)


class StandardPart(GeneratorPart):
    """``generator``: a standard game or a random one; see ``eqsolve.aggregative.markov.generators``."""

    def build(self, name: str | None) -> Any:
        """Generate."""
        return renamed(self.call(GENERATORS), name)


class PackedGamePart(PackedPart):
    """``npz``: a game that ``write_model`` wrote."""

    def build(self, name: str | None) -> Any:
        """The game."""
        return self.game_of("aggregative_markov", name)


def _kind_of_game(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    return next((f"<{key}>" for key in ("generator", "npz") if key in value), "<arrays>")


class AggregativeMarkovFile(NamedFile):
    """A model file of an aggregative Markov game."""

    system: Literal["aggregative_markov"]
    game: Annotated[
        Annotated[StandardPart, Tag("<generator>")]
        | Annotated[PackedGamePart, Tag("<npz>")]
        | Annotated[ArraysPart, Tag("<arrays>")],
        Discriminator(_kind_of_game),
    ]

    def build(self) -> Any:
        """The game."""
        return self.game.build(self.name)
