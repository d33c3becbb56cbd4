"""Model files: a game, its algorithm and its limits in YAML, with arrays inline or in CSV and npz files beside it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqsolve.modelfile.locate import ShippedModel, find_model, shipped_models
    from eqsolve.modelfile.read import Model, read_model
    from eqsolve.modelfile.schema import SYSTEMS, SystemFile
    from eqsolve.modelfile.write import write_model

__all__ = ["SYSTEMS", "Model", "ShippedModel", "SystemFile", "find_model", "read_model", "shipped_models", "write_model"]

_HOME = {
    "ShippedModel": "locate",
    "find_model": "locate",
    "shipped_models": "locate",
    "Model": "read",
    "read_model": "read",
    "SYSTEMS": "schema",
    "SystemFile": "schema",
    "write_model": "write",
}


def __getattr__(name: str) -> Any:
    # Listing the shipped models should not wait for the systems to load.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
