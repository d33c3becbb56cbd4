"""What the answers to one program have in common."""

from __future__ import annotations

from functools import cached_property

from eqsolve.backends import Outcome
from eqsolve.certificates import ProgramCertificate, certify
from eqsolve.programs import Program


class Solved:
    """The answer to a program, with the program and its certificate."""

    outcome: Outcome
    _program: Program

    @cached_property
    def certificate(self) -> ProgramCertificate:
        """The certificate of the program, with a rigorous bound on the value (for an integer program, that of its relaxation).

        Computed when first asked for.
        """
        return certify(self._program, self.outcome)

    def program(self) -> Program:
        """The program that was solved."""
        return self._program
