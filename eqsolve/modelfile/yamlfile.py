"""YAML text to plain values, with the line of every key, and without YAML's surprises."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from eqsolve.errors import InvalidModelFile
from eqsolve.files import read_bytes

Keys = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a YAML file and the line, from 1, on which each key stands."""

    path: Path
    values: dict[str, Any]
    lines: dict[Keys, int]
    changed: set[Keys] = field(default_factory=set)

    def place(self, keys: Keys) -> str:
        """The file and the line of the innermost key that the file holds, ``mine.yaml:7``; ``--set`` where that replaced it."""
        if any(keys[: len(one)] == one for one in self.changed):
            return f"{self.path} with --set"
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return f"{self.path}:{self.lines[keys]}" if keys else str(self.path)


def read_yaml(path: Path) -> Document:
    """Read a YAML file whose top is a mapping.

    Raises
    ------
    FileTrouble : it is not there or may not be read.
    InvalidModelFile : not UTF-8, not YAML, truncated, a key given twice, an anchor or alias, no mapping at the top.
    """
    content = read_bytes(path, "model file")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise InvalidModelFile(f"{path} is not a text file: byte {cause.start} is not UTF-8", "Save it as UTF-8.") from cause
    try:
        _refuse_aliases(path, text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Keys, int] = {}
        if root is not None:
            _walk(path, root, (), lines)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as cause:
        raise _not_yaml(path, cause) from cause
    except (yaml.YAMLError, ValueError, RecursionError) as cause:
        if isinstance(cause, InvalidModelFile):
            raise
        first = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
        raise InvalidModelFile(f"{path} is not YAML: {first}") from cause
    if values is None:
        raise InvalidModelFile(f"{path} is empty", "A model file starts with `eqsolve: 1`; `eqsolve models` lists examples.")
    if not isinstance(values, dict):
        raise InvalidModelFile(f"{path} holds a {_word(values)}, not keys and values", "A model file starts with `eqsolve: 1`.")
    return Document(path, values, lines)


def _not_yaml(path: Path, cause: yaml.MarkedYAMLError) -> InvalidModelFile:
    mark = cause.problem_mark or cause.context_mark
    where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
    what = cause.problem or cause.context or "it cannot be parsed"
    return InvalidModelFile(
        f"{where}: not YAML: {what}", "Check indentation, brackets and quotes there; the file may be truncated."
    )


def _refuse_aliases(path: Path, text: str) -> None:
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            where = f"{path}:{event.start_mark.line + 1 if event.start_mark else 1}"
            raise InvalidModelFile(f"{where}: the alias *{event.anchor} is not taken in model files", "Write the value out.")


def _walk(path: Path, node: yaml.Node, keys: Keys, lines: dict[Keys, int]) -> None:
    """Record the line of every key; numbers in lists are left to their key."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = str(key.value)
            line = key.start_mark.line + 1
            here = (*keys, name)
            if here in lines:
                where = f"{path}:{line}"
                raise InvalidModelFile(f"{where}: the key {dotted(here)} is given twice, first on line {lines[here]}", "Keep one.")
            lines[here] = line
            _walk(path, value, here, lines)
    elif isinstance(node, yaml.SequenceNode):
        for k, value in enumerate(node.value):
            if not isinstance(value, yaml.ScalarNode):
                lines[(*keys, k)] = value.start_mark.line + 1
                _walk(path, value, (*keys, k), lines)


def dotted(keys: Keys) -> str:
    """The path of a key: ``game.payoff.base[3]``."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else str(key)
    return text or "the file"


def _word(value: object) -> str:
    return {"list": "list", "str": "text"}.get(type(value).__name__, type(value).__name__)
