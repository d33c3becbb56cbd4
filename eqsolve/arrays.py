"""Arrays at the door: converted, checked, and refused with the first offending index and its value."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from eqsolve.errors import InvalidData

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)


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
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as cause:
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
    array = floats.astype(np.int64)
    wrong = array != floats
    if wrong.any():
        at = tuple(int(k) for k in np.argwhere(wrong)[0])
        raise error(f"{name}{list(at) if at else ''} is {floats[at]}, not a whole number")
    return frozen(array)


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
