"""A game as a model file: YAML for a person, with the arrays in an npz file beside it."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from eqsolve.backends import Limits
from eqsolve.driver import Algorithm, system_of
from eqsolve.driver.pack import to_bytes
from eqsolve.errors import InvalidData
from eqsolve.files import replacing


def write_model(
    path: str | Path,
    game: Any,
    algorithm: Algorithm[Any, Any, Any] | None = None,
    *,
    backend: str = "auto",
    seed: int = 0,
    limits: Limits | None = None,
) -> Path:
    """Write ``<path>`` and beside it ``<stem>.npz``; ``read_model`` gives the same game back to the last bit.

    Parameters
    ----------
    game : of any system.
    algorithm : the default of its system when left out.

    Raises
    ------
    InvalidData : a game with Python functions, or an algorithm with parameters that are neither numbers nor text, which no model
        file can hold; an extension other than .yaml and .yml; not a game of EqSolve.
    FileTrouble : the folder does not exist or cannot be written.
    """
    target = Path(path)
    if target.suffix not in (".yaml", ".yml"):
        raise InvalidData(f"{target} does not end in .yaml or .yml")
    beside = target.with_suffix(".npz")
    system = system_of(game)
    contents: dict[str, Any] = {
        "eqsolve": 1,
        "system": system.name,
        "name": game.name,
        "game": {"npz": beside.name},
        "algorithm": _described(algorithm or system.default_algorithm(game)),
        "backend": backend,
        "seed": seed,
    }
    budget = {key: value for key, value in asdict(limits or Limits()).items() if value is not None}
    if budget:
        contents["limits"] = budget
    text = yaml.safe_dump(contents, sort_keys=False, allow_unicode=True)
    packed = to_bytes(game)
    # Both are complete before either gets its name.
    with replacing(target) as new_yaml, replacing(beside) as new_npz:
        new_yaml.write_text(text, encoding="utf-8")
        new_npz.write_bytes(packed)
    return target


def _described(algorithm: Any) -> dict[str, Any]:
    values = {one.name: (getattr(algorithm, one.name), one.default) for one in fields(algorithm)}
    given = {key: value for key, (value, default) in values.items() if not (value is None and default is None)}
    return {"name": type(algorithm).__name__} | {key: _plain(key, value) for key, value in given.items()}


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, Algorithm):
        return _described(value)
    if isinstance(value, tuple | list):
        return [_plain(key, one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InvalidData(
        f"the algorithm's {key} is a {type(value).__name__}, which a model file does not hold", "Give it in Python when solving."
    )
