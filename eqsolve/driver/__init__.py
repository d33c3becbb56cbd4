"""The one loop that runs every algorithm, and what it hands back."""

from eqsolve.driver.algorithm import Algorithm, Run
from eqsolve.driver.archive import InvalidRun
from eqsolve.driver.checkpoint import Checkpoints, InvalidCheckpoint
from eqsolve.driver.history import History, Record
from eqsolve.driver.loop import solve
from eqsolve.driver.one_program import Answered, OneProgram, ProgramResult
from eqsolve.driver.result import Provenance, Result
from eqsolve.driver.status import NothingReached, OutOfTime, Status
from eqsolve.driver.system import System, get_system, register, system_of

__all__ = [
    "Algorithm",
    "Answered",
    "Checkpoints",
    "History",
    "InvalidCheckpoint",
    "InvalidRun",
    "NothingReached",
    "OneProgram",
    "OutOfTime",
    "ProgramResult",
    "Provenance",
    "Record",
    "Result",
    "Run",
    "Status",
    "System",
    "get_system",
    "register",
    "solve",
    "system_of",
]
