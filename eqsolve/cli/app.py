"""The commands, and how each kind of ending becomes an exit status."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from eqsolve.errors import EqsolveError
from eqsolve.version import __version__

MET, NOT_MET, REFUSED = 0, 1, 2
"""Exit status: converged and certified; stopped before that; refused because of an error in what was asked or given."""

INTERRUPTED = 128 + 2
"""How typer ends on Ctrl-C."""

app = typer.Typer(
    name="eqsolve",
    help="Solve large structured games by explicit programs, with certificates.",
    epilog="Exit status: 0 converged and certified, 1 stopped before that, 2 an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="A folder that --out has filled.")]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A model file, or a name from `eqsolve models`.")]
BackendOption = Annotated[str | None, typer.Option("--backend", "-b", help="Answers the programs; `eqsolve backends` lists them.")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Of everything random.")]
SecondsOption = Annotated[float | None, typer.Option("--seconds", help="Stop a run after so many seconds.")]
IterationsOption = Annotated[int | None, typer.Option("--iterations", min=1, help="Stop a run after so many steps.")]
CheckpointOption = Annotated[
    float, typer.Option("--checkpoint-seconds", metavar="S", help="At least so long between two checkpoints; 0 after every step.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", help="Independent pieces of a run at once; -1 for all cores.")]
ProgressOption = Annotated[bool | None, typer.Option("--progress/--no-progress", help="By default on a terminal.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the model file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"eqsolve {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Solve large structured games by explicit programs, with certificates."""


@app.command()
def solve(
    model: ModelArgument,
    backend: BackendOption = None,
    seed: SeedOption = None,
    as_json: JsonOption = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Save the run and its checkpoints there.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")] = False,
    checkpoint_seconds: CheckpointOption = 10.0,
    seconds: SecondsOption = None,
    iterations: IterationsOption = None,
    jobs: JobsOption = 1,
    progress: ProgressOption = None,
    changes: SetOption = None,
) -> None:
    """Solve a model and print the answer with its certificate.

    The first Ctrl-C lets the present step end and prints what was reached; the second drops the step.
    """
    from eqsolve.cli.solve import Conduct, Request, run_solve

    request = Request(model, backend, seed, seconds, iterations, tuple(changes or ()))
    raise typer.Exit(run_solve(request, Conduct(out, resume, checkpoint_seconds, jobs, progress), as_json))


@app.command()
def certify(run: RunArgument, as_json: JsonOption = False) -> None:
    """Check every byte of a saved run, and compute its certificate again from its files alone."""
    from eqsolve.cli.runs import run_certify

    raise typer.Exit(run_certify(run, as_json))


@app.command()
def report(
    run: RunArgument,
    as_json: JsonOption = False,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw the history as .png, .pdf or .svg.")] = None,
    columns: Annotated[list[str] | None, typer.Option("--column", metavar="NAME", help="Draw this column only.")] = None,
) -> None:
    """Print what a saved run says, or the table of a sweep."""
    from eqsolve.cli.runs import run_report

    raise typer.Exit(run_report(run, plot, columns or [], as_json))


@app.command()
def sweep(
    model: ModelArgument,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="One folder per run, table.csv, table.json, figure.png.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=V1,V2", help="The values to try of a key of the model file.")
    ] = None,
    seeds: Annotated[str | None, typer.Option("--seeds", metavar="SEEDS", help="10 (the seeds 0 to 9), 5..9, or 3,5,7.")] = None,
    backend: BackendOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the sweep in --out.")] = False,
    checkpoint_seconds: CheckpointOption = 10.0,
    seconds: SecondsOption = None,
    iterations: IterationsOption = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Runs at once; -1 for all cores.")] = None,
    as_json: JsonOption = False,
    progress: ProgressOption = None,
) -> None:
    """Solve a model with every combination of settings and seeds.

    Exit status 0 when every run converged and is certified.
    """
    from eqsolve.cli.sweep import run_sweep
    from eqsolve.sweep import parse_seeds

    status = run_sweep(
        model,
        settings or [],
        None if seeds is None else parse_seeds(seeds),
        out,
        as_json,
        progress,
        n_jobs=jobs,
        backend=backend,
        seconds=seconds,
        iterations=iterations,
        resume=resume,
        checkpoint_seconds=checkpoint_seconds,
    )
    raise typer.Exit(status)


@app.command()
def inspect(
    model: Annotated[str, typer.Argument(metavar="MODEL_OR_RUN", help="A model, or the folder of a saved run.")],
    program: Annotated[
        str, typer.Option("--program", metavar="SELECTOR", help="Which one; best, base or cell:217 of aggregative games.")
    ] = "",
    rows: Annotated[
        list[str] | None, typer.Option("--row", metavar="NAME[i]", help="Print a row, or a block's first ones.")
    ] = None,
    columns: Annotated[list[str] | None, typer.Option("--column", metavar="NAME[i]", help="Print a column.")] = None,
    write: Annotated[Path | None, typer.Option("--write", metavar="FILE", help="Write as .lp, .mps, .npz or .json.")] = None,
    backend: BackendOption = None,
    as_json: JsonOption = False,
    seconds: SecondsOption = None,
    changes: SetOption = None,
) -> None:
    """Print a program of a model or of a saved run, some of its rows and columns, or write it to a file.

    Without --program it is the one behind the answer of `eqsolve solve`: a model is solved for it, a saved run is not.
    """
    from eqsolve.cli.inspect import run_inspect
    from eqsolve.cli.solve import Request

    request = Request(model, backend, None, seconds, None, tuple(changes or ()))
    raise typer.Exit(run_inspect(request, program, rows or [], columns or [], write, as_json))


@app.command()
def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="The name of a paper, such as bayesian-network.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Tables and figures; reproduced/PAPER when left out.")
    ] = None,
    seed: SeedOption = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer and shorter runs.")] = False,
    as_json: JsonOption = False,
    progress: ProgressOption = None,
) -> None:
    """Compute the claims of a paper anew: tables as CSV and JSON, figures as PNG, and what reproduces.

    Exit status 0 when every run is certified, whatever reproduces. Ctrl-C keeps the parts that are complete.
    """
    from eqsolve.cli.reproduce import run_reproduce

    raise typer.Exit(run_reproduce(paper, out, seed or 0, quick, as_json, progress))


@app.command()
def backends(as_json: JsonOption = False) -> None:
    """List the backends: installed, licensed, version, capabilities."""
    from eqsolve.cli.backends import run_backends

    run_backends(as_json)


@app.command()
def models(as_json: JsonOption = False) -> None:
    """List the models that come with EqSolve."""
    from eqsolve.cli.models import run_models

    run_models(as_json)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the return value is the exit status."""
    try:
        app(args=None if arguments is None else list(arguments))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else MET
        if status == INTERRUPTED:
            print("interrupted before there was anything to report", file=sys.stderr)
            return NOT_MET
        return _flushed(status)
    except EqsolveError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return REFUSED
    except Exception:  # nobody's intention, and no sign of a run that stopped: not status 1, with which Python ends
        traceback.print_exc()
        return REFUSED
    return _flushed(MET)


def _flushed(status: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone, as in `eqsolve models | head -1`; nothing more may be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status
