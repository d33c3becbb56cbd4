"""The rows and bounds that cannot hold together, found by HiGHS."""

from __future__ import annotations

from typing import Any

import highspy
import numpy as np
from highspy import _core

from eqsolve.backends.base import IIS
from eqsolve.backends.highs_model import pass_program
from eqsolve.backends.highs_options import new_model
from eqsolve.backends.proofs import relaxation
from eqsolve.errors import BackendFailure, InvalidData
from eqsolve.programs import Program

IRREDUCIBLE = 2 | 4
"""HiGHS's ``iis_strategy``: from the linear relaxation, made irreducible."""
FREE = 1
"""kIisBoundStatusFree: the column stands in rows of the subsystem, but its bounds do not belong to it."""


def find_iis(program: Program) -> IIS:
    """An irreducible infeasible subsystem of rows and column bounds, integrality left aside.

    Raises
    ------
    InvalidData : rows and bounds do not conflict.
    BackendFailure : HiGHS finds no subsystem.
    """
    if not program.n_columns:
        wrong = np.flatnonzero((program.row_lower > 0) | (program.row_upper < 0))[:1]
        return _named(program, wrong.tolist(), [])
    model = new_model({})
    if model.getOptionType("iis_strategy")[0] == highspy.HighsStatus.kOk:
        # Versions before 1.12 number the strategies otherwise; all of theirs are irreducible.
        model.setOptionValue("iis_strategy", IRREDUCIBLE)
    pass_program(model, relaxation(program, np.zeros(program.n_columns)))
    status, found = _ask(model)
    if status == highspy.HighsStatus.kError:
        raise BackendFailure(f"HiGHS found no irreducible infeasible subsystem of {program!r}")
    valid, rows, columns, bounds = (_part(found, name) for name in ("valid", "row_index", "col_index", "col_bound"))
    if not valid:
        return _named(program, [], [])
    return _named(program, list(rows), [j for j, bound in zip(columns, bounds, strict=True) if bound != FREE])


def _ask(model: Any) -> tuple[Any, Any]:
    try:
        answer: tuple[Any, Any] = model.getIis()
    except TypeError:  # before 1.12 the answer is an argument
        found = _core.HighsIis()
        return model.getIis(found), found
    return answer


def _part(found: Any, name: str) -> Any:
    return getattr(found, f"{name}_", None) if hasattr(found, f"{name}_") else getattr(found, name)  # renamed in 1.12


def _named(program: Program, rows: list[int], columns: list[int]) -> IIS:
    if not rows and not columns:
        raise InvalidData(
            f"no infeasible subsystem of {program.name!r}: its rows and column bounds do not conflict",
            "If integrality alone makes it infeasible, no subsystem of rows and bounds shows it.",
        )
    names = (*map(program.row_name, sorted(rows)), *map(program.column_name, sorted(columns)))
    return IIS(tuple(sorted(rows)), tuple(sorted(columns)), names)
