"""The language of EqSolve: explicit programs over named blocks, printed, written and read. It knows no game."""

from eqsolve.programs.block import Block
from eqsolve.programs.builder import ProgramBuilder
from eqsolve.programs.cone import Cone
from eqsolve.programs.family import ProgramFamily
from eqsolve.programs.program import Kind, Program, Sense, Update
from eqsolve.programs.structure import Advised, Purifiable, Structure, StructureAnswer

__all__ = [
    "Advised",
    "Block",
    "Cone",
    "Kind",
    "Program",
    "ProgramBuilder",
    "ProgramFamily",
    "Purifiable",
    "Sense",
    "Structure",
    "StructureAnswer",
    "Update",
]
