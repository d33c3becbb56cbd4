"""What is claimed about an answer: a gap that holds from the data, and beside it what a theorem promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, Literal, get_args

from eqsolve.errors import InvalidData

Concept = Literal["NE", "CE", "CCE", "optimality"]
Method = Literal["exact", "bracket", "statistical", "relaxation"]

CONCEPT_NAMES: dict[Concept, str] = {
    "NE": "Nash gap",
    "CE": "correlated gap",
    "CCE": "coarse correlated gap",
    "optimality": "optimality gap",
}
EXACT_WIDTH = 1e-9
"""Largest width, relative to 1 + |upper|, of a gap that calls itself exact: rounding, and nothing else."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Who gains by leaving the answer, by what, and how much.

    Parameters
    ----------
    who : the one who deviates: ``"player 418"``.
    deviation : to what: ``"road 2 -> 1"``.
    gain : what the deviation earns, in reward units.
    where : the place in words: ``'step 3, "worn"'``; made from ``step`` and ``state`` when left out.
    step, state : the place, for programs that read it.
    """

    who: str
    deviation: str
    gain: float
    where: str = ""
    step: int | None = None
    state: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "gain", _finite("gain of the witness", self.gain))
        if not self.where:
            parts = [f"step {self.step}"] if self.step is not None else []
            parts += [f'"{self.state}"'] if self.state is not None else []
            object.__setattr__(self, "where", ", ".join(parts))

    def __str__(self) -> str:
        place = ", ".join(part for part in (self.who, self.where) if part)
        return f"{place}: {self.deviation}" if self.deviation else place


@dataclass(frozen=True, slots=True)
class GapCertificate:
    r"""An interval that holds the true gap of an answer: ``lower <= gap <= upper``.

    Parameters
    ----------
    concept : ``"NE"`` (largest gain of one player by a deviation of his own), ``"CE"`` (the same with knowledge of the own
        recommendation), ``"CCE"`` (before the recommendation is seen) or ``"optimality"`` (distance to the best value).
    lower, upper : finite, in reward units.
    method : ``"exact"`` (computed from the game; the width is rounding), ``"bracket"`` (two true bounds), ``"statistical"``
        (holds with probability at least ``confidence``) or ``"relaxation"`` (the upper end comes from a relaxed program).
    witness : the deviation that earns ``lower`` or, for an exact gap, the gap.
    confidence : in (0, 1), for ``"statistical"`` and for no other.
    assumptions : what the claim rests on beside the data, each one sentence.

    Raises
    ------
    InvalidData : an unknown concept or method, ends that are not finite or are crossed, a confidence without a statistical
        method or the other way round, an "exact" gap with a width above rounding.

    Examples
    --------
    >>> gap = GapCertificate("NE", 0.5, 0.5, "exact", Witness("player 418", "road 2 -> 1", 0.5, step=3, state="worn"))
    >>> print(gap)
    Nash gap 0.5, exact; worst: player 418, step 3, "worn": road 2 -> 1
    >>> gap.holds(0.1)
    False
    """

    concept: Concept
    lower: float
    upper: float
    method: Method
    witness: Witness | None = None
    confidence: float | None = None
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.concept not in get_args(Concept):
            raise InvalidData(f"concept is {self.concept!r}, not one of {', '.join(get_args(Concept))}")
        if self.method not in get_args(Method):
            raise InvalidData(f"method is {self.method!r}, not one of {', '.join(get_args(Method))}")
        lower, upper = _finite("lower end of the gap", self.lower), _finite("upper end of the gap", self.upper)
        if lower > upper:
            raise InvalidData(f"the ends of the gap are crossed: lower {lower!r}, upper {upper!r}")
        if self.method == "exact" and upper - lower > EXACT_WIDTH * (1.0 + abs(upper)):
            raise InvalidData(f"an exact gap cannot range from {lower:g} to {upper:g}", "Two true bounds are the method 'bracket'.")
        if (self.confidence is None) == (self.method == "statistical"):
            raise InvalidData(
                f"confidence is {self.confidence} for the method {self.method!r}",
                "A statistical gap has a confidence in (0, 1); no other gap has one.",
            )
        if self.confidence is not None and not 0.0 < self.confidence < 1.0:
            raise InvalidData(f"confidence is {self.confidence}, not in (0, 1)")
        assumptions = _sentences("assumptions", self.assumptions)
        for name, value in (("lower", lower), ("upper", upper), ("assumptions", assumptions)):
            object.__setattr__(self, name, value)

    def holds(self, tolerance: float) -> bool:
        """Whether the true gap is at most ``tolerance``, by the upper end."""
        return self.upper <= tolerance

    def to_json(self) -> dict[str, Any]:
        """The certificate as plain values, for JSON."""
        return {**asdict(self), "assumptions": list(self.assumptions)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> GapCertificate:
        """The certificate that ``to_json`` wrote, checked again.

        Raises
        ------
        InvalidData : a key is missing or unknown, or a value does not pass the checks above.
        """
        witness = values.get("witness")
        try:
            return cls(**{**values, "witness": None if witness is None else Witness(**witness)})
        except TypeError as cause:
            raise InvalidData(f"this is not a gap certificate: {cause}", f"It has the keys {', '.join(sorted(values))}.") from cause

    def __str__(self) -> str:
        value = f"{self.upper:.4g}" if self.method == "exact" else f"in [{self.lower:.4g}, {self.upper:.4g}]"
        sure = f" ({100 * self.confidence:g} % confidence)" if self.confidence is not None else ""
        text = f"{CONCEPT_NAMES[self.concept]} {value}, {self.method}{sure}"
        if self.witness is not None:
            text += f"; worst: {self.witness}"
        return text + "".join(f"\n  assuming {one}" for one in self.assumptions)


@dataclass(frozen=True, slots=True)
class Bound:
    """What a theorem promises about the gap; it stands beside a certificate and is never one.

    Parameters
    ----------
    name : short, such as ``"vertex rounding"``.
    value : the bound, >= 0 and possibly infinite, or None exactly when a hypothesis of the theorem fails.
    source : the theorem: ``"Theorem 4.1"``.
    terms : the parts that the bound is made of, each by name.
    failed : the hypotheses that do not hold here, each one sentence.

    Raises
    ------
    InvalidData : a value although a hypothesis fails, no value although all hold, NaN.

    Examples
    --------
    >>> print(Bound("vertex rounding", 0.0141, "Theorem 4.1", {"spacing": 0.01, "rounding": 0.0041}))
    vertex rounding 0.0141, Theorem 4.1 (spacing 0.01, rounding 0.0041)
    >>> print(Bound("vertex rounding", None, "Theorem 4.1", failed=("the payoffs are not Lipschitz",)))
    vertex rounding does not apply, Theorem 4.1: the payoffs are not Lipschitz
    """

    name: str
    value: float | None
    source: str
    terms: Mapping[str, float] = field(default_factory=dict)
    failed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        failed = _sentences("failed", self.failed)
        if (self.value is None) != bool(failed):
            raise InvalidData(
                f"bound {self.name!r} has the value {self.value} and {len(failed)} failed hypotheses",
                "The value is None exactly when a hypothesis fails.",
            )
        if self.value is not None and not float(self.value) >= 0.0:
            raise InvalidData(f"bound {self.name!r} is {self.value}, not a number >= 0")
        object.__setattr__(self, "value", None if self.value is None else float(self.value))
        object.__setattr__(self, "terms", {name: float(term) for name, term in self.terms.items()})
        object.__setattr__(self, "failed", failed)

    def to_json(self) -> dict[str, Any]:
        """The bound as plain values; an infinite value or term is the string ``"inf"``."""
        terms = {name: _plain(term) for name, term in self.terms.items()}
        return {**asdict(self), "value": _plain(self.value), "terms": terms, "failed": list(self.failed)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Bound:
        """The bound that ``to_json`` wrote, checked again.

        Raises
        ------
        InvalidData : a key is missing or unknown, or a value does not pass the checks above.
        """
        try:
            return cls(**values)
        except TypeError as cause:
            raise InvalidData(f"this is not a bound: {cause}", f"It has the keys {', '.join(sorted(values))}.") from cause

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name} does not apply, {self.source}: {'; '.join(self.failed)}"
        parts = ", ".join(f"{name} {term:.4g}" for name, term in self.terms.items())
        return f"{self.name} {self.value:.4g}, {self.source}" + (f" ({parts})" if parts else "")


def _finite(what: str, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError) as cause:
        raise InvalidData(f"{what} is {value!r}, not a number") from cause
    if not isfinite(number):
        raise InvalidData(f"{what} is {number}, not a finite number")
    return number


def _sentences(what: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise InvalidData(f"{what} is one string, {value!r}", "Give a tuple of sentences.")
    return tuple(value)


def _plain(value: float | None) -> float | str | None:
    return value if value is None or isfinite(value) else str(value)
