"""How the sweep grows with players, with types and with cells."""

from __future__ import annotations

from benchmarks.registry import Bench, case
from eqsolve.aggregative import AggregativeGame, AggregativeNash, congestion, nash_gap, random_affine, sweep
from eqsolve.aggregative.rounding import round_best


def _phases(bench: Bench, game: AggregativeGame, size: str, cells: int | None) -> None:
    algorithm = AggregativeNash(cells=cells)
    merged = game.merged()
    family = algorithm.family(merged)
    found = sweep(family)
    plays = round_best(merged, found.outcome.x)[0]
    grid = f"{size}, {len(family):.3g} cells"
    bench.compare(grid, "build", {"eqsolve": lambda: algorithm.family(game.merged())})
    bench.compare(grid, "solve", {"eqsolve": lambda: round_best(merged, sweep(family).outcome.x)})
    bench.compare(grid, "certify", {"eqsolve": lambda: nash_gap(merged, plays)})


@case("sweep-players")
def players(bench: Bench) -> None:
    """From 100 to 100,000 different players, and a million of 50 types."""
    for n in (100, 1000) if bench.quick else (100, 1000, 10_000, 100_000):
        for d in (1, 2):
            _phases(bench, random_affine(n, 3, d), f"n = {n:,}, d = {d}", 41)
    for n in (10_000,) if bench.quick else (10_000, 100_000, 1_000_000):
        for d in (1, 2):
            _phases(bench, random_affine(n, 3, d, types=50), f"n = {n:,} of 50 types, d = {d}", 41)
        _phases(bench, congestion(n, 3, types=50), f"congestion, n = {n:,} of 50 types, 3 roads", None)


@case("sweep-cells")
def cells(bench: Bench) -> None:
    """From 41 cells per coordinate to half-widths of a hundredth of a player."""
    for d in (1, 2):
        game = random_affine(200 if bench.quick else 1000, 3, d)
        for per_axis in (41, 401, 4001, 40_001):
            _phases(bench, game, f"n = {game.n_players:,}, d = {d}", per_axis)
