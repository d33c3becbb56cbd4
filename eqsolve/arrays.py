"""Arrays and numbers at the door: converted, checked, and refused with name, first offending index and value."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from numbers import Integral, Real
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.errors import InvalidData

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Kernel: TypeAlias = "FloatArray | sparse.csr_array"
Scalar = TypeVar("Scalar", bound=np.generic)

SUM = 1e-9
"""How far the sum of a distribution may be from 1; distributions are never rescaled."""


def float_array(
    name: str,
    value: Any,
    shape: tuple[int | None, ...] | None = None,
    *,
    infinite: bool = False,
    error: type[InvalidData] = InvalidData,
) -> FloatArray:
    """A read-only float64 array of the given shape (None is any length), without NaN and, unless allowed, infinities.

    Scalars are spread over ``shape`` when it is fully known.

    Raises
    ------
    error : not numeric, of another shape, or not finite; the message names the first offending index and its value.
    """
    try:
        array = np.asarray(value)
        if array.dtype.kind == "c":
            raise TypeError("complex numbers have no order")
        array = np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as cause:
        raise error(f"{name} is not an array of numbers: {cause}") from cause
    if shape is not None:
        if array.ndim == 0 and None not in shape:
            array = np.full(tuple(int(side or 0) for side in shape), float(array))
        check_shape(name, array, shape, error)
    bad = np.isnan(array) if infinite else ~np.isfinite(array)
    if bad.any():
        at = tuple(int(k) for k in np.argwhere(bad)[0])
        raise error(f"{name}{list(at) if at else ''} is {array[at]}", f"{int(bad.sum())} of {array.size} entries are not finite.")
    return frozen(array, value)


def int_array(
    name: str, value: Any, shape: tuple[int | None, ...] | None = None, *, error: type[InvalidData] = InvalidData
) -> IntArray:
    """A read-only int64 array; values that are not whole numbers are refused."""
    floats = float_array(name, value, shape, error=error)
    wrong = (floats != np.floor(floats)) | (np.abs(floats) >= 2.0**63)
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        reason = "too large for a whole number of 64 bits" if abs(floats[at]) >= 2.0**63 else "not a whole number"
        raise error(f"{name}{list(at) if at else ''} is {floats[at]}, {reason}")
    return frozen(floats.astype(np.int64))


def whole_number(name: str, value: Any, least: int, error: type[InvalidData] = InvalidData, *, most: int | None = None) -> int:
    """One whole number of at least ``least`` (and at most ``most``): a Python or numpy integer, or a float without a fraction.

    Raises
    ------
    error : a truth value, None, text, NaN, a fraction, or out of range; the message names the parameter and its value.
    """
    wanted = f"Give a whole number of at least {least:,}" + ("." if most is None else f" and at most {most:,}.")
    number = _scalar(value)
    whole = isinstance(number, Integral) or (isinstance(number, Real) and isfinite(number) and float(number).is_integer())
    if isinstance(number, bool | np.bool_) or not whole:
        raise error(f"{name} is {value!r}, not a whole number", wanted)
    found = int(number)
    if found < least or (most is not None and found > most):
        raise error(f"{name} is {value}, {'less than ' + str(least) if found < least else 'more than ' + str(most)}", wanted)
    return found


def real_number(
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    below: float | None = None,
    error: type[InvalidData] = InvalidData,
) -> float:
    """One finite number of at least ``least``, larger than ``above`` and smaller than ``below``, where these are given.

    Raises
    ------
    error : a truth value, None, text, NaN, infinite, or out of range; the message names the parameter and its value.
    """
    limits = ((least, "at least"), (above, "above"), (below, "below"))
    wanted = " and ".join(f"{word} {limit:g}" for limit, word in limits if limit is not None)
    remedy = f"Give a finite number{' ' + wanted if wanted else ''}."
    number = _scalar(value)
    if isinstance(number, bool | np.bool_) or not isinstance(number, Real):
        raise error(f"{name} is {value!r}, not a number", remedy)
    try:
        found = float(number)
    except OverflowError as cause:
        raise error(f"{name} is too large for a float", remedy) from cause
    if not isfinite(found):
        raise error(f"{name} is {found}", remedy)
    if (least is not None and found < least) or (above is not None and found <= above) or (below is not None and found >= below):
        raise error(f"{name} is {found:g}, not {wanted}", remedy)
    return found


def _scalar(value: Any) -> Any:
    """The number in an array without axes, as files hold them; anything else as it is."""
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def check_shape(name: str, array: npt.NDArray[Any], shape: tuple[int | None, ...], error: type[InvalidData] = InvalidData) -> None:
    """Refuse an array whose shape is not ``shape`` (None is any length)."""
    fits = array.ndim == len(shape) and all(want is None or have == want for have, want in zip(array.shape, shape, strict=True))
    if not fits:
        wanted = " x ".join("any" if side is None else str(side) for side in shape)
        raise error(f"{name} has shape {' x '.join(map(str, array.shape)) or 'scalar'}, expected {wanted}")


def frozen(array: npt.NDArray[Scalar], given: Any = None) -> npt.NDArray[Scalar]:
    """The array, read-only; copied first when it shares writeable memory with ``given``, which is the caller's."""
    if not array.flags.writeable:
        return array
    if isinstance(given, np.ndarray) and np.may_share_memory(array, given):
        array = array.copy()
    array.setflags(write=False)
    return array


