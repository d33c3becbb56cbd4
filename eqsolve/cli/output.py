"""What the commands share: JSON, aligned tables, and a folder that can be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from eqsolve.errors import FileTrouble
from eqsolve.files import json_text


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(json_text(value))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An aligned table, one line per row, never wrapped, so that it can be searched and cut by columns."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is known to be writable, or that can be made."""

    path: Path

    @staticmethod
    def checked(path: Path | None) -> Folder | None:
        """Find out before the work whether its result can be saved; nothing is left behind.

        Raises
        ------
        FileTrouble : the path is a file, or the folder (or the nearest one above it that exists) cannot be written.
        """
        if path is None:
            return None
        at = path.absolute()
        while not at.exists() and at != at.parent:
            at = at.parent
        if not at.is_dir():
            raise FileTrouble(f"cannot save in {path}: {at} is a file, not a folder", "Choose another folder with --out.")
        try:
            with TemporaryFile(dir=at):
                pass
        except OSError as cause:
            raise FileTrouble(f"cannot save in {path}: {at}: {cause.strerror}", "Choose a folder that may be written.") from cause
        return Folder(path)
