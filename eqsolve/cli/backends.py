"""``eqsolve backends``: the table of backends, here and as declared."""

from __future__ import annotations

from collections.abc import Iterable

from eqsolve.backends import Backend, Feature, Probe, all_backends
from eqsolve.cli.output import print_json, table

KINDS = ("LP", "QP", "SOCP", "EXP", "MILP", "MIQP", "MISOCP", "MIEXP")


def run_backends(as_json: bool) -> None:
    """Print one row per backend."""
    rows = [(backend, backend.probe()) for backend in all_backends()]
    if as_json:
        print_json({"backends": [_entry(backend, probe) for backend, probe in rows]})
        return
    head = ("backend", "installed", "licensed", "version", "kinds", "features", "")
    print(table(head, [_row(backend, probe) for backend, probe in rows]))


def kinds_of(backend: Backend) -> list[str]:
    """The kinds of program that a backend takes, in the order of the table."""
    return [kind for kind in KINDS if kind in backend.capabilities.kinds]


def features_of(backend: Backend) -> list[str]:
    """The features of a backend, in the order of their declaration."""
    return [feature.value for feature in Feature if feature in backend.capabilities.features]


def capability_table(backends: Iterable[Backend]) -> str:
    """What the backends declare, as a Markdown table; the same on every machine."""
    lines = ["| backend | kinds of program | features |", "|---|---|---|"]
    lines += [f"| `{one.name}` | {', '.join(kinds_of(one))} | {', '.join(features_of(one))} |" for one in backends]
    return "\n".join(lines)


def _row(backend: Backend, probe: Probe) -> tuple[str, ...]:
    licensed = {None: "-", True: "yes", False: "no"}[probe.licensed]
    detail = " ".join(probe.detail.split())
    return (
        backend.name,
        "yes" if probe.installed else "no",
        licensed,
        probe.version or "-",
        " ".join(kinds_of(backend)),
        ", ".join(features_of(backend)),
        detail,
    )


def _entry(backend: Backend, probe: Probe) -> dict[str, object]:
    return {
        "name": backend.name,
        "installed": probe.installed,
        "licensed": probe.licensed,
        "usable": probe.usable,
        "version": probe.version,
        "kinds": kinds_of(backend),
        "features": features_of(backend),
        "detail": probe.detail,
    }