def distinct_labels(what: str, given: Any, size: int, error: type[InvalidData] = InvalidData) -> tuple[str, ...]:
    """Labels of ``size`` things, all different; none at all when none are given.

    Raises
    ------
    error : not a list, another number of labels, or one twice.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise error(f"{what} is {given!r}, not a list of labels", "Leave it out for numbers.")
    labels = tuple(str(one) for one in given)
    if labels and len(labels) != size:
        raise error(f"{what} has {len(labels)} labels, expected {size}")
    if len(set(labels)) != len(labels):
        twice = next(one for one in labels if labels.count(one) > 1)
        raise error(f"{what} has the label {twice!r} twice")
    return labels


def transition_kernels(
    given: Any, shape: tuple[int, int], horizon: int | None, place: Callable[[int | None, int], str], error: type[InvalidData]
) -> tuple[Kernel, ...]:
    """One transition kernel (K, S), or one per step of the horizon, from what a caller gave: dense or sparse, checked, read-only.

    Parameters
    ----------
    place : (step or None, row) -> the row in words, for messages.

    Raises
    ------
    error : another shape or number of kernels, an entry that is not finite or negative, a row that does not sum to 1 within 1e-9.
    """
    if not _one_per_step(given):
        return (_stochastic_rows("transition", given, shape, lambda row: place(None, row), error),)
    if horizon is None or len(given) != horizon:
        raise error(
            f"transition has {len(given)} kernels and the horizon is {horizon}",
            f"Give one kernel {shape[0]} x {shape[1]}, or with a horizon one per step.",
        )

    def checked(h: int, one: Any) -> Kernel:
        return _stochastic_rows(f"transition[{h}]", one, shape, lambda row: place(h, row), error)

    return tuple(checked(h, one) for h, one in enumerate(given))


def _one_per_step(given: Any) -> bool:
    if isinstance(given, np.ndarray):
        return given.ndim == 3
    if not isinstance(given, tuple | list) or not len(given):
        return False
    try:
        return bool(sparse.issparse(given[0]) or np.ndim(given[0]) == 2)
    except ValueError:  # rows of different lengths; refused with its place further on
        return False


def _stochastic_rows(
    name: str, given: Any, shape: tuple[int, int], place: Callable[[int], str], error: type[InvalidData]
) -> Kernel:
    kernel = _sparse(name, given, shape, error) if sparse.issparse(given) else float_array(name, given, shape, error=error)
    data = np.asarray(kernel.data) if sparse.issparse(kernel) else kernel.reshape(-1)
    if data.size and data.min() < 0:
        k = int(np.argmax(data < 0))
        row, to = _entry(kernel, k)
        raise error(f"{place(row)} has probability {data[k]:g} for next state {to}")
    total = np.asarray(kernel.sum(axis=1))
    wrong = np.abs(total - 1.0) > SUM
    if wrong.any():
        row = int(np.argmax(wrong))
        raise error(
            f"{place(row)} sums to {total[row]:.12g}, not 1",
            f"{int(wrong.sum())} of {shape[0]} rows fail, this one is the first. If the rows are counts, divide by their sums.",
        )
    return kernel


def _sparse(name: str, given: Any, shape: tuple[int, int], error: type[InvalidData]) -> sparse.csr_array:
    """A canonical read-only copy: sorted, without duplicates, without stored zeros."""
    if given.dtype.kind not in "biuf":
        raise error(f"{name} is not a matrix of real numbers: its type is {given.dtype}")
    check_shape(name, given, shape, error)
    kernel = sparse.csr_array(given, dtype=np.float64, copy=True)
    kernel.sum_duplicates()
    bad = ~np.isfinite(kernel.data)
    if bad.any():
        k = int(np.argmax(bad))
        row, to = _entry(kernel, k)
        raise error(f"{name}[{row}, {to}] is {kernel.data[k]}", f"{int(bad.sum())} of {len(bad)} entries are not finite.")
    kernel.eliminate_zeros()
    for part in (kernel.data, kernel.indices, kernel.indptr):
        part.setflags(write=False)
    return kernel


def _entry(kernel: Any, k: int) -> tuple[int, int]:
    """Row and column of the k-th stored entry."""
    if sparse.issparse(kernel):
        return int(np.searchsorted(kernel.indptr, k, side="right")) - 1, int(kernel.indices[k])
    return divmod(k, int(kernel.shape[1]))
