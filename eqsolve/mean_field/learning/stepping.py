"""An algorithm run by itself, where ``eqsolve.solve`` has no place for it: as a step of another one, or on a bare process."""

from __future__ import annotations

from typing import TypeVar

from eqsolve.arrays import whole_number
from eqsolve.backends import Limits
from eqsolve.driver import Algorithm, History, OutOfTime, Run, Status

Game = TypeVar("Game")
State = TypeVar("State")
Policy = TypeVar("Policy")


def run_alone(
    algorithm: Algorithm[Game, State, Policy],
    game: Game,
    *,
    seed: int = 0,
    limits: Limits | None = None,
    state: State | None = None,
    history: History | None = None,
) -> tuple[State, Status, History]:
    """Step until the algorithm's own rule or the budget ends the run.

    Parameters
    ----------
    state, history : of a run that was stopped, to go on as it would have gone on.

    Raises
    ------
    InvalidData : the seed is not a whole number of at least 0; whatever the algorithm refuses.
    """
    run = Run("auto", whole_number("seed", seed, 0), limits or Limits())
    records = History() if history is None else history.first(len(history))
    try:
        now = algorithm.init(game, run) if state is None else state
        while (status := algorithm.done(game, now)) is None:
            if run.limits.iterations is not None and len(records) >= run.limits.iterations:
                return now, Status.OUT_OF_ITERATIONS, records
            run.iteration = len(records)
            try:
                run.remaining()
                now, record = algorithm.step(game, now, run)
            except OutOfTime:
                return now, Status.OUT_OF_TIME, records
            records.append(record, run.seconds)
        return now, status, records
    finally:
        run.release()
