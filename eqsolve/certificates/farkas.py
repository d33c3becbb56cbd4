"""Proof that no point satisfies a program, and the rows and bounds in conflict by name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from eqsolve.arrays import FloatArray
from eqsolve.certificates.bound import RigorousBound, bound_of
from eqsolve.certificates.implied import row_activity
from eqsolve.certificates.minform import dual_vector, min_form
from eqsolve.programs import Program

NEGLIGIBLE = 1e-9
"""Weights below this part of the largest one are not listed as part of the conflict."""
SHOWN = 6


@dataclass(frozen=True, slots=True, eq=False)
class FarkasCertificate:
    """A checked Farkas ray.

    Parameters
    ----------
    proven : whether the program is infeasible beyond doubt: ``margin`` > 0 with all rounding errors accounted for.
    margin : a lower bound of the amount by which the rows, weighted by the ray, exceed what the column bounds allow; the ray
        is scaled so that its largest entry is in [1, 2). None where the ray proves nothing.
    reason : why it is not proven.
    conflict : the rows and column bounds that take part, by name, heaviest first.
    rows, columns : their positions, in increasing order.
    ray : (M,) the ray that was checked, scaled and slightly moved where needed.
    exact : computed in rational arithmetic.
    repairs, assumptions : see ``RigorousBound``.
    """

    proven: bool
    margin: float | None
    reason: str = ""
    conflict: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    ray: FloatArray | None = None
    exact: bool = False
    repairs: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.proven:
            return f"infeasibility not proven: {self.reason}"
        lines = [f"infeasible, proven with margin {self.margin:.3g}; in conflict:"]
        lines += [f"  {name}" for name in self.conflict[:SHOWN]]
        if len(self.conflict) > SHOWN:
            lines.append(f"  and {len(self.conflict) - SHOWN} more")
        return "\n".join(lines + [f"  assuming {one}" for one in self.assumptions])


def check_farkas(program: Program, ray: npt.ArrayLike, *, exact: bool = False) -> FarkasCertificate:
    """Check a Farkas ray (M,) in the sign of ``Outcome.ray``; the objective and integrality play no part.

    Noise is repaired: entries of the wrong sign are dropped; if columns without bounds leave the ray undecided, bounds
    implied by the rows are used, the ray is moved by least squares, and tiny entries are dropped.

    Raises
    ------
    InvalidData : a ray of another length, or not finite.

    Examples
    --------
    >>> from eqsolve.programs import ProgramBuilder
    >>> b = ProgramBuilder("too much")
    >>> x = b.columns("x", 2, upper=1.0)
    >>> demand = b.rows("demand", lower=3.0)
    >>> b.add(demand, x, [0, 0], [0, 1])
    >>> print(check_farkas(b.build(), [1.0]))
    infeasible, proven with margin 1; in conflict:
      demand >= 3
      x[0] <= 1
      x[1] <= 1
    """
    y = dual_vector(program, "ray", ray)
    largest = float(np.abs(y).max(initial=0.0))
    if largest == 0.0:
        return FarkasCertificate(False, None, "the ray is zero")
    _, exponent = np.frexp(largest)
    y = np.ldexp(y, 1 - int(exponent))
    form = min_form(program, feasibility=True)
    best = RigorousBound(None, "")
    for threshold in (0.0, 1e-11, 1e-9, 1e-7):
        small = np.abs(y) < threshold
        if threshold and not (small & (y != 0)).any():
            continue
        found = bound_of(form, np.where(small, 0.0, y), None, exact)
        if found.value is not None and found.value > 0.0:
            return _proven(program, found, found.value)
        best = found if best.value is None else best
    if best.value is None:
        return FarkasCertificate(False, None, best.reason, exact=exact)
    why = f"the weighted rows do not exceed what the column bounds allow: the margin is {best.value:.3g}, not above 0"
    if best.reason:
        why = f"{best.reason}; after repair, {why}"
    return FarkasCertificate(False, best.value, why, exact=best.exact, repairs=best.repairs)


def find_farkas(program: Program, *, exact: bool = False) -> FarkasCertificate | None:
    """Proof from a single row that its bounds cannot be met within the column bounds, if there is such a row."""
    least, most = row_activity(program.A, program.col_lower, program.col_upper)
    short, over = most < program.row_lower, least > program.row_upper
    hit = short | over
    if not hit.any():
        return None
    ray = np.zeros(program.n_rows)
    i = int(np.argmax(hit))
    ray[i] = 1.0 if short[i] else -1.0
    return check_farkas(program, ray, exact=exact)


def _proven(program: Program, found: RigorousBound, margin: float) -> FarkasCertificate:
    assert found.y is not None
    y = found.y
    price = -np.asarray(program.A.T @ y)
    weights: list[tuple[float, str]] = []
    in_cone = {int(i): cone.kind for cone in program.cones for i in cone.rows}
    rows = np.flatnonzero(np.abs(y) > NEGLIGIBLE * np.abs(y).max())
    columns = np.flatnonzero(np.abs(price) > NEGLIGIBLE * max(float(np.abs(price).max(initial=0.0)), 1.0))
    for i in rows.tolist():
        if i in in_cone:
            side = f"in its {in_cone[i]} cone"
        else:
            side = f">= {program.row_lower[i]:.10g}" if y[i] > 0 else f"<= {program.row_upper[i]:.10g}"
        weights.append((abs(float(y[i])), f"{program.row_name(i)} {side}"))
    for j in columns.tolist():
        side = f">= {program.col_lower[j]:.10g}" if price[j] > 0 else f"<= {program.col_upper[j]:.10g}"
        weights.append((abs(float(price[j])), f"{program.column_name(j)} {side}"))
    weights.sort(key=lambda one: -one[0])
    return FarkasCertificate(
        proven=True,
        margin=margin,
        conflict=tuple(name for _, name in weights),
        rows=tuple(rows.tolist()),
        columns=tuple(columns.tolist()),
        ray=y,
        exact=found.exact,
        repairs=found.repairs,
        assumptions=found.assumptions,
    )
