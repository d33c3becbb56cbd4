"""The families of payoffs in model files. A Python function cannot stand in a file: build such a game in Python."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag

from eqsolve.aggregative import AffinePayoffs, CurvePayoffs, Payoffs, PolynomialPayoffs, TabulatedPayoffs
from eqsolve.arrays import float_array, int_array
from eqsolve.errors import InvalidModelFile
from eqsolve.modelfile.fields import Numbers, Strict


class AffinePart(Strict):
    """``family: affine``: base (N,) and slope (N, d); a slope over one coordinate may be a plain list."""

    family: Literal["affine"]
    base: Numbers
    slope: Numbers

    def build(self, d: int) -> Payoffs:
        """The payoffs over d coordinates."""
        slope = self.slope[:, None] if self.slope.ndim == 1 and d == 1 else self.slope
        return AffinePayoffs(self.base, slope)


class PolynomialPart(Strict):
    """``family: polynomial``: powers (E, d), shared, and coefficient (N, E)."""

    family: Literal["polynomial"]
    powers: Numbers
    coefficient: Numbers

    def build(self, d: int) -> Payoffs:
        """The payoffs over d coordinates."""
        powers = self.powers[:, None] if self.powers.ndim == 1 and d == 1 else self.powers
        return PolynomialPayoffs(int_array("powers", powers, error=InvalidModelFile), self.coefficient)


class CurvesPart(Strict):
    """``family: curves``: curves (C, K) on nodes (K,); per column the curve, the coordinate it reads, scale and base.

    ``scale`` is 1 and ``base`` 0 for all columns when left out. A CSV file has one column per curve: such a (K, C) table is
    written ``by_node``.
    """

    family: Literal["curves"]
    nodes: Numbers
    curves: Numbers | None = None
    by_node: Numbers | None = None
    curve: Numbers
    coordinate: Numbers
    scale: Numbers | None = None
    base: Numbers | None = None

    def build(self, d: int) -> Payoffs:
        """The payoffs over d coordinates."""
        if (self.curves is None) == (self.by_node is None):
            raise InvalidModelFile("payoff gives both of curves and by_node, or neither", "Give the curves once.")
        curves = self.curves if self.by_node is None else self.by_node.T
        n = (self.curve.size,)
        return CurvePayoffs(
            self.nodes,
            float_array("payoff.curves", curves),
            int_array("payoff.curve", self.curve),
            int_array("payoff.coordinate", self.coordinate),
            float_array("payoff.scale", 1.0 if self.scale is None else self.scale, n),
            float_array("payoff.base", 0.0 if self.base is None else self.base, n),
            d,
        )


class TabulatedPart(Strict):
    """``family: tabulated``: values (N, K_1, ..., K_d) on a grid given by d lists of nodes."""

    family: Literal["tabulated"]
    nodes: list[Numbers]
    values: Numbers

    def build(self, d: int) -> Payoffs:
        """The payoffs over d coordinates."""
        return TabulatedPayoffs(tuple(self.nodes), self.values)


def _family(value: Any) -> str | None:
    return f"<{value.get('family', 'none: the key family is missing')}>" if isinstance(value, dict) else None


PayoffPart = Annotated[
    Annotated[AffinePart, Tag("<affine>")]
    | Annotated[PolynomialPart, Tag("<polynomial>")]
    | Annotated[CurvesPart, Tag("<curves>")]
    | Annotated[TabulatedPart, Tag("<tabulated>")],
    Discriminator(_family),
]
