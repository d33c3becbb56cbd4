"""Programs as files: which reader and writer goes with an extension, and the name map beside LP and MPS files."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import numpy as np

from eqsolve.errors import EqsolveError, FileTrouble, InvalidProgram, unknown
from eqsolve.files import read_bytes, replacing, write_text
from eqsolve.programs.bundle import json_bundle, npz_bundle, read_json_bundle, read_npz_bundle
from eqsolve.programs.lpfile import lp_lines
from eqsolve.programs.lpreader import parse_lp
from eqsolve.programs.manifest import blocks_from, heading, load_json
from eqsolve.programs.mpsfile import inexact_ranges, mps_lines
from eqsolve.programs.mpsreader import parse_mps
from eqsolve.programs.names import block_idents, entry_idents
from eqsolve.programs.parsed import INFINITE, Parsed
from eqsolve.programs.program import Program

SUFFIXES = (".lp", ".mps", ".npz", ".json")
NAME_MAP = "eqsolve program names"
RULE = "The entry [i, j] of a block is written <ident>_i_j in the file; indices count from 0."


def write_program(program: Program, path: Path) -> Path:
    """Write a program as ``.lp``, ``.mps``, ``.npz`` or ``.json``, by the extension; whole or not at all.

    LP and MPS files hold every number by its shortest exact decimal and come with a name map ``<file>.names.json``. They do
    not hold the ``structure``, entries of A that are 0, nor the sign of a zero. Bundles (``.npz``, ``.json``) hold every
    array as it is, of every kind of program, but not the ``structure`` either.

    Raises
    ------
    InvalidProgram : cones, or finite numbers from 1e20 on (which mean infinity there), to LP or MPS; use a bundle.
    UnknownName : another extension.
    FileTrouble : the folder does not exist or cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from eqsolve.programs import ProgramBuilder
    >>> builder = ProgramBuilder("one")
    >>> share = builder.columns("share", (2,), axes=("road",), labels=(("north road", "south road"),), upper=1.0)
    >>> with TemporaryDirectory() as folder:
    ...     back = read_program(write_program(builder.build(), Path(folder) / "one.lp"))
    >>> back.column_name(1)
    'share[south road]'
    """
    suffix = _suffix(path)
    if path.is_dir():
        raise FileTrouble(f"cannot write {path}: it is a folder", "Choose another name.")
    if suffix == ".npz":
        with replacing(path) as beside:
            beside.write_bytes(npz_bundle(program))
        return path
    if suffix == ".json":
        return write_text(path, json_bundle(program))
    _check_expressible(program, suffix)
    column_idents, row_idents = block_idents(program.columns, "column"), block_idents(program.rows, "row")
    columns, rows = entry_idents(program.columns, column_idents), entry_idents(program.rows, row_idents)
    lines = (lp_lines if suffix == ".lp" else mps_lines)(program, columns, rows)
    content = ("\n".join(lines) + "\n").encode("ascii")
    names = heading(program, NAME_MAP) | {"file": path.name, "sha256": sha256(content).hexdigest(), "rule": RULE}
    for block, ident in zip(names["columns"] + names["rows"], column_idents + row_idents, strict=True):
        block["ident"] = ident
    names["row_upper"] = inexact_ranges(program, rows) if suffix == ".mps" else {}
    # Both are complete before either is renamed; between the two renames the hash keeps a new map off an old file.
    with replacing(path) as beside, replacing(name_map_path(path)) as map_beside:
        beside.write_bytes(content)
        map_beside.write_text(json.dumps(names, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def read_program(path: Path) -> Program:
    """Read a program from ``.lp``, ``.mps``, ``.npz`` or ``.json``.

    With its name map beside it, an LP or MPS file gives the program that was written: blocks, labels, order, note. Without
    one (a file of another tool), columns and rows are the blocks ``x`` and ``row``, labelled by the names in the file.

    Raises
    ------
    FileTrouble : the file is not there or may not be read.
    InvalidProgram : truncated, changed since its name map was written, or not of its format; the message names file and line.
    UnknownName : another extension.
    """
    suffix = _suffix(path)
    content = read_bytes(path, "program")
    if suffix == ".npz":
        return read_npz_bundle(path, content)
    if suffix == ".json":
        return read_json_bundle(path, content)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise InvalidProgram(f"{path} is not a text file: {cause}", "Is it compressed?") from cause
    parsed = (parse_lp if suffix == ".lp" else parse_mps)(path, text)
    beside = name_map_path(path)
    try:
        if beside.exists():
            return _named(parsed, beside, content)
        parsed.name = parsed.name or path.stem
        return parsed.program()
    except EqsolveError as cause:
        if str(path) in cause.what:
            raise
        raise InvalidProgram(f"{path}: {cause.what}", cause.remedy) from cause


def name_map_path(path: Path) -> Path:
    """Where the name map of an LP or MPS file stands: ``stage.lp.names.json`` beside ``stage.lp``."""
    return path.with_name(f"{path.name}.names.json")


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise unknown("extension of a program file", path.suffix or path.name, SUFFIXES)
    return suffix


def _check_expressible(program: Program, suffix: str) -> None:
    if program.cones:
        raise InvalidProgram(
            f"program {program.name!r} has {len(program.cones)} cones; a {suffix} file cannot hold them",
            "Write a bundle: program.write('name.npz') or 'name.json'.",
        )
    parts = {
        "c": program.c,
        "row_lower": program.row_lower,
        "row_upper": program.row_upper,
        "col_lower": program.col_lower,
        "col_upper": program.col_upper,
        "A": program.A.data,
        "Q": np.zeros(0) if program.Q is None else program.Q.data,
        "offset": np.asarray([program.offset]),
    }
    for name, values in parts.items():
        large = np.isfinite(values) & (np.abs(values) >= INFINITE)
        if large.any():
            raise InvalidProgram(
                f"{name} of program {program.name!r} holds {values[large][0]:g}; solvers take it in a {suffix} file as infinite",
                "Write infinity, scale the program, or write a bundle (.npz).",
            )


def _named(parsed: Parsed, beside: Path, content: bytes) -> Program:
    """The program under the names of its map."""
    names = load_json(beside, read_bytes(beside, "name map"), NAME_MAP)
    try:
        if names["sha256"] != sha256(content).hexdigest():
            raise InvalidProgram(
                f"{parsed.path} is not the file that {beside.name} was written for",
                f"It was changed since. Delete {beside.name} to read the file under its own names.",
            )
        column_blocks, row_blocks = blocks_from(names["columns"]), blocks_from(names["rows"])
        columns = entry_idents(column_blocks, [one["ident"] for one in names["columns"]])
        rows = entry_idents(row_blocks, [one["ident"] for one in names["rows"]])
        for ident, value in names["row_upper"].items():
            parsed.row_upper[parsed.row_at[ident]] = float(value)
        parsed.name = str(names["name"])
        note = str(names["note"])
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        if isinstance(cause, EqsolveError):
            raise
        raise InvalidProgram(f"{beside} is not a name map: {cause!r}", "Delete it to read the file under its own names.") from cause
    return parsed.arranged(columns, rows, column_blocks, row_blocks, note)
