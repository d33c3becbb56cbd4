"""Powers of one variable as towers of rotated second-order cones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from eqsolve.errors import InvalidData
from eqsolve.programs import Program, StructureAnswer

LARGEST_DENOMINATOR = 64
"""Exponents that are not fractions with a denominator up to this have no tower."""
SAME = 1e-12
"""Difference of an exponent from its fraction, relative to it, that is rounding."""
X, T, ONE = -1, -2, -3
"""The variable, the bound on its power, and the constant 1, as ends of a step; other ends are helping variables by number."""


@dataclass(frozen=True, slots=True)
class Tower:
    r"""The set :math:`t \ge x^q,\ x \ge 0` for a fraction q = a/b > 1 as steps :math:`w^2 \le u v`.

    Parameters
    ----------
    exponent : q. steps : (u, v, w) each; the last w is x itself.

    Notes
    -----
    :math:`x^{2^L} \le t^b\, 1^{a - b}\, x^{2^L - a}` with :math:`2^L \ge a` is a geometric mean of :math:`2^L` factors, taken in
    pairs; pairs of equal factors need no step. Source: Ben-Tal and Nemirovski, Lectures on Modern Convex Optimization, 3.3.

    Examples
    --------
    The fifth power: w0^2 <= x t, w1^2 <= w0 x, x^2 <= w1.

    >>> Tower.of(5.0).steps
    ((-1, -2, 0), (0, -1, 1), (1, -3, -1))
    """

    exponent: Fraction
    steps: tuple[tuple[int, int, int], ...]

    @property
    def helpers(self) -> int:
        """Number of helping variables."""
        return len(self.steps) - 1

    @property
    def name(self) -> str:
        """The exponent, as names of blocks carry it: ``5`` or ``5_2``."""
        q = self.exponent
        return f"{q.numerator}" if q.denominator == 1 else f"{q.numerator}_{q.denominator}"

    @staticmethod
    def of(exponent: float) -> Tower:
        """The tower of an exponent.

        Raises
        ------
        InvalidData : not a fraction above 1 with a denominator of at most 64.
        """
        q = Fraction(exponent).limit_denominator(LARGEST_DENOMINATOR)
        if q <= 1 or abs(float(q) - exponent) > SAME * abs(exponent):
            raise InvalidData(
                f"a power of {exponent!r} has no tower of cones: it is not a fraction above 1 with a denominator of at most "
                f"{LARGEST_DENOMINATOR}",
                "piecewise_program takes powers of any kind.",
            )
        return Tower(q, _steps(q.numerator, q.denominator))


@dataclass(frozen=True, slots=True)
class TowerForm:
    """The structure of a program with towers: it has no method of its own, but knows how solvers are to be asked."""

    @property
    def name(self) -> str:
        """The form's name."""
        return "towers of cones"

    def refuses(self, program: Program) -> str:
        """There is no method of its own."""
        return "towers of cones are solved by general methods"

    def solve(self, program: Program) -> StructureAnswer:
        """Never called, as every program is refused."""
        return StructureAnswer("iteration_limit")

    def advice(self, backend: str, *, vertex: bool) -> Mapping[str, object]:
        """Gurobi: its aggregator makes cones that share variables infeasible (seen in 13.0), and careful numbers keep the duals."""
        return {"Aggregate": 0, "NumericFocus": 2} if backend == "gurobi" else {}


def _steps(a: int, b: int) -> tuple[tuple[int, int, int], ...]:
    """Pairs of the factors, level by level; what is left of each kind is paired with another kind."""
    leaves = 1 << (a - 1).bit_length()
    kinds = {T: b, X: leaves - a, ONE: a - b}
    steps: list[tuple[int, int, int]] = []
    while sum(kinds.values()) > 2:
        above: dict[int, int] = {}
        odd: list[int] = []
        for kind, number in sorted(kinds.items(), reverse=True):
            if number // 2:
                above[kind] = above.get(kind, 0) + number // 2
            if number % 2:
                odd.append(kind)
        for left, right in zip(odd[::2], odd[1::2], strict=True):
            steps.append((left, right, len(steps)))
            above[len(steps) - 1] = 1
        kinds = above
    left, right = sorted((kind for kind, number in kinds.items() if number), reverse=True)
    steps.append((left, right, X))
    return tuple(steps)
