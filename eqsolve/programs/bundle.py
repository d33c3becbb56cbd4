"""Bundles: a whole program of any kind in one file, as npz or as JSON, byte by byte."""

from __future__ import annotations

import json
import zlib
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from scipy import sparse

from eqsolve.errors import InvalidProgram
from eqsolve.programs.cone import Cone
from eqsolve.programs.manifest import blocks_from, heading, load_json
from eqsolve.programs.program import Program

FORM = "eqsolve program"
Arrays: TypeAlias = dict[str, npt.NDArray[Any]]
VECTORS = ("c", "row_lower", "row_upper", "col_lower", "col_upper")
DAMAGED = "The file is truncated or was edited; write it again from its source."


def npz_bundle(program: Program) -> bytes:
    """The program as the bytes of an npz file: its arrays, and the entry ``manifest`` with names, sizes and a hash as JSON.

    No pickle. The same program gives the same bytes. ``structure`` is code and not held; attach it again after reading.
    """
    arrays, manifest = _taken_apart(program)
    buffer = BytesIO()
    text = json.dumps(manifest, ensure_ascii=False).encode("utf-8")
    np.savez(buffer, manifest=np.frombuffer(text, dtype=np.uint8), **arrays)  # type: ignore[arg-type]  # names are no options
    return buffer.getvalue()


def json_bundle(program: Program) -> str:
    """The program as JSON text that a person can read: the manifest and, under ``arrays``, every array as a list on one line.

    Numbers are shortest exact decimals, infinities the words ``"inf"`` and ``"-inf"``.
    """
    arrays, manifest = _taken_apart(program)
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in manifest.items()]
    listed = [f"  {json.dumps(name)}: {json.dumps(_plain(array))}" for name, array in arrays.items()]
    return "\n".join(["{", *lines, ' "arrays": {', ",\n".join(listed), " }", "}"]) + "\n"


def read_npz_bundle(path: Path, content: bytes) -> Program:
    """The program in the bytes of an npz bundle.

    Raises
    ------
    InvalidProgram : truncated, changed, or not a bundle.
    """
    try:
        with np.load(BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        manifest = load_json(path, arrays.pop("manifest").tobytes(), FORM)
    except (BadZipFile, zlib.error, KeyError, EOFError, OSError, AttributeError, ValueError) as cause:
        if isinstance(cause, InvalidProgram):
            raise
        raise InvalidProgram(f"{path} is not a program bundle: {cause}", DAMAGED) from cause
    return _put_together(path, manifest, arrays)


def read_json_bundle(path: Path, content: bytes) -> Program:
    """The program in a JSON bundle.

    Raises
    ------
    InvalidProgram : truncated (the message names the line), changed, or not a bundle.
    """
    manifest = load_json(path, content, FORM)
    try:
        dtypes = manifest["dtypes"]
        arrays = {str(name): np.asarray(values, dtype=np.dtype(dtypes[name])) for name, values in manifest.pop("arrays").items()}
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as cause:
        raise InvalidProgram(f"{path} is not a program bundle: {cause!r}", DAMAGED) from cause
    return _put_together(path, manifest, arrays)


def _taken_apart(program: Program) -> tuple[Arrays, dict[str, Any]]:
    arrays: Arrays = {name: getattr(program, name) for name in VECTORS}
    arrays["offset"] = np.asarray(program.offset)
    for name, matrix in (("A", program.A), ("Q", program.Q)):
        if matrix is not None:
            arrays |= {f"{name}_data": matrix.data, f"{name}_indices": matrix.indices, f"{name}_indptr": matrix.indptr}
    if program.integrality is not None:
        arrays["integrality"] = program.integrality
    if program.cones:
        arrays["cone_rows"] = np.concatenate([cone.rows for cone in program.cones])
        arrays["cone_shift"] = np.concatenate([cone.shift for cone in program.cones])
        arrays["cone_sizes"] = np.asarray([len(cone.rows) for cone in program.cones], dtype=np.int64)
    manifest = heading(program, FORM) | {
        "kind": program.kind,
        "size": [program.n_rows, program.n_columns],
        "cones": [cone.kind for cone in program.cones],
        "dtypes": {name: array.dtype.str for name, array in arrays.items()},
    }
    return arrays, manifest | {"sha256": _hash(manifest, arrays)}


def _hash(manifest: dict[str, Any], arrays: Arrays) -> str:
    """Of everything that the program is made of."""
    digest = sha256(json.dumps(manifest, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _plain(array: npt.NDArray[Any]) -> Any:
    values = array.tolist()
    if array.dtype.kind != "f":
        return values
    if array.ndim == 0:
        return values
    return [value if np.isfinite(value) else str(value) for value in values] if not np.isfinite(array).all() else values


def _put_together(path: Path, manifest: dict[str, Any], arrays: Arrays) -> Program:
    try:
        given = manifest.pop("sha256")
        if given != _hash(manifest, arrays):
            raise InvalidProgram(f"{path}: its content does not match its hash", DAMAGED)
        m, n = manifest["size"]
        return Program(
            name=manifest["name"],
            note=manifest["note"],
            sense=manifest["sense"],
            offset=float(arrays["offset"]),
            A=_matrix(arrays, "A", (m, n)),
            Q=_matrix(arrays, "Q", (n, n)) if "Q_data" in arrays else None,
            integrality=arrays.get("integrality"),
            cones=_cones(manifest["cones"], arrays),
            columns=blocks_from(manifest["columns"]),
            rows=blocks_from(manifest["rows"]),
            c=arrays["c"],
            row_lower=arrays["row_lower"],
            row_upper=arrays["row_upper"],
            col_lower=arrays["col_lower"],
            col_upper=arrays["col_upper"],
        )
    except InvalidProgram as cause:
        if str(path) in cause.what:
            raise
        raise InvalidProgram(f"{path}: {cause.what}", cause.remedy) from cause
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        raise InvalidProgram(f"{path} is not a program bundle: {cause!r}", DAMAGED) from cause


def _matrix(arrays: Arrays, name: str, shape: tuple[int, int]) -> sparse.csc_array:
    return sparse.csc_array((arrays[f"{name}_data"], arrays[f"{name}_indices"], arrays[f"{name}_indptr"]), shape=shape)


def _cones(kinds: list[Any], arrays: Arrays) -> tuple[Cone, ...]:
    if not kinds:
        return ()
    ends = np.cumsum(arrays["cone_sizes"])[:-1]
    rows, shifts = np.split(arrays["cone_rows"], ends), np.split(arrays["cone_shift"], ends)
    return tuple(Cone(kind, one, shift) for kind, one, shift in zip(kinds, rows, shifts, strict=True))
