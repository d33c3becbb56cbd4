"""Why a run ended."""

from __future__ import annotations

from enum import StrEnum

from eqsolve.errors import EqsolveError


class Status(StrEnum):
    """Why a run ended; the value is the sentence a user needs. Only ``CONVERGED`` says that the answer met its own rule."""

    CONVERGED = "converged"
    REFUTED = "the certificate does not hold"
    STALLED = "stopped: no further progress was possible"
    OUT_OF_ITERATIONS = "stopped by its budget of iterations before it was complete"
    OUT_OF_TIME = "stopped by its budget of seconds before it was complete"
    INTERRUPTED = "interrupted before it was complete"

    @property
    def remedy(self) -> str:
        """What the reader can do about it."""
        return _REMEDIES[self]

    @property
    def is_budget(self) -> bool:
        """Whether the run was cut short from outside, so that going on may end better."""
        return self in (Status.OUT_OF_ITERATIONS, Status.OUT_OF_TIME, Status.INTERRUPTED)


_REMEDIES = {
    Status.CONVERGED: "",
    Status.REFUTED: "Try another backend, or a tighter tolerance of the one used.",
    Status.STALLED: "Change the algorithm's parameters: what was reached is certified as it stands.",
    Status.OUT_OF_ITERATIONS: "Give more iterations, or resume the run from its checkpoint.",
    Status.OUT_OF_TIME: "Give more seconds, or resume the run from its checkpoint.",
    Status.INTERRUPTED: "Resume the run from its checkpoint.",
}


class NothingReached(EqsolveError):
    """A run that ended before there was any answer to hand back; ``notes`` are what its provenance would have said."""

    notes: tuple[str, ...] = ()


class OutOfTime(Exception):  # not an error: how a step tells the loop that its share of the budget ran out
    """Raised inside a step whose backend ran out of the run's seconds; the loop goes back to the last complete state."""
