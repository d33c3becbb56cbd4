"""The command line: ``eqsolve solve | certify | report | sweep | inspect | reproduce | backends | models``."""

from eqsolve.cli.app import main

__all__ = ["main"]
