"""``eqsolve inspect``."""

from __future__ import annotations

from pathlib import Path

from eqsolve.cli.app import MET
from eqsolve.cli.output import print_json
from eqsolve.cli.solve import Conduct, Request, run_model
from eqsolve.driver import Result
from eqsolve.errors import FileTrouble, InvalidData, UnknownName
from eqsolve.files import MANIFEST
from eqsolve.modelfile.locate import shipped_paths
from eqsolve.programs import Program


def run_inspect(request: Request, selector: str, rows: list[str], columns: list[str], write: Path | None, as_json: bool) -> int:
    """Print the program, or the rows and columns asked for; write it where asked."""
    if write is not None and not write.absolute().parent.is_dir():
        raise FileTrouble(f"cannot write {write}: there is no folder {write.parent}", "Make the folder first.")
    program = select_program(request, selector)
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


def select_program(request: Request, selector: str) -> Program:
    """A program of a model, or of a saved run, which is not solved again.

    Raises
    ------
    UnknownName, InvalidData : a selector that the algorithm does not have; a change to a saved run.
    InvalidRun : the saved run has changed.
    """
    folder = Path(request.model)
    if not folder.is_dir() or (request.model in shipped_paths() and not (folder / MANIFEST).exists()):
        model = request.read()
        found: Program = model.algorithm.select(model.game, selector, lambda: run_model(model, Conduct()))
        return found
    if request != Request(request.model):
        raise InvalidData(f"{request.model} is a saved run, in which nothing can be changed", "Inspect the model instead.")
    result = Result.load(folder)
    return result.algorithm.select(result.game, selector, lambda: result)


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
