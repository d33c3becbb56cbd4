"""EqSolve: equilibria and policies of large structured games, by explicit programs, with certificates.

The names below are loaded when first used; importing ``eqsolve`` imports no solver.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eqsolve.version import __version__

if TYPE_CHECKING:
    from eqsolve.aggregative import AggregativeGame, AggregativeNash, Equilibrium, FixedPointNash, PotentialNash
    from eqsolve.backends import Limits, Outcome, all_backends, get_backend, solve_program
    from eqsolve.certificates import Bound, GapCertificate, certify
    from eqsolve.driver import Checkpoints, Result, Status, solve
    from eqsolve.errors import EqsolveError
    from eqsolve.modelfile import Model, read_model, write_model
    from eqsolve.programs import Program, ProgramBuilder

__all__ = [
    "AggregativeGame",
    "AggregativeNash",
    "Bound",
    "Checkpoints",
    "EqsolveError",
    "Equilibrium",
    "FixedPointNash",
    "GapCertificate",
    "Limits",
    "Model",
    "Outcome",
    "PotentialNash",
    "Program",
    "ProgramBuilder",
    "Result",
    "Status",
    "__version__",
    "all_backends",
    "certify",
    "get_backend",
    "read_model",
    "solve",
    "solve_program",
    "write_model",
]

_HOMES = {
    "eqsolve.aggregative": ("AggregativeGame", "AggregativeNash", "Equilibrium", "FixedPointNash", "PotentialNash"),
    "eqsolve.backends": ("Limits", "Outcome", "all_backends", "get_backend", "solve_program"),
    "eqsolve.certificates": ("Bound", "GapCertificate", "certify"),
    "eqsolve.errors": ("EqsolveError",),
    "eqsolve.modelfile": ("Model", "read_model", "write_model"),
    "eqsolve.programs": ("Program", "ProgramBuilder"),
    "eqsolve.driver": ("Checkpoints", "Result", "Status", "solve"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'eqsolve' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
