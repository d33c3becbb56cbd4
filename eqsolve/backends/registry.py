"""Every backend by name, third parties' included."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points

from eqsolve.backends.base import Backend
from eqsolve.errors import BackendUnavailable, InvalidData, unknown

BUILT_IN = {
    "highs": "eqsolve.backends.highs:family",
    "native": "eqsolve.backends.native:family",
    "scipy": "eqsolve.backends.scipy:family",
    "gurobi": "eqsolve.backends.gurobi:family",
    "cvxpy": "eqsolve.backends.cvxpy:family",
    "pulp": "eqsolve.backends.pulp:family",
}
GROUP = "eqsolve.backends"


class BackendFamily:
    """What a backend file (or an entry point of the group ``eqsolve.backends``) exports as ``family``.

    Parameters
    ----------
    make : from the part of the name behind the colon (None without one) to a backend; raises UnknownName for a solver that
        the family does not have.
    solvers : the parts behind the colon that the table lists; ``(None,)`` for a backend without variants.
    """

    def __init__(self, make: Callable[[str | None], Backend], solvers: Callable[[], Iterable[str | None]]) -> None:
        self.make = make
        self.solvers = solvers


@lru_cache(maxsize=1)
def _third_party() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=GROUP)}


def family_names() -> tuple[str, ...]:
    """Names before the colon, built in and registered."""
    return (*BUILT_IN, *(name for name in sorted(_third_party()) if name not in BUILT_IN))


def _family(name: str) -> BackendFamily:
    target = BUILT_IN.get(name) or _third_party()[name]
    module, _, attribute = target.partition(":")
    try:
        family = getattr(import_module(module), attribute or "family")
    except ImportError as cause:
        raise BackendUnavailable(f"backend {name!r} cannot be imported: {cause}", f"It is registered as {target}.") from cause
    if not isinstance(family, BackendFamily):
        raise BackendUnavailable(f"backend {name!r}: {target} is not a BackendFamily")
    return family


def get_backend(name: str | Backend) -> Backend:
    """The backend of a name such as ``"highs"`` or ``"cvxpy:CLARABEL"``; a backend is handed through.

    Raises
    ------
    UnknownName : no such backend or solver; the nearest known one is named. InvalidData : not a name at all.
    """
    if isinstance(name, Backend):
        return name
    if not isinstance(name, str):
        raise InvalidData(f"backend is {name!r}, not a name", "For example: 'auto', 'highs', 'cvxpy:CLARABEL'.")
    head, _, solver = name.partition(":")
    if head not in family_names():
        raise unknown("backend", name, ["auto", *family_names()])
    return _family(head).make(solver or None)


def all_backends() -> list[Backend]:
    """One backend for every row of the table, usable here or not."""
    return [family.make(solver) for family in map(_family, family_names()) for solver in family.solvers()]
