"""A result as a short table, and as plain values."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

from eqsolve.certificates.gap import CONCEPT_NAMES

if TYPE_CHECKING:
    from eqsolve.driver.result import Result

Line = tuple[str, str]
"""What stands on the left and on the right of a line."""


SHORT = {"CE": "CE gap", "CCE": "CCE gap"}
"""What the longer names of concepts are called in a column."""


def entry(name: str, value: str, comment: str = "") -> str:
    """The left side of a line: a name, a value, a comment, in columns."""
    return f"  {name:<14} {value:<14} {comment}".rstrip()


def report(result: Result[Any, Any, Any]) -> str:
    """The table that ``print(result)`` shows."""
    gap, seconds = result.gap, result.seconds
    name = getattr(result.game, "name", result.system.name)
    amount = f"{gap.upper:.4g}" if gap.method == "exact" else f"{gap.lower:.4g} .. {gap.upper:.4g}"
    sure = f", {100 * gap.confidence:g} % sure" if gap.confidence is not None else ""
    solver = [result.solver] if result.solver != "auto" else []
    lines: list[Line] = [
        (
            f"{name}   {result.system.describe(result.game)}",
            ", ".join((type(result.algorithm).__name__, *solver, f"seed {result.seed}")),
        ),
        (
            entry(SHORT.get(gap.concept) or CONCEPT_NAMES[gap.concept], amount, gap.method + sure),
            f"worst: {gap.witness}" if gap.witness is not None else "nobody gains" if gap.upper <= 0 else "",
        ),
    ]
    for bound in result.bounds:
        value = "none" if bound.value is None else f"{bound.value:.4g}"
        lines.append((entry("bound", value, bound.name if bound.value is not None else str(bound)), ""))
    own = result.lines()
    if not any(left.startswith(f"  {result.system.value_name} ") for left, _ in own):
        lines.append((entry(result.system.value_name, f"{result.value:,.6g}"), ""))
    phases = ", ".join(f"{phase} {s:.2f}" for phase, s in seconds.items())
    lines += own
    lines.append((entry("iterations", f"{result.iterations:,}"), f"{sum(seconds.values()):.2f} s  ({phases})"))
    lines += [(f"  note: {note}", "") for note in result.provenance.notes]
    lines.append((f"  {result.status}" + (f": {result.reason}" if result.reason else ""), ""))
    width = max(len(left) for left, right in lines if right) + 3
    text = [f"{left:<{width}}{right}".rstrip() for left, right in lines]
    return "\n".join(text + ([f"    {result.status.remedy}"] if result.status.remedy else []))


def summary(result: Result[Any, Any, Any]) -> dict[str, Any]:
    """The keys that every result has in JSON."""
    algorithm = result.algorithm
    parameters: dict[str, Any] = asdict(algorithm) if is_dataclass(algorithm) else {}
    return {
        "status": str(result.status),
        "reason": result.reason,
        "value": result.value,
        "gap": result.gap.to_json(),
        "bounds": [bound.to_json() for bound in result.bounds],
        "iterations": result.iterations,
        "seconds": dict(result.seconds),
        "model": getattr(result.game, "name", result.system.name),
        "system": result.system.name,
        "algorithm": {"name": type(algorithm).__name__, **parameters},
        "backend": result.solver,
        "seed": result.seed,
        "version": result.provenance.version,
        "notes": list(result.provenance.notes),
    }
