"""What a backend does with a request it cannot meet: limits are refused, starts are mentioned."""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata
from time import perf_counter

from eqsolve.backends.base import Backend, Feature
from eqsolve.backends.outcome import Limits, Start
from eqsolve.errors import BackendUnsupported, InvalidData


def refuse_limits(backend: Backend, limits: Limits | None) -> None:
    """Refuse a limit that the backend could not keep, or that is no budget.

    Raises
    ------
    BackendUnsupported : the backend has no such limit; ignoring it would break the promise of the budget.
    InvalidData : a limit that is not positive.
    """
    if limits is None:
        return
    for value, feature, word in (
        (limits.seconds, Feature.TIME_LIMIT, "seconds"),
        (limits.iterations, Feature.ITERATION_LIMIT, "iterations"),
    ):
        if value is None:
            continue
        if not value > 0:
            raise InvalidData(f"limits.{word} is {value}, not positive", "Leave it None for no limit.")
        if feature not in backend.capabilities.features:
            raise BackendUnsupported(f"backend {backend.name!r} keeps no {feature.value}", "Leave the limit out, or use 'highs'.")


def remaining(limits: Limits | None, began: float) -> Limits:
    """What is left of a budget whose clock (``perf_counter``) stood at ``began`` when it was given; at least a millisecond."""
    if limits is None or limits.seconds is None:
        return limits or Limits()
    return Limits(max(limits.seconds - (perf_counter() - began), 1e-3), limits.iterations)


def start_note(start: Start | None) -> tuple[str, ...]:
    """The note of a backend that cannot begin from a given point or basis."""
    return () if start is None or (start.x is None and start.basis is None) else ("the start was not used",)


@lru_cache(maxsize=64)
def installed_version(distribution: str) -> str:
    """Version of an installed distribution, or nothing; found without importing it."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""
