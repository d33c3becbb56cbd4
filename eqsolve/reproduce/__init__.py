"""What the papers claim, computed anew: tables, figures, and which claims come out."""

from eqsolve.reproduce.parts import Part, Work
from eqsolve.reproduce.run import PAPERS, reproduce

__all__ = ["PAPERS", "Part", "Work", "reproduce"]
