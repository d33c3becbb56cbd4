"""``eqsolve.solve``: the one loop that runs every algorithm."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from eqsolve.arrays import real_number, whole_number
from eqsolve.backends import Limits, get_backend
from eqsolve.driver.algorithm import Algorithm, Run
from eqsolve.driver.checkpoint import Checkpoints, Saver, identity_of
from eqsolve.driver.history import History
from eqsolve.driver.interrupt import Interrupts
from eqsolve.driver.progress import Progress, reporter
from eqsolve.driver.result import Provenance, Result
from eqsolve.driver.status import NothingReached, OutOfTime, Status
from eqsolve.driver.system import system_of
from eqsolve.errors import BackendUnavailable, InvalidData
from eqsolve.version import __version__


def solve(
    game: Any,
    algorithm: Algorithm[Any, Any, Any] | None = None,
    *,
    backend: str = "auto",
    seed: int = 0,
    limits: Limits | None = None,
    n_jobs: int = 1,
    progress: bool | Progress = False,
    checkpoint: Checkpoints | str | Path | None = None,
) -> Any:
    """Solve a game and certify the answer.

    Parameters
    ----------
    algorithm : the default of the game's kind when left out.
    backend : answers the programs; ``auto`` picks one by their kind.
    seed : of everything random; the same seed gives the same answer.
    limits : a budget of seconds and of iterations (steps). What was reached when it ends is returned, and its status says so.
    n_jobs : independent pieces at once, through joblib; solvers stay single-threaded.
    progress : show the run on the terminal, or a function called with the number of the iteration and its record.
    checkpoint : a folder, or ``Checkpoints(folder, seconds, resume)``.

    Returns
    -------
    Result, of the class that belongs to the algorithm. The first Ctrl-C (or SIGTERM) lets the present step end and returns what
    was reached, certified; the second drops the step.

    Raises
    ------
    InvalidData : the game is of no kind that EqSolve knows, or a parameter is out of range.
    NothingReached : the run ended before there was any answer.
    BackendUnavailable, UnknownName : the backend.
    InvalidCheckpoint : the checkpoint to resume from is of another run.
    """
    system = system_of(game)
    chosen = system.default_algorithm(game) if algorithm is None else algorithm
    if not isinstance(chosen, system.algorithms):
        names = ", ".join(one.__name__ for one in system.algorithms)
        raise InvalidData(f"algorithm is {chosen!r}, which does not solve {system.name} games", f"These do: {names}.")
    run = Run(_usable(backend), whole_number("seed", seed, 0), checked_limits(limits), _jobs(n_jobs))
    asked = checkpoint if isinstance(checkpoint, Checkpoints | None) else Checkpoints(checkpoint)
    saver = Saver(asked, {} if asked is None else identity_of(game, chosen, run.backend, run.seed, __version__))
    with Interrupts() as interrupts, saver:
        resumed = saver.load()
        with reporter(progress, chosen, interrupts, saver.notes) as report:
            try:
                state, history = resumed or (chosen.init(game, run), History())
                built = run.seconds
                state, status = _loop(game, chosen, run, state, history, saver, interrupts, report)
            finally:
                run.release()
            try:
                policy = chosen.finish(game, state, run)
            except NothingReached as end:
                end.notes = tuple(saver.notes)
                raise
            status = Status.INTERRUPTED if run.interrupted else status
            solved = run.seconds
            gap = system.certify(game, policy)
            return _result(game, chosen, run, state, history, status, policy, gap, saver, (built, solved))


def _loop(
    game: Any,
    algorithm: Algorithm[Any, Any, Any],
    run: Run,
    state: Any,
    history: History,
    saver: Saver,
    interrupts: Interrupts,
    report: Progress,
) -> tuple[Any, Status]:
    """Step until the algorithm's own rule, the budget or a signal ends the run."""
    try:
        while True:
            run.iteration = len(history)
            status = algorithm.done(game, state)
            resumable = run.iteration % algorithm.period == 0
            if resumable or status is not None:
                run.release()
                cut = status or _cut(run.limits, run, interrupts)
                saver.offer(state, history, last=cut is not None)
            else:
                cut = _cut(run.limits, run, interrupts)
            if cut is not None:
                status = cut
                break
            state, record = algorithm.step(game, state, run)
            history.append(record, run.seconds)
            report(run.iteration, record)
    except OutOfTime:
        status = Status.OUT_OF_TIME
    except KeyboardInterrupt:
        status = Status.INTERRUPTED
    with suppress(KeyboardInterrupt):
        saver.settle(history)
    return state, status


def _cut(limits: Limits, run: Run, interrupts: Interrupts) -> Status | None:
    if interrupts.asked:
        return Status.INTERRUPTED
    if limits.iterations is not None and run.iteration >= limits.iterations:
        return Status.OUT_OF_ITERATIONS
    if limits.seconds is not None and run.seconds >= limits.seconds:
        return Status.OUT_OF_TIME
    return None


def _result(
    game: Any,
    algorithm: Algorithm[Any, Any, Any],
    run: Run,
    state: Any,
    history: History,
    status: Status,
    policy: Any,
    gap: Any,
    saver: Saver,
    clock: tuple[float, float],
) -> Result[Any, Any, Any]:
    system = system_of(game)
    built, solved = clock
    bounds = algorithm.bounds(game, state, policy)
    kept = algorithm.conclude(game, state)
    seconds = {"build": built, "solve": solved - built, "certify": run.seconds - solved}
    provenance = Provenance(run.backend, run.seed, __version__, seconds, tuple(saver.notes))
    make = algorithm.result_class()
    value = system.value(game, policy)
    result = make(game, algorithm, policy, value, gap, bounds, history, status, "", kept, provenance)
    return result.judged() if status is Status.CONVERGED else result


def _usable(backend: Any) -> str:
    if not isinstance(backend, str):
        raise InvalidData(f"backend is {backend!r}, not a name", "For example: 'auto', 'highs', 'cvxpy:CLARABEL'.")
    if backend != "auto":
        probe = get_backend(backend).probe()
        if not probe.usable:
            raise BackendUnavailable(
                f"backend {backend!r} is {'not licensed' if probe.installed else 'not installed'}", probe.detail
            )
    return backend


def checked_limits(limits: Any) -> Limits:
    """The budget of a run, whose parts are None or numbers of 0 or more; none at all for None.

    Raises
    ------
    InvalidData : anything else.
    """
    if limits is None:
        return Limits()
    if not isinstance(limits, Limits):
        raise InvalidData(f"limits is {limits!r}, not Limits", "For example: Limits(seconds=10).")
    return Limits(
        None if limits.seconds is None else real_number("limits.seconds", limits.seconds, least=0.0),
        None if limits.iterations is None else whole_number("limits.iterations", limits.iterations, 0),
    )


def _jobs(n_jobs: Any) -> int:
    return -1 if n_jobs == -1 else whole_number("n_jobs", n_jobs, 1)
