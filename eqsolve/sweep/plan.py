"""What a sweep is to run: the product of settings and seeds, and what makes it the same sweep again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import yaml

from eqsolve.arrays import whole_number
from eqsolve.errors import FileTrouble, InvalidData
from eqsolve.files import MANIFEST, json_text, make_folder, read_bytes, write_text
from eqsolve.modelfile import find_model
from eqsolve.modelfile.yamlfile import read_yaml
from eqsolve.version import __version__

PLAN = "sweep.json"
"""Name of the file that makes a folder a sweep."""
FORMAT = 1
MOST_RUNS = 100_000
NAME = 100
"""Longest name of a run's folder."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run: its number, the name of its folder, the settings that replace values of the model, the seed."""

    number: int
    folder: str
    settings: Mapping[str, Any]
    seed: int

    def changes(self) -> dict[str, Any]:
        """The settings as ``read_model`` takes them, which reads text as YAML."""
        return {key: json.dumps(value) if isinstance(value, str) else value for key, value in self.settings.items()}


@dataclass(frozen=True, slots=True)
class Plan:
    """A model, the values of each setting, the seeds.

    Parameters
    ----------
    model : the path of the model file.
    settings : the values to try of each key of the model file, by its dotted path.
    seeds : one run for each combination and seed.
    backend : in place of the model's.
    """

    model: Path
    settings: Mapping[str, tuple[Any, ...]]
    seeds: tuple[int, ...]
    backend: str | None = None

    @staticmethod
    def of(
        model: str | Path,
        settings: Mapping[str, Sequence[Any]] | None = None,
        seeds: int | Iterable[int] | None = None,
        backend: str | None = None,
    ) -> Plan:
        """A checked plan.

        Raises
        ------
        FileTrouble, UnknownName : no such model. InvalidData : a setting without values, with a value given twice or one that is
            not a plain number, text, list or mapping; no seeds, or a seed below 0 or given twice.
        """
        checked = {}
        for key, values in (settings or {}).items():
            if key == "seed" or (key == "backend" and backend is not None):
                raise InvalidData(
                    f"the setting {key} is given twice", f"Vary it by {'seeds' if key == 'seed' else 'the setting'} alone."
                )
            checked[key] = _checked_values(key, values)
        path = find_model(model).absolute()
        if seeds is None:
            seeds = (read_yaml(path).values.get("seed", 0),)
        numbers = seeds if isinstance(seeds, Iterable) else range(whole_number("seeds", seeds, 1, most=MOST_RUNS))
        seeds = tuple(whole_number(f"seeds[{k}]", one, 0) for k, one in enumerate(numbers))
        if not seeds or len(set(seeds)) < len(seeds):
            raise InvalidData(f"the seeds are {', '.join(map(str, seeds)) or 'none'}", "Give at least one, and each of them once.")
        runs = prod(map(len, checked.values())) * len(seeds)
        if runs > MOST_RUNS:
            raise InvalidData(f"the sweep has {runs:,} runs", f"At most {MOST_RUNS:,} go into one folder: split it.")
        return Plan(path, checked, seeds, backend)

    def cells(self) -> list[Cell]:
        """All runs, numbered with the seed changing fastest."""
        varied = [key for key, values in self.settings.items() if len(values) > 1]
        found = []
        for number, (*values, seed) in enumerate(product(*self.settings.values(), self.seeds)):
            settings = dict(zip(self.settings, values, strict=True))
            parts = [f"{_slug(key.rpartition('.')[2])}={_slug(settings[key])}" for key in varied] + [f"seed={seed}"]
            found.append(Cell(number, "-".join([f"{number:04d}", *parts])[:NAME], settings, seed))
        return found

    def identity(self) -> dict[str, Any]:
        """What makes it the same sweep: the contents of the model file, the settings, the seeds, the backend, the version."""
        values = json.dumps(read_yaml(self.model).values, sort_keys=True, default=str)
        return {
            "eqsolve_sweep": FORMAT,
            "model": hashlib.sha256(values.encode()).hexdigest(),
            "settings": {key: list(one) for key, one in self.settings.items()},
            "seeds": list(self.seeds),
            "backend": self.backend,
            "version": __version__,
        }

    def claim(self, folder: Path, *, resume: bool) -> None:
        """Make the folder this sweep's.

        Raises
        ------
        FileTrouble : it holds a run, or a sweep that is not to be resumed, or cannot be written.
        InvalidData : it holds a sweep of another model, other settings, seeds, backend or version.
        """
        if (folder / MANIFEST).exists():
            raise FileTrouble(f"{folder} holds a run of its own", "Choose another folder for the sweep.")
        mine = self.identity()
        if not (folder / PLAN).exists():
            write_text(make_folder(folder) / PLAN, f"{json_text(mine)}\n")
            return
        held = read_plan(folder)
        for key, value in json.loads(json_text(mine)).items():
            if held.get(key) != value:
                told = "" if key == "model" else f": {json.dumps(held.get(key))}, and this one has {json.dumps(value)}"
                another = "a sweep of another model" if key == "model" else f"a sweep with other {key}"
                raise InvalidData(f"{folder} holds {another}{told}", "Choose another folder.")
        if not resume:
            raise FileTrouble(f"{folder} holds this sweep already", "Go on with --resume (resume=True), or choose another folder.")


