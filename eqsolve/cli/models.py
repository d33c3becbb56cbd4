"""``eqsolve models``."""

from __future__ import annotations

from eqsolve.cli.output import print_json, table
from eqsolve.modelfile.locate import shipped_models


def run_models(as_json: bool) -> None:
    """Print the models that come with EqSolve."""
    models = shipped_models()
    if as_json:
        print_json({one.name: {"system": one.system, "description": one.about, "path": str(one.path)} for one in models})
        return
    print(table(("model", "system", "what it is"), [(one.name, one.system, one.about) for one in models]))
