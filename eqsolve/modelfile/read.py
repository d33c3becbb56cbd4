"""From a model file to a game and the algorithm that is to solve it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from eqsolve.backends import Limits
from eqsolve.errors import EqsolveError, InvalidModelFile, unknown
from eqsolve.modelfile.datafiles import DataFolder
from eqsolve.modelfile.locate import find_model
from eqsolve.modelfile.messages import refusal
from eqsolve.modelfile.schema import SYSTEMS, SystemFile
from eqsolve.modelfile.yamlfile import Document, dotted, read_yaml

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Model:
    """What a model file says: the game, and how it is to be solved."""

    game: Any
    algorithm: Any
    backend: str
    seed: int
    limits: Limits
    path: Path
    system: str
    description: str


def read_model(path_or_name: str | Path, changes: Mapping[str, Any] | None = None) -> Model:
    """Read a model file by its path, or a shipped one by its name.

    Parameters
    ----------
    changes : values that replace those of the file, by the dotted path of the key: ``{"game.players": "100"}``. Text is
        read as YAML.

    Raises
    ------
    FileTrouble, UnknownName : no such file or shipped model.
    InvalidModelFile : the message names file, line, key and value, and what to do.

    Examples
    --------
    >>> read_model("congestion", {"game.players": "50"}).game
    <AggregativeGame 'congestion': 50 players, 3 actions, 3 coordinates>
    """
    path = find_model(path_or_name)
    document = read_yaml(path)
    for key, value in (changes or {}).items():
        _change(document, key, value)
    system = _system(document)
    try:
        content = system.model_validate(document.values, context={"folder": DataFolder(path.parent)})
    except ValidationError as error:
        raise refusal(document, error) from error
    game = _built(document, "game", content.build)
    algorithm = _built(document, "algorithm", lambda: content.driver(game))
    limits = Limits(content.limits.seconds, content.limits.iterations)
    about = " ".join((content.description or "").split())
    return Model(game, algorithm, content.backend, content.seed, limits, path, content.system, about)


def _system(document: Document) -> type[SystemFile]:
    values = document.values
    version = values.get("eqsolve")
    if version is None:
        raise InvalidModelFile(
            f"{document.path}: the key eqsolve is missing", f"A model file says `eqsolve: {FORMAT}`, its format."
        )
    if isinstance(version, bool) or version != FORMAT:
        where = document.place(("eqsolve",))
        raise InvalidModelFile(
            f"{where}: eqsolve is {version!r}, but this version reads format {FORMAT}", "Update EqSolve, or the file."
        )
    name = values.get("system")
    if name is None:
        raise InvalidModelFile(f"{document.path}: the key system is missing", f"Known: {', '.join(SYSTEMS)}.")
    if not isinstance(name, str) or name not in SYSTEMS:
        where = document.place(("system",))
        raise InvalidModelFile(f"{where}: unknown system {name!r}", unknown("system", name, SYSTEMS).remedy)
    return SYSTEMS[name]()


def _built(document: Document, part: str, build: Any) -> Any:
    """What ``build`` makes; what it refuses is told with the file and the part."""
    try:
        return build()
    except EqsolveError as cause:
        raise InvalidModelFile(f"{document.place((part,))}: {part}: {cause.what}", cause.remedy) from cause


def _change(document: Document, key: str, given: Any) -> None:
    keys = tuple(key.split("."))
    try:
        value = yaml.safe_load(given) if isinstance(given, str) else given
    except (yaml.YAMLError, ValueError) as cause:
        raise InvalidModelFile(f"--set {key}: {given!r} is not a YAML value") from cause
    at: Any = document.values
    for k, name in enumerate(keys[:-1]):
        at = at.setdefault(name, {})
        if not isinstance(at, dict):
            raise InvalidModelFile(f"--set {key}: {dotted(keys[: k + 1])} is {at!r} in {document.path}, not keys and values")
    at[keys[-1]] = value
    document.changed.add(keys)
