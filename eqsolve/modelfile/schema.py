"""What every model file has, and the table of the systems that have one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from eqsolve.modelfile.fields import Strict, Whole


class LimitsPart(Strict):
    """``limits``: a budget in seconds and in programs."""

    seconds: PositiveFloat | None = None
    iterations: PositiveInt | None = None


class SystemFile(Strict, ABC):
    """The model file of one system; a subclass adds ``game`` and ``algorithm``."""

    eqsolve: Literal[1]
    system: str
    name: str | None = None
    description: str | None = None
    backend: str = "auto"
    seed: Whole = Field(default=0, ge=0)
    limits: LimitsPart = LimitsPart()

    @abstractmethod
    def build(self) -> Any:
        """The game."""

    @abstractmethod
    def driver(self) -> Any:
        """The algorithm."""


def _aggregative() -> type[SystemFile]:
    from eqsolve.modelfile.aggregative import AggregativeFile

    return AggregativeFile


SYSTEMS: dict[str, Callable[[], type[SystemFile]]] = {"aggregative": _aggregative}
"""The systems by the names that model files use; each is loaded when a file names it."""
