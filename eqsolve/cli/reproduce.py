"""``eqsolve reproduce``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

from eqsolve.cli.app import MET, NOT_MET
from eqsolve.cli.output import Folder, print_json, table
from eqsolve.driver.interrupt import Interrupts
from eqsolve.errors import unknown
from eqsolve.reproduce import PAPERS, Part, reproduce
from eqsolve.version import __version__


def run_reproduce(paper: str, out: Path | None, seed: int, quick: bool, as_json: bool, progress: bool | None) -> int:
    """Compute the parts of a paper, write and print them; 0 when every run is certified."""
    if paper not in PAPERS:
        raise unknown("paper", paper, PAPERS)
    folder = Path("reproduced") / paper if out is None else out
    Folder.checked(folder)
    began, done, ended = perf_counter(), list[Part](), "complete"
    try:
        with _shown(sys.stderr.isatty() if progress is None else progress) as show, Interrupts() as interrupts:
            interrupts.asked = True  # The first signal ends the work, between runs too.
            for part in reproduce(paper, folder, seed=seed, quick=quick, show=show):
                done.append(part)
                if not as_json:
                    print(f"{part.title}\n{table(part.shown[0], part.shown[1:])}\n", flush=True)
    except KeyboardInterrupt:
        ended = "interrupted"
    runs, certified = sum(part.runs for part in done), sum(part.certified for part in done)
    seconds = perf_counter() - began
    if as_json:
        facts = {"paper": paper, "seed": seed, "quick": quick, "version": __version__, "status": ended, "folder": str(folder)}
        facts |= {"parts": [part.name for part in done], "runs": runs, "certified": certified, "seconds": seconds}
        print_json(facts | {"claims": [dict(row) for part in done if part.name == "claims" for row in part.rows]})
    else:
        print(f"{ended}: {certified:,} of {runs:,} runs certified; {len(done)} parts saved in {folder}, {seconds:.1f} s")
    return MET if ended == "complete" and certified == runs else NOT_MET


@contextmanager
def _shown(wanted: bool) -> Iterator[Callable[[str], None] | None]:
    """A line on stderr with what is being computed."""
    if not wanted:
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("reproducing") as status:
        yield lambda text: status.update(text)
