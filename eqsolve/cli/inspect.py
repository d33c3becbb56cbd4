"""``eqsolve inspect``."""

from __future__ import annotations

from pathlib import Path

from eqsolve.cli.app import MET
from eqsolve.cli.output import print_json
from eqsolve.cli.solve import Request, search
from eqsolve.errors import FileTrouble, InvalidData, UnknownName, unknown
from eqsolve.modelfile import Model
from eqsolve.programs import Program, ProgramFamily

SELECTORS = ("best", "base", "cell:NUMBER")


def run_inspect(request: Request, selector: str, rows: list[str], columns: list[str], write: Path | None, as_json: bool) -> int:
    """Print the program, or the rows and columns asked for; write it where asked."""
    model = request.read()
    if write is not None and not write.absolute().parent.is_dir():
        raise FileTrouble(f"cannot write {write}: there is no folder {write.parent}", "Make the folder first.")
    program = select_program(model, selector)
    entries = {text: program.row(*parse_entry(text)) for text in rows}
    entries |= {text: program.column(*parse_entry(text)) for text in columns}
    if write is not None:
        program.write(write)
    if as_json:
        print_json({**program.summary(), "entries": entries, "written": None if write is None else str(write)})
        return MET
    if entries:
        print("\n".join(entries.values()))
    elif write is None:
        print(program)
    if write is not None:
        sense = "; to maximise, which CBC's own executable needs to be told by -max" if _hides_sense(program, write) else ""
        print(f"wrote {write}: {program.n_columns:,} columns, {program.n_rows:,} rows{sense}")
    return MET


def _hides_sense(program: Program, path: Path) -> bool:
    return program.sense == "max" and path.suffix.lower() == ".mps"


def select_program(model: Model, selector: str) -> Program:
    """The program that ``best``, ``base`` or ``cell:217`` names.

    Raises
    ------
    UnknownName : another selector. InvalidData : a cell that the grid does not have.
    """
    if selector == "best":
        return search(model).program()
    family: ProgramFamily = model.algorithm.family(model.game.merged())
    if selector == "base":
        return family.base
    kind, _, number = selector.partition(":")
    if kind != "cell":
        raise unknown("program", selector, SELECTORS)
    size = family.size
    if not number.isdecimal() or int(number) >= size:
        raise InvalidData(f"there is no cell {number or '(none)'} in a grid of {size:,} cells", f"Give cell:0 to cell:{size - 1}.")
    return family[int(number)]


def parse_entry(text: str) -> tuple[str, *tuple[str, ...]]:
    """Block and indices of ``p[418, road 2]``; numbers may stand for labels.

    Raises
    ------
    UnknownName : the brackets do not match.
    """
    name, bracket, rest = text.strip().partition("[")
    if not bracket:
        return (name,)
    if not rest.endswith("]"):
        raise UnknownName(f"{text!r} does not name a row or column", "Write a name and indices: aggregator[0], p[418, 2].")
    return (name, *(one.strip() for one in rest[:-1].split(",")))
