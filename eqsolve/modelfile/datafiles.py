"""Arrays in files beside a model file: columns of a CSV file, entries of an npz file."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray
from eqsolve.errors import FileTrouble, InvalidModelFile, unknown
from eqsolve.files import read_bytes


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file: the header, the cells as text column by column, and the line on which each row stands."""

    path: Path
    header: tuple[str, ...]
    cells: dict[str, list[str]]
    lines: list[int]

    def text(self, column: str) -> tuple[str, ...]:
        """A column as text.

        Raises
        ------
        InvalidModelFile : no such column; the nearest one is named.
        """
        if column not in self.cells:
            error = unknown("column", column, self.header)
            raise InvalidModelFile(f"{self.path} has no column {column!r}", error.remedy)
        return tuple(self.cells[column])

    def numbers(self, column: str) -> FloatArray:
        """A column as numbers.

        Raises
        ------
        InvalidModelFile : no such column, or a cell that is not a finite number; the message names the line.
        """
        cells = self.text(column)
        try:
            values = np.array([float(cell) for cell in cells])
        except ValueError:
            values = np.array([_number(cell) for cell in cells])
        bad = ~np.isfinite(values)
        if bad.any():
            k = int(np.argmax(bad))
            what = "is empty" if not cells[k] else f"is {cells[k]!r}, not a finite number"
            raise InvalidModelFile(
                f"{self.path}:{self.lines[k]}: column {column!r} {what}",
                "Write numbers as 12.5, without units or thousands separators.",
            )
        return values


@dataclass(frozen=True, slots=True)
class DataFolder:
    """The folder of a model file; each data file is read once."""

    folder: Path
    tables: dict[str, Table] = field(default_factory=dict)
    archives: dict[str, dict[str, npt.NDArray[Any]]] = field(default_factory=dict)

    def table(self, name: str) -> Table:
        """The CSV file of that name."""
        if name not in self.tables:
            self.tables[name] = read_csv(self.folder / name)
        return self.tables[name]

    def entry(self, name: str, key: str) -> npt.NDArray[Any]:
        """One array of the npz file of that name.

        Raises
        ------
        InvalidModelFile : no such key; the nearest one is named.
        """
        if name not in self.archives:
            self.archives[name] = read_npz(self.folder / name)
        held = self.archives[name]
        if key not in held:
            raise InvalidModelFile(f"{self.folder / name} has no array {key!r}", unknown("array", key, held).remedy)
        return held[key]


def read_csv(path: Path) -> Table:
    """Read a CSV file: UTF-8, commas, one header line.

    Raises
    ------
    InvalidModelFile : not there, not text, no header, a column name given twice, or a row of another length; the message
        names the line.
    """
    try:
        text = _content(path, "CSV file").decode("utf-8-sig")
    except UnicodeDecodeError as cause:
        raise InvalidModelFile(f"{path} is not a text file: byte {cause.start} is not UTF-8", "Save it as CSV in UTF-8.") from cause
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    lines: list[int] = []
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row:
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
    except csv.Error as cause:
        raise InvalidModelFile(
            f"{path}:{reader.line_num}: not CSV: {cause}", "Check the quotes; the file may be truncated."
        ) from cause
    if not rows:
        raise InvalidModelFile(f"{path} is empty", "The first line names the columns.")
    header = rows[0]
    for name in header:
        if header.count(name) > 1:
            raise InvalidModelFile(f"{path}: two columns are named {name!r}")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(header):
            hint = (
                "Cells are separated by commas."
                if any(";" in cell for cell in header)
                else "Every row has a cell for every column."
            )
            raise InvalidModelFile(f"{path}:{line}: {len(row)} cells, but the header names {len(header)}", hint)
    columns = zip(*rows[1:], strict=True) if len(rows) > 1 else ((),) * len(header)
    return Table(path, tuple(header), {name: list(cells) for name, cells in zip(header, columns, strict=True)}, lines[1:])


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read an npz file whole.

    Raises
    ------
    InvalidModelFile : not there, not an npz file, truncated, or an array of Python objects, which only pickle could load.
    """
    content = _content(path, "npz file")
    remedy = "Write it with numpy.savez(file, name=array)."
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise InvalidModelFile(f"{path} is not an npz file, or is truncated", remedy)
    held: dict[str, npt.NDArray[Any]] = {}
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            for key in archive.files:
                held[key] = _plain(path, key, archive)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as cause:
        raise InvalidModelFile(f"{path} is not an npz file, or is damaged: {cause}", remedy) from cause
    return held


def _plain(path: Path, key: str, archive: Any) -> npt.NDArray[Any]:
    try:
        value = archive[key]
    except ValueError as cause:
        what = "holds Python objects, which are not loaded" if "pickle" in str(cause) else f"cannot be read: {cause}"
        raise InvalidModelFile(f"{path}: array {key!r} {what}", "Save it as numbers or fixed-width text.") from cause
    if not isinstance(value, np.ndarray):
        raise InvalidModelFile(f"{path}: {key!r} is not a numpy array", "Write it with numpy.savez(file, name=array).")
    return value


def _content(path: Path, what: str) -> bytes:
    """The bytes of a data file; one that is not there is refused together with the key that names it."""
    try:
        return read_bytes(path, what)
    except FileTrouble as cause:
        raise InvalidModelFile(cause.what, "Data files are named relative to the folder of the model file.") from cause


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan
