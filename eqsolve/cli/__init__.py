"""The command line: ``eqsolve solve | inspect | backends | models``."""

from eqsolve.cli.app import main

__all__ = ["main"]
