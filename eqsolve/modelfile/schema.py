"""What every model file has, and the table of the systems that have one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from eqsolve.driver import get_system
from eqsolve.modelfile.fields import Strict, Whole
from eqsolve.modelfile.generated import Parameters, make_algorithm


class LimitsPart(Strict):
    """``limits``: a budget in seconds and in iterations (steps of the algorithm)."""

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
    def driver(self, game: Any) -> Any:
        """The algorithm for the game."""


class NamedFile(SystemFile, ABC):
    """A model file whose ``algorithm`` is a name with parameters, as the system declares them; a subclass adds ``game``."""

    algorithm: Parameters = Field(default_factory=dict)

    def driver(self, game: Any) -> Any:
        """The algorithm; the system's default for the game when there is no name."""
        return make_algorithm(get_system(self.system), game, self.algorithm)


def _aggregative() -> type[SystemFile]:
    from eqsolve.modelfile.aggregative import AggregativeFile

    return AggregativeFile


def _aggregative_markov() -> type[SystemFile]:
    from eqsolve.modelfile.aggregative_markov import AggregativeMarkovFile

    return AggregativeMarkovFile


def _bayesian_network() -> type[SystemFile]:
    from eqsolve.modelfile.bayesian_network import CooperativeFile

    return CooperativeFile


def _congestion_game() -> type[SystemFile]:
    from eqsolve.modelfile.congestion_game import CongestionGameFile

    return CongestionGameFile


def _markov_game() -> type[SystemFile]:
    from eqsolve.modelfile.markov_game import MarkovGameFile

    return MarkovGameFile


def _mdp() -> type[SystemFile]:
    from eqsolve.modelfile.mdp import MDPFile

    return MDPFile


def _mean_field() -> type[SystemFile]:
    from eqsolve.modelfile.mean_field import MeanFieldFile

    return MeanFieldFile


def _normal_form() -> type[SystemFile]:
    from eqsolve.modelfile.normal_form import NormalFormFile

    return NormalFormFile


def _polymatrix() -> type[SystemFile]:
    from eqsolve.modelfile.polymatrix import PolymatrixFile

    return PolymatrixFile


SYSTEMS: dict[str, Callable[[], type[SystemFile]]] = {
    "aggregative": _aggregative,
    "aggregative_markov": _aggregative_markov,
    "bayesian_network": _bayesian_network,
    "congestion_game": _congestion_game,
    "markov_game": _markov_game,
    "mdp": _mdp,
    "mean_field": _mean_field,
    "normal_form": _normal_form,
    "polymatrix": _polymatrix,
}
"""The systems by the names that model files use; each is loaded when a file names it."""
