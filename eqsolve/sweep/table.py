"""The table of a sweep, made of its run folders."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eqsolve.driver.archive import read_run
from eqsolve.driver.history import data_frame
from eqsolve.errors import EqsolveError, InvalidData
from eqsolve.files import MANIFEST, json_text, read_bytes, replacing, write_text
from eqsolve.sweep.figure import sweep_figure
from eqsolve.sweep.plan import Cell, read_plan

if TYPE_CHECKING:
    import pandas as pd

ERROR, RESULT = "error.json", "result.json"
TABLE = "table.json"
Row = dict[str, Any]


def collect(folder: Path, cells: Iterable[Cell]) -> list[Row]:
    """One row per run, from what its folder holds; every hash is checked."""
    rows = [_row(folder, cell) for cell in cells]
    bounds = list(dict.fromkeys(key for row in rows for key in row if key.startswith("bound ")))
    ends = ("iterations", "seconds", "error")
    return [
        {key: row[key] for key in row if key not in ends and key not in bounds}
        | {key: row.get(key) for key in bounds}
        | {key: row[key] for key in ends}
        for row in rows
    ]


def _row(folder: Path, cell: Cell) -> Row:
    at = folder / cell.folder
    row: Row = {"run": cell.number, "folder": cell.folder, **cell.settings, "seed": cell.seed}
    row |= dict.fromkeys(("status", "value", "gap_lower", "gap_upper", "iterations", "seconds", "error"))
    if (at / ERROR).exists():
        try:
            told = json.loads(read_bytes(at / ERROR))
            return row | {"error": f"{told['error']}: {told['message']}"}
        except (ValueError, KeyError, TypeError):
            return row | {"error": f"{at / ERROR} is damaged"}
    if not (at / MANIFEST).exists():
        return row
    try:
        held = json.loads(read_run(at)[1][RESULT])
    except EqsolveError as error:
        return row | {"error": f"{type(error).__name__}: {error}"}
    found = {key: held[key] for key in ("status", "value", "iterations")}
    found |= {"gap_lower": held["gap"]["lower"], "gap_upper": held["gap"]["upper"], "seconds": sum(held["seconds"].values())}
    return row | found | {f"bound {one['name']}": one["value"] for one in held["bounds"]}


def write_table(folder: Path, rows: list[Row]) -> list[Row]:
    """Write ``table.csv``, ``table.json`` and, where a run has an answer, ``figure.png``."""
    write_text(folder / TABLE, f"{json_text(rows)}\n")
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(rows[0])
    table.writerows([_cell_text(value) for value in row.values()] for row in rows)
    write_text(folder / "table.csv", text.getvalue())
    settings = {key: list(values) for key, values in read_plan(folder)["settings"].items()}
    figure = sweep_figure(rows, settings)
    if figure is None:
        (folder / "figure.png").unlink(missing_ok=True)
    else:
        with replacing(folder / "figure.png") as beside:
            figure.savefig(beside, dpi=150)
    return rows


def read_rows(folder: str | Path) -> list[Row]:
    """The rows of a sweep's table.

    Raises
    ------
    FileTrouble : there is none. InvalidData : it is damaged.
    """
    path = Path(folder) / TABLE
    try:
        rows: list[Row] = json.loads(read_bytes(path, "table of the sweep"))
    except ValueError as cause:
        raise InvalidData(f"{path} is damaged", "Sweep again with --resume, which writes it anew.") from cause
    return rows


def to_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows as a pandas frame.

    Raises
    ------
    BackendUnavailable : pandas is not installed.
    """
    return data_frame(list(rows))


def table_head(rows: Sequence[Row]) -> list[str]:
    """The columns for a terminal: without the folder and the bounds."""
    return [key for key in rows[0] if key != "folder" and not key.startswith("bound ")]


def table_rows(rows: Sequence[Row]) -> list[list[str]]:
    """The cells for a terminal; of an error its first line."""
    return [[_shown(key, row[key]) for key in table_head(rows)] for row in rows]


def _shown(key: str, value: Any) -> str:
    if value is None:
        return "not run" if key == "status" else ""
    if isinstance(value, float):
        return f"{value:.2f}" if key == "seconds" else f"{value:.6g}"
    return str(value).partition("\n")[0]


def _cell_text(value: Any) -> Any:
    """Numbers keep every digit; lists and mappings stand as JSON."""
    return json.dumps(value) if isinstance(value, list | dict | bool) else value
