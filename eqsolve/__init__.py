"""EqSolve: equilibria and policies of large structured games, by explicit programs, with certificates."""

from eqsolve.version import __version__

__all__ = ["__version__"]
