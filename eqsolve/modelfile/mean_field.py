"""Model files of the system ``mean_field``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, field_validator

from eqsolve.errors import InvalidModelFile
from eqsolve.mean_field.game import GlobalLocalGame
from eqsolve.mean_field.generators import GENERATORS
from eqsolve.mean_field.initial import InitialLaw
from eqsolve.mean_field.rewards import StochasticReward
from eqsolve.modelfile.fields import Names, Numbers, Real, Strict, Whole
from eqsolve.modelfile.generated import GeneratorPart
from eqsolve.modelfile.packed import PackedPart, renamed
from eqsolve.modelfile.schema import NamedFile


class InitialPart(Strict):
    """``global_law``: a distribution (G,); of the local agents ``iid`` (a distribution), ``dirichlet`` or ``counts`` (Z,)."""

    global_law: Numbers
    iid: Numbers | None = None
    dirichlet: Numbers | None = None
    counts: Numbers | None = None

    def build(self) -> InitialLaw:
        """The law."""
        given = {"iid": self.iid, "dirichlet": self.dirichlet, "counts": self.counts}
        found = [(kind, local) for kind, local in given.items() if local is not None]
        if len(found) != 1:
            both = ", ".join(kind for kind, _ in found) or "none"
            raise InvalidModelFile(f"gives {len(found)} laws of the local agents: {both}", f"Give one of {', '.join(given)}.")
        ((kind, local),) = found
        return InitialLaw(self.global_law, kind, local)  # type: ignore[arg-type]  # the keys of ``given`` are the kinds


class NoisePart(Strict):
    """``values`` (..., M) with ``probabilities`` (..., M) or (M,), within the declared range ``low`` .. ``high``."""

    values: Numbers
    probabilities: Numbers
    low: Real
    high: Real

    def build(self) -> StochasticReward:
        """The rewards."""
        return StochasticReward(self.values, self.probabilities, self.low, self.high)


class LabelsPart(Strict):
    """``labels``: names of states and actions."""

    global_states: Names = ()
    local_states: Names = ()
    global_actions: Names = ()
    local_actions: Names = ()


class ArraysPart(Strict):
    """The arrays of ``GlobalLocalGame``; masks are given as 0 and 1."""

    global_kernel: Numbers
    local_kernel: Numbers
    global_reward: Numbers | None = None
    local_reward: Numbers | None = None
    n: Whole
    gamma: Real
    initial: InitialPart | None = None
    global_available: Numbers | None = None
    local_available: Numbers | None = None
    type_of: Numbers | None = None
    global_noise: NoisePart | None = None
    local_noise: NoisePart | None = None
    labels: LabelsPart = LabelsPart()

    @field_validator("initial", "global_noise", "local_noise")
    @classmethod
    def _made(cls, part: Any) -> Any:
        return None if part is None else part.build()

    def build(self, name: str | None) -> GlobalLocalGame:
        """Make the game."""
        for side in ("global", "local"):
            if getattr(self, f"{side}_reward") is None and getattr(self, f"{side}_noise") is None:
                raise InvalidModelFile(f"{side}_reward is missing", f"Give it, or {side}_noise, whose means it is.")
        given: dict[str, Any] = dict(self)
        labels: LabelsPart = given.pop("labels")
        return GlobalLocalGame(**given, **dict(labels), name=name or "mean-field game")


class StandardPart(GeneratorPart):
    """``generator``: a standard game or a random one; see ``eqsolve.mean_field.generators``."""

    def build(self, name: str | None) -> Any:
        """Generate."""
        return renamed(self.call(GENERATORS), name)


class PackedGamePart(PackedPart):
    """``npz``: a game that ``write_model`` wrote."""

    def build(self, name: str | None) -> Any:
        """The game."""
        return self.game_of("mean_field", name)


def _kind_of_game(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    return next((f"<{key}>" for key in ("generator", "npz") if key in value), "<arrays>")


class MeanFieldFile(NamedFile):
    """A model file of a game of one global agent and many local ones."""

    system: Literal["mean_field"]
    game: Annotated[
        Annotated[StandardPart, Tag("<generator>")]
        | Annotated[PackedGamePart, Tag("<npz>")]
        | Annotated[ArraysPart, Tag("<arrays>")],
        Discriminator(_kind_of_game),
    ]

    def build(self) -> Any:
        """The game."""
        return self.game.build(self.name)
