"""What a program is called, as JSON: the part of it that is not numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eqsolve.errors import InvalidProgram
from eqsolve.programs.block import Block
from eqsolve.programs.program import Program

VERSION = 1


def heading(program: Program, form: str) -> dict[str, Any]:
    """Format, version, name, note, sense and blocks."""
    return {
        "format": form,
        "version": VERSION,
        "name": program.name,
        "note": program.note,
        "sense": program.sense,
        "columns": [block_data(block) for block in program.columns],
        "rows": [block_data(block) for block in program.rows],
    }


def block_data(block: Block) -> dict[str, Any]:
    """A block as JSON: name, axes, shape or counts, labels."""
    extent = {"shape": list(block.shape)} if block.shape is not None else {}
    if block.counts is not None:
        extent = {"counts": block.counts.tolist()}
    labels = [None if names is None else list(names) for names in block.labels]
    return {"name": block.name, "axes": list(block.axes), **extent, "labels": labels}


def blocks_from(data: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    """The blocks again, one after the other."""
    blocks: list[Block] = []
    start = 0
    for one in data:
        counts = np.asarray(one["counts"], dtype=np.int64) if "counts" in one else None
        shape = None if counts is not None else tuple(int(side) for side in one["shape"])
        labels = tuple(None if names is None else tuple(map(str, names)) for names in one["labels"])
        blocks.append(Block(str(one["name"]), tuple(map(str, one["axes"])), start, shape, counts, labels))
        start = blocks[-1].stop
    return tuple(blocks)


def load_json(path: Path, content: bytes | str, form: str) -> dict[str, Any]:
    """A JSON object of the given format and of a version that this library reads.

    Raises
    ------
    InvalidProgram : not JSON (with the line), of another format, or of a later version.
    """
    try:
        data = json.loads(content)
    except json.JSONDecodeError as cause:
        raise InvalidProgram(
            f"{path}, line {cause.lineno}: not JSON: {cause.msg}", "The file is truncated or was edited."
        ) from cause
    except UnicodeDecodeError as cause:
        raise InvalidProgram(f"{path} is not a text file: {cause}") from cause
    if not isinstance(data, dict) or data.get("format") != form:
        raise InvalidProgram(f"{path} does not hold the format {form!r}", "It was not written by Program.write.")
    if data.get("version") != VERSION:
        raise InvalidProgram(f"{path} has version {data.get('version')} of its format; this library reads {VERSION}")
    return data
