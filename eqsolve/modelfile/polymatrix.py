"""Model files of the system ``polymatrix``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from eqsolve.errors import InvalidModelFile
from eqsolve.modelfile.fields import Numbers, Strict, Whole
from eqsolve.modelfile.generated import GeneratorPart
from eqsolve.modelfile.packed import PackedPart, renamed
from eqsolve.modelfile.schema import NamedFile
from eqsolve.normal_form import PolymatrixGame
from eqsolve.normal_form.generators import random_polymatrix


class PairPart(Strict):
    """``players: [i, j]`` and what i earns beside j: ``payoffs`` (m_i, m_j)."""

    players: tuple[Whole, Whole]
    payoffs: Numbers


class PairsPart(Strict):
    """``n_actions`` (N,), a list of ``pairs``, and, per player, what depends on the own action alone: ``own``."""

    n_actions: Numbers
    pairs: list[PairPart]
    own: tuple[Numbers, ...] = ()

    def build(self, name: str | None) -> PolymatrixGame:
        """Make the game."""
        tables: dict[tuple[int, int], Any] = {}
        for k, one in enumerate(self.pairs):
            if one.players in tables:
                raise InvalidModelFile(f"pairs[{k}] gives the payoffs of {list(one.players)} a second time")
            tables[one.players] = one.payoffs
        return PolymatrixGame(self.n_actions, tables, own=self.own, name=name or "polymatrix game")


class StandardPart(GeneratorPart):
    """``generator: random_polymatrix``."""

    def build(self, name: str | None) -> Any:
        """Generate."""
        return renamed(self.call({"random_polymatrix": random_polymatrix}), name)


class PackedGamePart(PackedPart):
    """``npz``: a game that ``write_model`` wrote."""

    def build(self, name: str | None) -> Any:
        """The game."""
        return self.game_of("polymatrix", name)


def _kind_of_game(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    return next((f"<{key}>" for key in ("generator", "npz") if key in value), "<pairs>")


class PolymatrixFile(NamedFile):
    """A model file of a polymatrix game."""

    system: Literal["polymatrix"]
    game: Annotated[
        Annotated[StandardPart, Tag("<generator>")]
        | Annotated[PackedGamePart, Tag("<npz>")]
        | Annotated[PairsPart, Tag("<pairs>")],
        Discriminator(_kind_of_game),
    ]

    def build(self) -> Any:
        """The game."""
        return self.game.build(self.name)
