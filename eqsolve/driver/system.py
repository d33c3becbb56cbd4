"""What the driver knows of a kind of game, and the registry of the kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from eqsolve.certificates import GapCertificate
from eqsolve.errors import InvalidData, unknown

if TYPE_CHECKING:
    from eqsolve.driver.algorithm import Algorithm

HOMES = {
    "aggregative": "eqsolve.aggregative.system:AGGREGATIVE",
    "aggregative_markov": "eqsolve.aggregative.markov.system:AGGREGATIVE_MARKOV",
    "bayesian_network": "eqsolve.bayesian_network.system:BAYESIAN_NETWORK",
    "congestion_game": "eqsolve.aggregative.congestion_games.system:CONGESTION_GAME",
    "markov_game": "eqsolve.normal_form.system:MARKOV_GAME",
    "mdp": "eqsolve.mdp.system:MDP",
    "mean_field": "eqsolve.mean_field.system:MEAN_FIELD",
    "normal_form": "eqsolve.normal_form.system:NORMAL_FORM",
    "polymatrix": "eqsolve.normal_form.system:POLYMATRIX",
}
"""Where the systems are; each is imported when first needed. Packages add theirs by the entry-point group eqsolve.systems."""


@dataclass(frozen=True, slots=True)
class System:
    """One kind of game, wired for the driver.

    Parameters
    ----------
    name : as model files and saved runs write it.
    game : the class.
    algorithms : the classes that solve it. default : (game) -> the one to take; the first of them when left out.
    describe : (game) -> its size in words, for reports.
    certify : (game, policy) -> the gap, computed from the game by code that no algorithm uses.
    value : (game, policy) -> what the policy earns: the welfare, or the value from the initial distribution.
    value_name : the word for it.
    """

    name: str
    game: type
    algorithms: tuple[type[Algorithm[Any, Any, Any]], ...]
    describe: Callable[[Any], str]
    certify: Callable[[Any, Any], GapCertificate]
    value: Callable[[Any, Any], float]
    value_name: str = "value"
    default: Callable[[Any], Algorithm[Any, Any, Any]] | None = None

    def default_algorithm(self, game: Any) -> Algorithm[Any, Any, Any]:
        """What ``solve`` takes when no algorithm is given."""
        return self.algorithms[0]() if self.default is None else self.default(game)

    def algorithm(self, name: str) -> type[Algorithm[Any, Any, Any]]:
        """The algorithm of that name.

        Raises
        ------
        UnknownName : this kind of game has no such algorithm.
        """
        known = {one.__name__: one for one in self.algorithms}
        if name not in known:
            raise unknown(f"algorithm of {self.name} games", name, known)
        return known[name]


_LOADED: dict[str, System] = {}


def register(system: System) -> System:
    """Make a kind of game known in this process; packages do it for good by the entry-point group ``eqsolve.systems``."""
    _LOADED[system.name] = system
    return system


def system_of(game: object) -> System:
    """The system that a game belongs to.

    Raises
    ------
    InvalidData : not a game that any system knows.
    """
    for system in _LOADED.values():
        if isinstance(game, system.game):
            return system
    # Only systems of the package that the game comes from are imported to find out; in EqSolve, of its subpackage.
    depth = 2 if type(game).__module__.startswith("eqsolve.") else 1
    package = type(game).__module__.split(".")[:depth]
    for name, home in homes().items():
        if home.split(":")[0].split(".")[:depth] == package and isinstance(game, get_system(name).game):
            return get_system(name)
    raise InvalidData(
        f"a {type(game).__name__} is not a game that EqSolve can solve", f"Give a game of one of: {', '.join(sorted(homes()))}."
    )


def get_system(name: str) -> System:
    """The system of that name, imported when it is first asked for.

    Raises
    ------
    UnknownName : there is none.
    """
    if name not in _LOADED:
        known = homes()
        if name not in known:
            raise unknown("system", name, {*known, *_LOADED})
        module, _, attribute = known[name].partition(":")
        _LOADED[name] = getattr(import_module(module), attribute)
    return _LOADED[name]


def packages() -> set[str]:
    """The packages whose classes saved files may hold: EqSolve and those of registered systems."""
    modules = [system.game.__module__ for system in _LOADED.values()] + [home.split(":")[0] for home in homes().values()]
    return {"eqsolve", *(module.split(".")[0] for module in modules)}


@cache
def homes() -> dict[str, str]:
    """The systems by name, with those of other packages, as ``"module:attribute"``."""
    return {one.name: one.value for one in entry_points(group="eqsolve.systems")} | HOMES
