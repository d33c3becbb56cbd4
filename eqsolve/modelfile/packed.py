"""A game of any system in an npz file that ``write_model`` made."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationInfo, field_validator

from eqsolve.driver import get_system
from eqsolve.driver.pack import from_bytes, pack, unpack
from eqsolve.errors import FileTrouble, InvalidModelFile
from eqsolve.files import read_bytes
from eqsolve.modelfile.fields import Strict, folder_of


class PackedPart(Strict):
    """``npz``: the file beside the model file that holds the game, whatever its kind."""

    npz: Any

    @field_validator("npz", mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            raise InvalidModelFile(f"is {value!r}, not the name of a file")
        path = folder_of(info).folder / value
        try:
            return from_bytes(read_bytes(path, "npz file"), str(path))
        except FileTrouble as cause:
            raise InvalidModelFile(cause.what, "Data files are named relative to the folder of the model file.") from cause

    def game_of(self, system: str, name: str | None) -> Any:
        """The game, which must be of that system; ``name`` replaces its own.

        Raises
        ------
        InvalidModelFile : the file holds something else.
        """
        kind = get_system(system).game
        if not isinstance(self.npz, kind):
            raise InvalidModelFile(
                f"npz holds a {type(self.npz).__name__}, which is no {system} game", "Write it with write_model."
            )
        return renamed(self.npz, name)


def renamed(game: Any, name: str | None) -> Any:
    """The same game under another name."""
    if name is None or game.name == name:
        return game
    tree, arrays = pack(game)
    tree["object"][1]["name"] = name
    return unpack(tree, arrays)
