"""A game as a model file: YAML for a person, with the arrays in an npz file beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from eqsolve.aggregative import (
    AffinePayoffs,
    AggregativeGame,
    AggregativeNash,
    CurvePayoffs,
    Payoffs,
    PolynomialPayoffs,
    TabulatedPayoffs,
)
from eqsolve.backends import Limits
from eqsolve.errors import InvalidData
from eqsolve.files import replacing


def write_model(
    path: str | Path,
    game: AggregativeGame,
    algorithm: AggregativeNash | None = None,
    *,
    backend: str = "auto",
    seed: int = 0,
    limits: Limits | None = None,
) -> Path:
    """Write ``<path>`` and beside it ``<stem>.npz``; ``read_model`` gives the same game back to the last bit.

    Raises
    ------
    InvalidData : payoffs given as a Python function, which no file can hold; or an extension other than .yaml and .yml.
    FileTrouble : the folder does not exist or cannot be written.
    """
    target = Path(path)
    if target.suffix not in (".yaml", ".yml"):
        raise InvalidData(f"{target} does not end in .yaml or .yml")
    beside = target.with_suffix(".npz")
    arrays: dict[str, Any] = {}

    def put(key: str, value: Any) -> dict[str, str]:
        arrays[key] = np.asarray(value)
        return {"npz": beside.name, "key": key}

    contents: dict[str, Any] = {
        "eqsolve": 1,
        "system": "aggregative",
        "name": game.name,
        "game": _game(game, put),
        "algorithm": _algorithm(algorithm or AggregativeNash()),
        "backend": backend,
        "seed": seed,
    }
    budget = {key: value for key, value in asdict(limits or Limits()).items() if value is not None}
    if budget:
        contents["limits"] = budget
    text = yaml.safe_dump(contents, sort_keys=False, allow_unicode=True)
    # Both are complete before either gets its name.
    with replacing(target) as new_yaml, replacing(beside) as new_npz:
        new_yaml.write_text(text, encoding="utf-8")
        with new_npz.open("wb") as file:
            np.savez(file, **arrays)
    return target


def _game(game: AggregativeGame, put: Any) -> dict[str, Any]:
    part: dict[str, Any] = {
        "n_actions": put("n_actions", game.n_actions),
        "contribution": put("contribution", game.contribution),
        "payoff": _payoff(game.payoff, put),
        "welfare": put("welfare", game.weights),
        "count": put("count", game.players),
    }
    labels = {
        name: put(f"labels.{name}", getattr(game, name)) for name in ("coordinates", "types", "actions") if getattr(game, name)
    }
    if labels:
        part["labels"] = labels
    if game.type_of_player is not None:
        part["type_of_player"] = put("type_of_player", game.type_of_player)
    return part


def _payoff(payoff: Payoffs, put: Any) -> dict[str, Any]:
    def of(family: str, *names: str) -> dict[str, Any]:
        return {"family": family} | {name: put(f"payoff.{name}", getattr(payoff, name)) for name in names}

    if isinstance(payoff, AffinePayoffs):
        return of("affine", "base", "slope")
    if isinstance(payoff, PolynomialPayoffs):
        return of("polynomial", "powers", "coefficient")
    if isinstance(payoff, CurvePayoffs):
        return of("curves", "nodes", "curves", "curve", "coordinate", "scale", "base")
    if isinstance(payoff, TabulatedPayoffs):
        nodes = [put(f"payoff.nodes.{k}", axis) for k, axis in enumerate(payoff.nodes)]
        return of("tabulated", "values") | {"nodes": nodes}
    raise InvalidData(
        f"payoffs of the type {type(payoff).__name__} cannot be written to a file", "Tabulate the function: TabulatedPayoffs."
    )


def _algorithm(algorithm: AggregativeNash) -> dict[str, Any]:
    values = {key: value for key, value in asdict(algorithm).items() if value is not None}
    cells = values.get("cells")
    return {"name": "AggregativeNash", **values} | ({"cells": list(cells)} if isinstance(cells, tuple) else {})
