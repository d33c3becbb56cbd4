"""``eqsolve certify`` and ``eqsolve report``: what a saved run says, and whether it is true."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

from eqsolve.certificates.gap import CONCEPT_NAMES, EXACT_WIDTH
from eqsolve.cli.app import MET, NOT_MET
from eqsolve.cli.output import print_json, table
from eqsolve.driver import Result
from eqsolve.driver.archive import check_run
from eqsolve.driver.report import report
from eqsolve.errors import FileTrouble, InvalidData
from eqsolve.files import replacing
from eqsolve.sweep import PLAN, read_rows, table_head, table_rows

FIGURES = (".png", ".pdf", ".svg")


def run_certify(folder: Path, as_json: bool) -> int:
    """Compute gap and value of a saved run again from its files, and compare."""
    files = len(check_run(folder)["files"])
    result = Result.load(folder)
    gap = result.recertified()
    value = float(result.system.value(result.game, result.policy))
    objection = result.algorithm.objection(result)
    compared = {
        "gap lower": (result.gap.lower, gap.lower),
        "gap upper": (result.gap.upper, gap.upper),
        "value": (result.value, value),
    }
    differing = [name for name, pair in compared.items() if not _same(*pair)]
    if (result.gap.concept, result.gap.method) != (gap.concept, gap.method):
        differing.append("kind of gap")
    verdict = _verdict(result, differing, objection)
    if as_json:
        numbers = {name: {"stored": stored, "recomputed": now} for name, (stored, now) in compared.items()}
        facts = {"run": str(folder), "verdict": verdict or "certified", "certified": not verdict, "status": str(result.status)}
        print_json(facts | {"files": files, "reproduced": not differing, "objection": objection, "gap": gap.to_json()} | numbers)
    else:
        print(report(result).splitlines()[0])
        what = CONCEPT_NAMES[result.gap.concept]
        rows = [("files", f"{files} whole", "every hash matches the manifest")]
        rows += [(name.replace("gap", what), f"{now:.10g}", _told(stored, now)) for name, (stored, now) in compared.items()]
        rows += [("steps", "objected" if objection else "hold", objection), ("status", str(result.status), result.reason)]
        print(table(("  what", "recomputed", ""), [(f"  {one[0]}", *one[1:]) for one in rows]))
        print(f"  {verdict or 'certified'}")
    return NOT_MET if verdict else MET


def _verdict(result: Result[Any, Any, Any], differing: list[str], objection: str) -> str:
    """Why the run is not certified, or nothing."""
    if differing:
        return f"not certified: {', '.join(differing)} did not come out as stored"
    if objection:
        return f"not certified: {objection}"
    if not result.is_converged:
        return f"not certified: the gap is as stored, but the run {_ended(result)}"
    return ""


def _ended(result: Result[Any, Any, Any]) -> str:
    return f"ended so: {result.status}" + (f": {result.reason}" if result.reason else "")


def _same(stored: float, now: float) -> bool:
    return stored == now or abs(stored - now) <= EXACT_WIDTH * (1.0 + abs(stored)) < inf


def _told(stored: float, now: float) -> str:
    return "as stored" if _same(stored, now) else f"NOT as stored: {stored:.10g}"


def run_report(folder: Path, plot: Path | None, columns: list[str], as_json: bool) -> int:
    """Print what a saved run says, or the table of a sweep, and draw its history."""
    if (folder / PLAN).exists():
        if plot is not None or columns:
            raise InvalidData(f"{folder} holds a sweep, whose figure is {folder / 'figure.png'}", "Plot one of its runs.")
        rows = read_rows(folder)
        if as_json:
            print_json(rows)
        else:
            print(table(table_head(rows), table_rows(rows)))
        return MET
    if plot is not None and plot.suffix.lower() not in FIGURES:
        raise InvalidData(f"--plot {plot} does not end in {', '.join(FIGURES[:-1])} or {FIGURES[-1]}")
    result = Result.load(folder)
    if plot is not None:
        if not plot.absolute().parent.is_dir():
            raise FileTrouble(f"cannot write {plot}: there is no folder {plot.parent}", "Make the folder first.")
        figure = result.plot(*columns)
        with replacing(plot) as beside:
            figure.savefig(beside)
    if as_json:
        print_json(result.to_json() | {"plot": None if plot is None else str(plot)})
    else:
        print(result)
        if plot is not None:
            print(f"  drawn in {plot}")
    return MET
