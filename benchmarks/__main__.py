"""``python -m benchmarks [CASE ...] [--repeats N] [--quick] [--json FILE]``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks import (
    aggregative_beyond,
    aggregative_markov,
    congestion,
    cooperative_gradient,
    cooperative_solve,
    correlated,
    mdp,
    mdp_lp,
    mean_field,
    mean_field_execution,
    occupancy_build,
    sweep_growth,
    sweep_peers,
)
from benchmarks.registry import CASES, Bench, as_json, environment

MODULES = (
    aggregative_beyond,
    aggregative_markov,
    congestion,
    cooperative_gradient,
    cooperative_solve,
    correlated,
    mdp,
    mdp_lp,
    mean_field,
    mean_field_execution,
    occupancy_build,
    sweep_peers,
    sweep_growth,
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("case", nargs="*", help=f"cases to run; all by default: {', '.join(CASES)}")
    parser.add_argument("--repeats", type=int, default=5, help="runs per contestant; medians are reported")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that the cases run")
    parser.add_argument("--json", type=Path, help="write the report to a file")
    arguments = parser.parse_args()
    unknown = set(arguments.case) - set(CASES)
    if unknown:
        parser.error(f"unknown case {sorted(unknown)[0]!r}; known: {', '.join(CASES)}")
    print(", ".join(f"{name} {text}" for name, text in environment().items()))
    benches = []
    for name in arguments.case or CASES:
        print(f"\n{name}: {(CASES[name].__doc__ or '').strip().splitlines()[0]}")
        bench = Bench(name, arguments.repeats, arguments.quick)
        CASES[name](bench)
        benches.append(bench)
    print("\ntargets")
    for bench in benches:
        for line in bench.targets:
            print(f"  {bench.case}: {line}")
    if arguments.json:
        arguments.json.write_text(json.dumps(as_json(benches), indent=2) + "\n")


main()
