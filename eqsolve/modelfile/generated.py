"""What model files say by name and parameters: standard games, algorithms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from inspect import Parameter, signature
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from eqsolve.driver import Algorithm, System
from eqsolve.errors import InvalidModelFile, unknown
from eqsolve.modelfile.fields import array_from_file


def _plain(value: Any, info: ValidationInfo) -> Any:
    """Text that is a number, such as 1e-3, which YAML takes for text; lists as tuples; arrays from files."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if isinstance(value, list):
        return tuple(_plain(one, info) for one in value)
    if isinstance(value, dict):
        if {"npz", "csv"} & set(value):
            return array_from_file(value, info)
        return {key: _plain(one, info) for key, one in value.items()}
    return value


def _parameters(value: Any, info: ValidationInfo) -> Any:
    """A mapping whose values are parameters."""
    return {str(key): _plain(one, info) for key, one in value.items()} if isinstance(value, dict) else value


Parameters = Annotated[dict[str, Any], BeforeValidator(_parameters)]
"""``name`` and parameters, of which only the receiver knows which there are."""


class GeneratorPart(BaseModel):
    """``generator`` and its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)
    kind: ClassVar[str] = "generator"

    generator: str

    def call(self, known: Mapping[str, Callable[..., Any]]) -> Any:
        """What the generator of that name makes of the parameters.

        Raises
        ------
        UnknownName : no such generator, or no such parameter. InvalidModelFile : a parameter that it needs is missing.
        """
        if self.generator not in known:
            raise unknown(self.kind, self.generator, known)
        function = known[self.generator]
        given = {key: _text_number(value) for key, value in (self.model_extra or {}).items()}
        named = {
            one.name: one.default is Parameter.empty
            for one in signature(function).parameters.values()
            if one.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
        }
        _check_names(f"parameter of {self.generator}", given, named)
        return function(**given)


def make_algorithm(system: System, game: Any, part: Mapping[str, Any]) -> Algorithm[Any, Any, Any]:
    """The algorithm that ``name`` and the parameters describe; the system's default for the game when there is no name.

    A parameter that has a ``name`` of its own is an algorithm inside the algorithm.

    Raises
    ------
    UnknownName : the system has no such algorithm, or the algorithm no such parameter.
    InvalidModelFile : a parameter that it needs is missing.
    """
    given = {key: _inner(system, game, value) for key, value in part.items() if key != "name"}
    if not part:
        return system.default_algorithm(game)
    kind: Any = system.algorithm(str(part["name"])) if "name" in part else type(system.default_algorithm(game))
    needed = {one.name: one.default is MISSING and one.default_factory is MISSING for one in fields(kind) if one.init}
    _check_names(f"parameter of {kind.__name__}", given, needed)
    made: Algorithm[Any, Any, Any] = kind(**given)
    return made


def _inner(system: System, game: Any, value: Any) -> Any:
    return make_algorithm(system, game, value) if isinstance(value, Mapping) and "name" in value else value


def _check_names(what: str, given: Mapping[str, Any], known: Mapping[str, bool]) -> None:
    for key in given:
        if key not in known:
            raise unknown(what, key, known)
    missing = [key for key, needed in known.items() if needed and key not in given]
    if missing:
        raise InvalidModelFile(f"the {what} {missing[0]!r} is missing", f"It has: {', '.join(known)}.")


def _text_number(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value
