"""Frozen dataclasses as arrays and JSON, and back: games, algorithms, states and policies in files, without pickle.

Arrays and sparse matrices go into an npz file under their own names; everything else goes into one JSON tree that points to them.
Floats keep every bit. Only dataclasses and enumerations of EqSolve, and of packages that registered a system, are read back.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.driver.system import packages
from eqsolve.errors import EqsolveError, InvalidData

TREE = "tree.json"
"""Name of the JSON tree inside an npz file."""


class Unwritable(InvalidData):
    """A value that no file can hold, such as a Python function."""


Arrays = dict[str, npt.NDArray[Any]]
_CSR = ("data", "indices", "indptr")


def pack(value: Any, *, opaque: bool = False) -> tuple[Any, Arrays]:
    """The JSON tree and the arrays of a value made of dataclasses, tuples, lists, dicts, enums, numbers, text and arrays.

    A class may choose its own parts by a method ``parts() -> dict`` whose keys are what its constructor takes.

    Parameters
    ----------
    opaque : let Python functions stand by their qualified name, which can be compared but not read back.

    Raises
    ------
    Unwritable : something that no file can hold; the message says where it is.
    """
    arrays: Arrays = {}
    return _pack(value, "", arrays, opaque), arrays


def unpack(tree: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    """The value that ``pack`` took apart; dataclasses go through their constructors, and so through their checks.

    Raises
    ------
    InvalidData : a tree that ``pack`` does not make, a class that may not be read, a missing array.
    """
    if isinstance(tree, list):
        return [unpack(one, arrays) for one in tree]
    if not isinstance(tree, dict):
        return tree
    if len(tree) != 1:
        raise InvalidData(f"a packed value has the keys {', '.join(map(str, tree))}, not one")
    ((kind, body),) = tree.items()
    reader = _READERS.get(kind)
    if reader is None:
        raise InvalidData(f"a packed value has the unknown key {kind!r}", "It may be of a later version of EqSolve.")
    return reader(body, arrays)


def fingerprint(*values: Any) -> str:
    """SHA-256 over the parts of values, Python functions by name: equal for equal data, whatever the machine."""
    tree, arrays = pack(list(values), opaque=True)
    return digest(tree, arrays)


def digest(tree: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 of a packed value, independent of the order of keys and of the file format around it."""
    found = hashlib.sha256(json.dumps(tree, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def to_bytes(value: Any) -> bytes:
    """A value as the bytes of an npz file; the same value gives the same bytes."""
    tree, arrays = pack(value)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        file.writestr(_entry(TREE), json.dumps(tree, indent=1))
        for name, array in arrays.items():
            part = io.BytesIO()
            np.lib.format.write_array(part, array, allow_pickle=False)
            file.writestr(_entry(f"{name}.npy"), part.getbuffer())
    return buffer.getvalue()


def from_bytes(data: bytes, what: str) -> Any:
    """The value of ``to_bytes``.

    Raises
    ------
    InvalidData : not such a file, or a truncated one, or one whose tree ``pack`` does not make.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            tree = json.loads(file.read(TREE))
            arrays = {
                name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(file.read(name)), allow_pickle=False)
                for name in file.namelist()
                if name != TREE
            }
        for array in arrays.values():
            array.setflags(write=False)
        return unpack(tree, arrays)
    except EqsolveError:
        raise
    except Exception as cause:  # whatever the bytes may make of zip, JSON, numpy and the constructors
        raise InvalidData(f"{what} is not a whole file of EqSolve: {type(cause).__name__}: {cause}") from cause


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))


def _pack(value: Any, path: str, arrays: Arrays, opaque: bool) -> Any:
    if isinstance(value, Enum):
        return {"enum": [_name_of(type(value)), value.name]}
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if isfinite(value) else {"float": str(float(value))}
    if isinstance(value, np.generic) and not isinstance(plain := value.item(), np.generic):
        return _pack(plain, path, arrays, opaque)
    if isinstance(value, np.ndarray):
        if isinstance(value, np.ma.MaskedArray):
            raise Unwritable(f"{path or 'the value'} is a masked array, whose mask no file would hold")
        if value.dtype.hasobject:
            raise Unwritable(f"{path or 'the value'} is an array of Python objects, which no file can hold")
        name = _free(path or "array", arrays, ("",))
        arrays[name] = value
        return {"array": name}
    if sparse.issparse(value):
        matrix = sparse.csr_array(value)
        name = _free(path, arrays, tuple(f".{part}" for part in _CSR))
        for part in _CSR:
            arrays[f"{name}.{part}"] = getattr(matrix, part)
        return {"csr": [name, *map(int, matrix.shape)]}
    if isinstance(value, tuple | list):
        listed = [_pack(one, _under(path, k), arrays, opaque) for k, one in enumerate(value)]
        return {"tuple": listed} if isinstance(value, tuple) else listed
    if isinstance(value, Mapping):
        pairs = [[_pack(k, path, arrays, opaque), _pack(v, _under(path, k), arrays, opaque)] for k, v in value.items()]
        return {"dict": pairs}
    own = getattr(value, "parts", None)
    if (callable(own) or is_dataclass(value)) and not isinstance(value, type):
        parts = own() if callable(own) else {one.name: getattr(value, one.name) for one in fields(value) if one.init}
        packed = {key: _pack(part, _under(path, key), arrays, opaque) for key, part in parts.items()}
        return {"object": [_name_of(type(value)), packed]}
    if opaque:
        return {"opaque": f"{type(value).__module__}.{getattr(value, '__qualname__', type(value).__qualname__)}"}
    raise Unwritable(
        f"{path or 'the value'} is a {type(value).__name__}, which cannot be written to a file",
        "Give tables or formulas in place of Python functions.",
    )


def _under(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _free(name: str, arrays: Arrays, endings: tuple[str, ...]) -> str:
    """The name, numbered when it is taken: the keys ``"a.b"`` and ``"a"`` with ``"b"`` in it lead to the same path."""
    found, k = name, 2
    while any(found + ending in arrays for ending in endings):
        found, k = f"{name}~{k}", k + 1
    return found


def _name_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _class(name: str) -> type:
    module, _, qualname = str(name).partition(":")
    if module.split(".")[0] not in packages() or "." in qualname:
        raise InvalidData(f"the class {name} may not be read from a file", "Only classes of EqSolve and of its plug-ins are.")
    try:
        found = getattr(import_module(module), qualname)
    except (ImportError, AttributeError) as cause:
        raise InvalidData(f"there is no class {name}", "The file may be of another version of EqSolve.") from cause
    if not (isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum) or hasattr(found, "parts"))):
        raise InvalidData(f"{name} is not a class that files may hold")
    return found


def _array(name: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
    if name not in arrays:
        raise InvalidData(f"the array {name!r} is missing")
    return arrays[name]


def _object(body: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    name, parts = body
    values = {key: unpack(part, arrays) for key, part in parts.items()}
    try:
        return _class(name)(**values)
    except TypeError as cause:
        raise InvalidData(f"{name} cannot be made of {', '.join(values)}: {cause}") from cause


def _opaque(body: Any, arrays: Mapping[str, npt.NDArray[Any]]) -> Any:
    raise InvalidData(f"{body} is a Python function, which cannot be read back from a file")


_READERS: dict[str, Callable[[Any, Mapping[str, npt.NDArray[Any]]], Any]] = {
    "array": _array,
    "csr": lambda body, arrays: sparse.csr_array(
        tuple(_array(f"{body[0]}.{part}", arrays) for part in _CSR), shape=tuple(body[1:])
    ),
    "dict": lambda body, arrays: {unpack(key, arrays): unpack(value, arrays) for key, value in body},
    "enum": lambda body, arrays: _class(body[0])[body[1]],  # type: ignore[index]  # _class gave an Enum class
    "float": lambda body, arrays: float(body),
    "object": _object,
    "opaque": _opaque,
    "tuple": lambda body, arrays: tuple(unpack(one, arrays) for one in body),
}
