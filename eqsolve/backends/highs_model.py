"""Handing programs, changes and bases over to HiGHS as arrays, and reading points and bases back."""

from __future__ import annotations

from typing import Any

import highspy
import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.arrays import FloatArray
from eqsolve.backends.outcome import Basis
from eqsolve.errors import BackendFailure, BackendUnsupported
from eqsolve.programs import Program

Int32Array = npt.NDArray[np.int32]
INFINITE = 1e20
STATUS = tuple(highspy.HighsBasisStatus.__members__[name] for name in ("kLower", "kBasic", "kUpper", "kZero", "kNonbasic"))


def check(status: Any, what: str, program: Program) -> None:
    """Refuse to go on after an error code of HiGHS."""
    if status == highspy.HighsStatus.kError:
        raise BackendFailure(
            f"HiGHS returned an error while {what} of program {program.name!r} ({program!r})",
            "Its reason is printed with options={'output_flag': True}. Coefficients of 1e15 are beyond HiGHS.",
        )


def pass_program(model: Any, program: Program) -> tuple[str, ...]:
    """Hand a program over; the arrays go to HiGHS as they are, without a copy on the way. Returns notes.

    Raises
    ------
    BackendUnsupported : a cost that HiGHS would take as infinite.
    BackendFailure : HiGHS refuses the program.
    """
    _check_costs(program)
    A, n, m = program.A, program.n_columns, program.n_rows
    integer = np.zeros(n, dtype=np.int32) if program.integrality is None else program.integrality.astype(np.int32)
    sense = int(highspy.ObjSense.kMinimize if program.sense == "min" else highspy.ObjSense.kMaximize)
    bounds = (program.col_lower, program.col_upper, program.row_lower, program.row_upper)
    if program.Q is not None and not m:
        # HiGHS goes astray in a quadratic program without rows; one that says nothing helps.
        m, bounds = 1, (*bounds[:2], np.array([-np.inf]), np.array([np.inf]))
    columns = (program.offset, program.c, *bounds)
    matrix = (_int32(A.indptr), _int32(A.indices), A.data)
    colwise = int(highspy.MatrixFormat.kColwise)
    if program.Q is None:
        status = model.passModel(n, m, A.nnz, colwise, sense, *columns, *matrix, integer)
    else:
        Q = sparse.csc_array(sparse.tril(program.Q))
        Q.sort_indices()
        triangle = int(highspy.HessianFormat.kTriangular)
        hessian = (_int32(Q.indptr), _int32(Q.indices), Q.data)
        status = model.passModel(n, m, A.nnz, Q.nnz, colwise, triangle, sense, *columns, *matrix, *hessian, integer)
    check(status, "taking over the arrays", program)
    if status == highspy.HighsStatus.kWarning:
        dropped = int(np.count_nonzero(A.data)) - int(model.getNumNz())
        if dropped > 0:
            return (f"HiGHS dropped {dropped} coefficients below its small_matrix_value",)
    return ()


def pass_changes(model: Any, old: Program, new: Program) -> None:
    """Change the values in which two programs of one shape differ.

    Raises
    ------
    BackendUnsupported : a cost that HiGHS would take as infinite; nothing changes.
    BackendFailure : HiGHS refuses a value; the native model is then in between and must be handed over again.
    """
    if new.c is not old.c:
        _check_costs(new)
        k = _changed(new.c != old.c)
        if len(k):
            check(model.changeColsCost(len(k), k, new.c[k]), "changing costs", new)
    if new.col_lower is not old.col_lower or new.col_upper is not old.col_upper:
        k = _changed((new.col_lower != old.col_lower) | (new.col_upper != old.col_upper))
        if len(k):
            check(model.changeColsBounds(len(k), k, new.col_lower[k], new.col_upper[k]), "changing column bounds", new)
    if new.row_lower is not old.row_lower or new.row_upper is not old.row_upper:
        k = _changed((new.row_lower != old.row_lower) | (new.row_upper != old.row_upper))
        if len(k):
            _change_rows(model, k, new)
    if new.offset != old.offset:
        check(model.changeObjectiveOffset(new.offset), "changing the offset", new)


def _check_costs(program: Program) -> None:
    """HiGHS takes a cost of 1e20 as infinite and fixes the column."""
    if program.n_columns and np.abs(program.c).max() >= INFINITE:
        j = int(np.argmax(np.abs(program.c)))
        raise BackendUnsupported(
            f"the cost of column {program.column_name(j)} is {program.c[j]:g}; HiGHS takes costs of {INFINITE:g} as infinite",
            "Scale the objective.",
        )


def _change_rows(model: Any, k: Int32Array, new: Program) -> None:
    if hasattr(model, "changeRowsBounds"):
        check(model.changeRowsBounds(len(k), k, new.row_lower[k], new.row_upper[k]), "changing row bounds", new)
        return
    for i in k.tolist():  # highspy before 1.12 has the call for one row only
        check(model.changeRowBounds(i, new.row_lower[i], new.row_upper[i]), f"changing the bounds of row {i}", new)


def _changed(mask: npt.NDArray[np.bool_]) -> Int32Array:
    return np.flatnonzero(mask).astype(np.int32)


def _int32(index: npt.NDArray[Any]) -> Int32Array:
    return index if index.dtype == np.int32 else index.astype(np.int32)


def native_basis(basis: Basis) -> Any:
    """A basis as HiGHS takes it."""
    native = highspy.HighsBasis()
    native.col_status = [STATUS[code] for code in basis.columns.tolist()]
    native.row_status = [STATUS[code] for code in basis.rows.tolist()]
    native.valid = True
    return native


def read_basis(model: Any) -> Basis:
    """The basis that HiGHS holds, from highspy's lists of status objects (about a third of a microsecond for each)."""
    native = model.getBasis()
    return _frozen_basis(np.array([int(one) for one in native.col_status]), np.array([int(one) for one in native.row_status]))


def read_simplex_basis(model: Any, program: Program, x: FloatArray, activity: FloatArray) -> Basis:
    """The same from arrays, some twenty times faster: what is not basic is at the bound that its value is at.

    Only after simplex iterations on the whole program: without a factor of the basis, asking for the basic variables takes
    the process down in some versions of HiGHS.
    """
    status, basic = model.getBasicVariables()
    check(status, "reading the basis", program)
    columns = _nonbasic(x, program.col_lower, program.col_upper)
    rows = _nonbasic(activity, program.row_lower, program.row_upper)
    columns[basic[basic >= 0]] = 1
    rows[-basic[basic < 0] - 1] = 1
    return _frozen_basis(columns, rows)


def _nonbasic(value: FloatArray, lower: FloatArray, upper: FloatArray) -> npt.NDArray[np.int8]:
    code = np.where(np.abs(value - lower) <= np.abs(upper - value), np.int8(0), np.int8(2))
    code[np.isinf(lower) & np.isinf(upper)] = 3
    return code


def _frozen_basis(columns: npt.NDArray[Any], rows: npt.NDArray[Any]) -> Basis:
    parts = columns.astype(np.int8, copy=False), rows.astype(np.int8, copy=False)
    for part in parts:
        part.setflags(write=False)
    return Basis(*parts)
