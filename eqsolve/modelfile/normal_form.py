"""Model files of the system ``normal_form``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag

from eqsolve.errors import FileTrouble, InvalidModelFile
from eqsolve.modelfile.fields import DataFile, Names, Numbers, Strict
from eqsolve.modelfile.generated import GeneratorPart
from eqsolve.modelfile.packed import PackedPart, renamed
from eqsolve.modelfile.schema import NamedFile
from eqsolve.normal_form import NormalFormGame
from eqsolve.normal_form.generators import TEXTBOOK, congestion_game, random_game
from eqsolve.normal_form.nfg import read_nfg


def _label_lists(value: Any) -> Any:
    """Lists of names; YAML takes some of them for numbers."""
    if isinstance(value, list) and value and all(isinstance(one, list) for one in value):
        return tuple(tuple(str(name) for name in one) for one in value)
    if isinstance(value, list) and not any(isinstance(one, list | dict) for one in value):
        return tuple(str(one) for one in value)
    raise InvalidModelFile("is not a list of names", "Write [stag, hare] for all players, or [[top, bottom], [left, right]].")


class TablePart(Strict):
    """``payoffs`` (N, m_1, ..., m_N): for every player the table over all profiles; ``players`` and ``actions`` are names.

    One list of action names serves all players when they have equally many actions.
    """

    payoffs: Numbers
    players: Names = ()
    actions: Annotated[tuple[Any, ...], BeforeValidator(_label_lists)] = ()

    def build(self, name: str | None) -> NormalFormGame:
        """Make the game."""
        return NormalFormGame(self.payoffs, players=self.players, actions=self.actions, name=name or "normal-form game")


class NfgPart(Strict):
    """``nfg``: a file of Gambit."""

    nfg: DataFile

    def build(self, name: str | None) -> Any:
        """Read the file."""
        try:
            return renamed(read_nfg(self.nfg), name)
        except FileTrouble as cause:
            raise InvalidModelFile(cause.what, "Data files are named relative to the folder of the model file.") from cause


GENERATORS: dict[str, Callable[..., Any]] = {
    **TEXTBOOK,
    "congestion_game": congestion_game,
    "random_game": random_game,
}
"""Standard games by name."""


class StandardPart(GeneratorPart):
    """``generator``: a textbook game or a random one; see ``eqsolve.normal_form.generators``."""

    def build(self, name: str | None) -> Any:
        """Generate."""
        return renamed(self.call(GENERATORS), name)


class PackedGamePart(PackedPart):
    """``npz``: a game that ``write_model`` wrote."""

    def build(self, name: str | None) -> Any:
        """The game."""
        return self.game_of("normal_form", name)


def _kind_of_game(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    kinds = {"generator": "<generator>", "nfg": "<nfg>", "npz": "<npz>"}
    return next((tag for key, tag in kinds.items() if key in value), "<payoffs>")


class NormalFormFile(NamedFile):
    """A model file of a finite game."""

    system: Literal["normal_form"]
    game: Annotated[
        Annotated[StandardPart, Tag("<generator>")]
        | Annotated[NfgPart, Tag("<nfg>")]
        | Annotated[PackedGamePart, Tag("<npz>")]
        | Annotated[TablePart, Tag("<payoffs>")],
        Discriminator(_kind_of_game),
    ]

    def build(self) -> Any:
        """The game."""
        return self.game.build(self.name)
