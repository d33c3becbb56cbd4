"""Which backends can be tested here."""

from __future__ import annotations

from functools import lru_cache

from eqsolve.backends import all_backends
from eqsolve.programs import Kind, Program


@lru_cache(maxsize=1)
def usable():
    """Every backend that is installed and licensed here, but ``native``, which answers programs with a structure only."""
    return tuple(one for one in all_backends() if one.name != "native" and one.probe().usable)


def usable_backends(kind: Kind) -> tuple[str, ...]:
    """Names of the usable backends that take programs of a kind."""
    return tuple(one.name for one in usable() if kind in one.capabilities.kinds)


def usable_among(kind: Kind, *names: str) -> tuple[str, ...]:
    """Those of the names that can be used here for programs of a kind."""
    return tuple(name for name in names if name in usable_backends(kind))


def able_backends(program: Program) -> tuple[str, ...]:
    """Names of the usable backends that take a program, ``native`` among them where its structure does."""
    native = program.structure is not None and program.structure.refuses(program) is None
    return (*usable_backends(program.kind), *(("native",) if native else ()))
