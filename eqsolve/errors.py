"""Every error of EqSolve: what was wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class EqsolveError(Exception):
    """Base of all errors raised by EqSolve.

    Parameters
    ----------
    what : one sentence that names the place, the index and the value.
    remedy : what the reader can do; printed indented on the lines after it.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return "\n  ".join([self.what, *self.remedy.splitlines()])


class InvalidData(EqsolveError, ValueError):
    """Numbers that cannot be accepted: NaN, infinite, of the wrong shape, out of range."""


class InvalidProgram(InvalidData):
    """A mathematical program that is not well formed, or not convex."""


class InvalidGame(InvalidData):
    """A game whose data contradict its own definition."""


class InvalidModelFile(InvalidData):
    """A model file, or a data file beside it, that cannot be read as one."""


class UnknownName(EqsolveError, LookupError):
    """A backend, option, key, block or label that does not exist; the nearest known one is named."""


class BackendUnavailable(EqsolveError):
    """A backend that is not installed, not licensed, or whose licence is too small for the program."""


class BackendUnsupported(EqsolveError):
    """A backend asked for something outside its declared capabilities."""


class BackendFailure(EqsolveError):
    """A solver that crashed or answered what its interface does not allow."""


class FileTrouble(EqsolveError, OSError):
    """A file or folder that cannot be read or written."""


def unknown(kind: str, name: object, known: Iterable[str]) -> UnknownName:
    """The error for a name that is not known, with the nearest ones that are."""
    names = sorted(set(known))
    near = get_close_matches(str(name), names, n=3, cutoff=0.5)
    if not near:
        lowered = {other.lower(): other for other in names}
        near = [lowered[hit] for hit in get_close_matches(str(name).lower(), list(lowered), n=3, cutoff=0.5)]
    hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"Known: {', '.join(names) or 'none'}."
    return UnknownName(f"unknown {kind} {str(name)!r}", hint)
