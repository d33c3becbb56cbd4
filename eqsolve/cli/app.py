"""The commands, and how each kind of ending becomes an exit status."""

from __future__ import annotations

import os
import sys
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

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A model file, or a name from `eqsolve models`.")]
BackendOption = Annotated[str | None, typer.Option("--backend", "-b", help="Answers the programs; `eqsolve backends` lists them.")]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Of everything random.")]
SecondsOption = Annotated[float | None, typer.Option("--seconds", help="Stop the search after so many seconds.")]
IterationsOption = Annotated[int | None, typer.Option("--iterations", min=1, help="Stop after so many programs.")]
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
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Save result.json, equilibrium.npz, actions.csv.")
    ] = None,
    seconds: SecondsOption = None,
    iterations: IterationsOption = None,
    changes: SetOption = None,
) -> None:
    """Solve a model and print the answer with its certificate."""
    from eqsolve.cli.solve import Request, run_solve

    request = Request(model, backend, seed, seconds, iterations, tuple(changes or ()))
    raise typer.Exit(run_solve(request, as_json, out))


@app.command()
def inspect(
    model: ModelArgument,
    program: Annotated[str, typer.Option("--program", metavar="SELECTOR", help="best, base, or cell:217.")] = "best",
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
    """Print a program of a model, some of its rows and columns, or write it to a file.

    `best` is the program that `eqsolve solve` selects (the search is run); `base` has the whole attainable range as its cell.
    """
    from eqsolve.cli.inspect import run_inspect
    from eqsolve.cli.solve import Request

    request = Request(model, backend, None, seconds, None, tuple(changes or ()))
    raise typer.Exit(run_inspect(request, program, rows or [], columns or [], write, as_json))


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
    return _flushed(MET)


def _flushed(status: int) -> int:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has gone, as in `eqsolve models | head -1`; nothing more may be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status
