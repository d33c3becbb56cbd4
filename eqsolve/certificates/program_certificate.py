"""What is known of a program's answer, and whether that is enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from eqsolve.backends.outcome import Termination
from eqsolve.certificates.bound import RigorousBound
from eqsolve.certificates.direction import DirectionCertificate
from eqsolve.certificates.farkas import FarkasCertificate
from eqsolve.certificates.gap import GapCertificate
from eqsolve.certificates.residuals import Residual
from eqsolve.errors import InvalidData
from eqsolve.programs import Kind
from eqsolve.programs.program import Sense

Claim = Literal["optimal", "feasible", "infeasible", "unbounded", "nothing"]
CertificateMethod = Literal["residuals and bound", "uncertified bound", "Farkas ray", "direction", "none"]


@dataclass(frozen=True, slots=True, eq=False)
class ProgramCertificate:
    """The certificate of a program, made by ``certify``; values are in the user's sense.

    Parameters
    ----------
    program, kind, sense : of the program.
    claim : what the outcome says that is judged here.
    termination : why the solver stopped.
    objective, dual_objective : of the point and of the multipliers.
    primal, dual, complementarity : residuals; None where the vectors for them are not in hand.
    bound : a true bound of the optimal value; for a mixed-integer program, that of its relaxation.
    claimed_bound : a mixed-integer solver's own bound, not certified.
    farkas, direction : for the claims "infeasible" and "unbounded".
    exact : whether violation, objective and bound come from rational arithmetic (``bound.exact`` speaks for the bound).
    trouble : why no certificate can be formed; empty when one can.
    notes : what a reader should know beside.
    """

    program: str
    kind: Kind
    sense: Sense
    claim: Claim
    termination: Termination
    objective: float | None = None
    dual_objective: float | None = None
    primal: Residual | None = None
    dual: Residual | None = None
    complementarity: Residual | None = None
    bound: RigorousBound | None = None
    claimed_bound: float | None = None
    farkas: FarkasCertificate | None = None
    direction: DirectionCertificate | None = None
    exact: bool = False
    trouble: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_integer(self) -> bool:
        """Whether a column is integer."""
        return self.kind.startswith("MI")

    @property
    def method(self) -> CertificateMethod:
        """What ``holds`` rests on."""
        if self.claim == "infeasible":
            return "Farkas ray"
        if self.claim == "unbounded":
            return "direction"
        if self.is_integer and self.claimed_bound is not None:
            return "uncertified bound"
        return "residuals and bound" if self.objective is not None else "none"

    @property
    def gap(self) -> float | None:
        """Objective against dual objective, >= 0 up to residuals, in the user's units; None without duals."""
        return self._distance(self.dual_objective)

    @property
    def relative_gap(self) -> float | None:
        """|gap| relative to 1 + |objective|."""
        return self._relative(self.gap)

    @property
    def rigorous_gap(self) -> float | None:
        """Objective against the rigorous bound: no feasible point is better than this one by more."""
        return self._distance(None if self.bound is None else self.bound.value)

    def reason(self, tolerance: float) -> str | None:
        """Why the certificate does not hold at a relative tolerance, or None when it holds.

        Continuous programs: primal and dual residual, complementarity and gap are each at most ``tolerance``; and the rigorous
        bound, where there is one, is not beyond the objective. Mixed-integer ones: the point holds, integrality included, and
        is within ``tolerance`` of the rigorous bound, or else of the solver's own bound, which nothing certifies (``method``
        says so). Infeasible: the Farkas ray is proven; the tolerance plays no part. Unbounded: the direction holds, from a
        point that holds. An answer stopped by a limit holds only if its numbers prove it optimal.

        Raises
        ------
        InvalidData : the tolerance is negative or NaN.
        """
        if not tolerance >= 0.0:
            raise InvalidData(f"tolerance is {tolerance}, not a number >= 0")
        if self.trouble:
            return self.trouble
        if self.claim == "infeasible":
            return None
        if self.claim == "unbounded":
            return self._unbounded_reason(tolerance)
        for name, residual in (("primal", self.primal), ("dual", self.dual), ("complementarity", self.complementarity)):
            if residual is not None and not residual.relative <= tolerance:
                return f"{name} residual is {residual}"
        rigorous, size = self.rigorous_gap, 1.0 + abs(self.objective or 0.0)
        if rigorous is not None and rigorous < -tolerance * size:
            return f"the objective is better than the rigorous bound allows, by {-rigorous:.3g}"
        if self.is_integer:
            return self._integer_reason(tolerance)
        gap = self.relative_gap
        if gap is None:
            return "no duals in hand: optimality cannot be judged"
        return None if gap <= tolerance else f"the gap to the dual objective is {gap:.3g} relative"

    def holds(self, tolerance: float) -> bool:
        """Whether the claim of the outcome is borne out at a relative tolerance; see ``reason``."""
        return self.reason(tolerance) is None

    def optimality_gap(self) -> GapCertificate | None:
        """The gap of the point to the optimum as a bracket by the rigorous bound; None without one."""
        gap = self.rigorous_gap
        if gap is None or self.bound is None or self.primal is None:
            return None
        assumptions = self.bound.assumptions
        if self.primal.absolute > 0.0:
            assumptions = (
                *assumptions,
                f"the point counts as feasible; it violates {self.primal.where} by {self.primal.absolute:.2g}",
            )
        method: Literal["bracket", "relaxation"] = "relaxation" if self.is_integer else "bracket"
        return GapCertificate("optimality", min(gap, 0.0), gap, method, assumptions=assumptions)

    def __str__(self) -> str:
        lines = [f"{self.program}: {self.kind}, claim {self.claim} ({self.termination.value})"]
        for name, value in (("objective", self.objective), ("dual objective", self.dual_objective)):
            if value is not None:
                lines.append(_line(name, f"{value:.10g}"))
        for name, residual in (("primal", self.primal), ("dual", self.dual), ("complementarity", self.complementarity)):
            if residual is not None:
                lines.append(_line(name, str(residual)))
        if self.gap is not None and self.relative_gap is not None:
            lines.append(_line("gap", f"{self.gap:.2g} absolute, {self.relative_gap:.2g} relative"))
        if self.bound is not None:
            lines.append(_line("rigorous bound", self._bound_text(self.bound)))
            lines += [_line("", f"repair: {one}") for one in self.bound.repairs]
            lines += [_line("", f"assuming {one}") for one in self.bound.assumptions]
        if self.claimed_bound is not None:
            lines.append(_line("solver's bound", f"{self.claimed_bound:.10g}, not certified"))
        if self.farkas is not None:
            lines += ["  " + part for part in str(self.farkas).splitlines()]
        if self.direction is not None:
            lines.append(_line("direction", str(self.direction)))
        lines += [_line("note", one) for one in self.notes]
        if self.trouble and self.farkas is None:
            lines.append(_line("no certificate", self.trouble))
        return "\n".join(lines)

    def _bound_text(self, bound: RigorousBound) -> str:
        if bound.value is None:
            return f"none: {bound.reason}"
        side = "at least" if self.sense == "min" else "at most"
        relaxed = " (integrality relaxed)" if self.is_integer else ""
        return f"{side} {bound.value:.12g}{', exact' if bound.exact else ''}{relaxed}"

    def _distance(self, other: float | None) -> float | None:
        if self.objective is None or other is None:
            return None
        return self.objective - other if self.sense == "min" else other - self.objective

    def _relative(self, gap: float | None) -> float | None:
        return None if gap is None or self.objective is None else abs(gap) / (1.0 + abs(self.objective))

    def _integer_reason(self, tolerance: float) -> str | None:
        rigorous = self._relative(self.rigorous_gap)
        if rigorous is not None and rigorous <= tolerance:
            return None
        claimed = self._relative(self._distance(self.claimed_bound))
        if claimed is None:
            return f"the relaxation leaves a gap of {self._shown(rigorous)}, and the solver gives no bound of its own"
        return None if claimed <= tolerance else f"the gap to the solver's own bound is {claimed:.3g} relative"

    @staticmethod
    def _shown(gap: float | None) -> str:
        return "unknown size" if gap is None else f"{gap:.3g} relative"

    def _unbounded_reason(self, tolerance: float) -> str | None:
        if self.direction is None or not self.direction.holds(tolerance):
            return f"the direction does not hold: {self.direction}"
        if self.primal is None:
            return "no feasible point in hand: the direction proves it unbounded only if it is feasible"
        return None if self.primal.relative <= tolerance else f"the point to start from is off by {self.primal}"


def _line(name: str, text: str) -> str:
    return f"  {name:<16}{text}"