def read_plan(folder: Path) -> dict[str, Any]:
    """What ``claim`` wrote.

    Raises
    ------
    FileTrouble : there is no sweep in the folder. InvalidData : its plan is damaged.
    """
    raw = read_bytes(folder / PLAN, "plan of the sweep")
    try:
        held: dict[str, Any] = json.loads(raw)
        if held["eqsolve_sweep"] != FORMAT:
            raise InvalidData(f"{folder / PLAN} has the format {held['eqsolve_sweep']}, and this version reads {FORMAT}")
    except (ValueError, KeyError, TypeError) as cause:
        if isinstance(cause, InvalidData):
            raise
        raise InvalidData(f"{folder / PLAN} is damaged", "Start the sweep in another folder.") from cause
    return held


def parse_values(text: str) -> tuple[Any, ...]:
    """The values of ``1,2,5``, ``opt,existence`` or ``[5, 5],[10, 10]``: a YAML list without its brackets.

    Raises
    ------
    InvalidData : not such a list.

    Examples
    --------
    >>> parse_values('10, 0.5, "a,b", [1, 2]')
    (10, 0.5, 'a,b', [1, 2])
    """
    try:
        values = yaml.safe_load(f"[{text}]")
    except (yaml.YAMLError, ValueError) as cause:
        raise InvalidData(f"{text!r} is not a list of values", 'Write 1,2,5 or "a,b",c or [5, 5],[10, 10].') from cause
    if not isinstance(values, list) or not values:
        raise InvalidData(f"{text!r} holds no values", "Write 1,2,5.")
    return tuple(values)


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds of ``10`` (ten of them, from 0), ``5..9`` or ``3,5,7``.

    Raises
    ------
    InvalidData : anything else.

    Examples
    --------
    >>> parse_seeds("3"), parse_seeds("5..7"), parse_seeds("3,5,9")
    ((0, 1, 2), (5, 6, 7), (3, 5, 9))
    """
    plain = text.replace(" ", "")
    if any(len(number) > len(str(MOST_RUNS)) + 10 for number in re.findall(r"\d+", plain)):
        raise InvalidData(f"{text!r} holds a seed that is too large", "Seeds are numbers such as 0 to 9.")
    if re.fullmatch(r"\d+", plain):
        found = range(int(plain))
    elif match := re.fullmatch(r"(\d+)\.\.(\d+)", plain):
        found = range(int(match[1]), int(match[2]) + 1)
    elif re.fullmatch(r"\d+(,\d+)*,?", plain):
        return tuple(int(one) for one in plain.split(",") if one)
    else:
        raise InvalidData(f"{text!r} names no seeds", "Write 10 (the seeds 0 to 9), 5..9, or 3,5,7.")
    if not found:
        raise InvalidData(f"{text!r} names no seeds", "Write 10 (the seeds 0 to 9), 5..9, or 3,5,7.")
    if len(found) > MOST_RUNS:
        raise InvalidData(f"{text!r} names {len(found):,} seeds", f"At most {MOST_RUNS:,} runs go into one folder.")
    return tuple(found)


def _checked_values(key: str, values: Sequence[Any]) -> tuple[Any, ...]:
    if isinstance(values, str | Mapping) or not isinstance(values, Sequence) or not values:
        raise InvalidData(
            f"the setting {key} has the values {values!r}, which is no list", "For example: {'game.players': [50, 100]}"
        )
    marks = []
    for k, value in enumerate(values):
        try:
            marks.append(json.dumps(value, sort_keys=True, allow_nan=False))
        except (TypeError, ValueError) as cause:
            raise InvalidData(f"value {k} of the setting {key} is {value!r}, which is no plain finite value") from cause
    for k, mark in enumerate(marks):
        if mark in marks[:k]:
            raise InvalidData(f"the setting {key} has the value {mark} twice")
    return tuple(values)


def _slug(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^A-Za-z0-9.+_-]+", "_", text).strip("_")[:20]
