"""``eqsolve sweep``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eqsolve.backends import Limits
from eqsolve.cli.app import MET, NOT_MET
from eqsolve.cli.output import Folder, print_json, table
from eqsolve.cli.solve import changes_of, limits_of
from eqsolve.driver import Status
from eqsolve.errors import InvalidData
from eqsolve.sweep import parse_values, sweep, table_head, table_rows
from eqsolve.sweep.run import Progress


def run_sweep(
    model: str,
    settings: list[str],
    seeds: tuple[int, ...] | None,
    out: Path,
    as_json: bool,
    progress: bool | None,
    *,
    seconds: float | None,
    iterations: int | None,
    **how: Any,
) -> int:
    """Run the sweep and print its table; 0 when every run converged."""
    values = {key: parse_values(text) for key, text in changes_of(tuple(settings)).items()}
    if len(values) < len(settings):
        raise InvalidData("a key is given to --set twice", "Give all its values at once: --set key=1,2,3")
    limits = limits_of(Limits(), seconds, iterations)
    Folder.checked(out)
    with _shown(sys.stderr.isatty() if progress is None else progress) as show:
        rows = sweep(model, values, seeds, out, limits=limits, progress=show, **how)
    converged = sum(row["status"] == Status.CONVERGED for row in rows)
    if as_json:
        print_json({"folder": str(out), "runs": len(rows), "converged": converged, "rows": rows})
    else:
        print(table(table_head(rows), table_rows(rows)))
        print(f"{converged} of {len(rows)} converged; saved in {out}")
    return MET if converged == len(rows) else NOT_MET


@contextmanager
def _shown(wanted: bool) -> Iterator[Progress | None]:
    """A line on stderr with the number of runs that are done."""
    if not wanted:
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("sweeping") as status:
        yield lambda done, of: status.update(f"{done:,} of {of:,} runs done")
