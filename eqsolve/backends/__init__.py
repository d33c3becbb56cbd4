"""Solvers behind one contract: one file each, a registry, and three facts for an answer. They know no game."""

from eqsolve.backends.base import IIS, Backend, Capabilities, Feature, Probe, Session
from eqsolve.backends.outcome import Basis, Limits, Outcome, PointStatus, Seconds, Start, Termination
from eqsolve.backends.registry import all_backends, get_backend
from eqsolve.backends.solve import choose_backend, solve_family, solve_program

__all__ = [
    "IIS",
    "Backend",
    "Basis",
    "Capabilities",
    "Feature",
    "Limits",
    "Outcome",
    "PointStatus",
    "Probe",
    "Seconds",
    "Session",
    "Start",
    "Termination",
    "all_backends",
    "choose_backend",
    "get_backend",
    "solve_family",
    "solve_program",
]
