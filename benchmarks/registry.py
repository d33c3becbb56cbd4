"""Named cases, contestants measured in turns, and a report of medians and ratios."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from time import perf_counter
from typing import Any

CASES: dict[str, Callable[[Bench], None]] = {}


@dataclass(frozen=True, slots=True)
class Row:
    """One contestant in one phase of one case: the median of several runs, in seconds of wall-clock time."""

    case: str
    size: str
    phase: str
    contestant: str
    seconds: float
    least: float
    runs: int
    ratio: float
    note: str = ""


@dataclass(slots=True)
class Bench:
    """What a case is given: it measures through ``compare`` and tells its targets through ``target``."""

    case: str
    repeats: int
    quick: bool
    rows: list[Row] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)

    def compare(
        self,
        size: str,
        phase: str,
        contestants: Mapping[str, Callable[[], Any]],
        *,
        scale: Mapping[str, float] | None = None,
        repeats: int | None = None,
    ) -> dict[str, float]:
        """Run all contestants in turns and keep the medians; the first one is what the others are compared with.

        ``scale`` multiplies the time of a contestant that does only a part of the work; the row says so. Returns seconds by
        contestant.
        """
        scale = scale or {}
        taken: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(repeats or self.repeats):
            for name, work in contestants.items():
                began = perf_counter()
                work()
                taken[name].append((perf_counter() - began) * scale.get(name, 1.0))
        middle = {name: median(times) for name, times in taken.items()}
        first = next(iter(middle.values()))
        for name, times in taken.items():
            note = f"extrapolated x {scale[name]:.4g}" if name in scale else ""
            row = Row(self.case, size, phase, name, middle[name], min(times), len(times), middle[name] / first, note)
            self.rows.append(row)
            print(
                f"  {size:<34} {phase:<8} {name:<34} {row.seconds:12.6f} s   {row.ratio:10.2f} x   {note}",
                flush=True,
            )
        return middle

    def target(self, sentence: str, reached: float, wanted: float, at_least: bool = True) -> None:
        """Record a target, the ratio reached and whether it was met."""
        met = reached >= wanted if at_least else reached <= wanted
        self.targets.append(
            f"{'met   ' if met else 'MISSED'} {sentence}: {reached:.3g} (target {'>=' if at_least else '<='} {wanted:g})"
        )
        print(f"  -> {self.targets[-1]}", flush=True)


def case(name: str) -> Callable[[Callable[[Bench], None]], Callable[[Bench], None]]:
    """Register a case by name."""

    def register(run: Callable[[Bench], None]) -> Callable[[Bench], None]:
        CASES[name] = run
        return run

    return register


def environment() -> dict[str, str]:
    """Versions that the numbers belong to."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in ("eqsolve", "numpy", "scipy", "highspy", "cvxpy", "pulp", "linopy", "clarabel"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def as_json(benches: list[Bench]) -> dict[str, Any]:
    """The whole report as plain values."""
    return {
        "environment": environment(),
        "rows": [asdict(row) for bench in benches for row in bench.rows],
        "targets": {bench.case: bench.targets for bench in benches},
    }
