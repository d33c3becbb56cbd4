"""Model files by path, or by the name of one that comes with EqSolve."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from eqsolve.errors import FileTrouble, unknown

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """A model file that comes with EqSolve; ``about`` is its description."""

    name: str
    path: Path
    system: str
    about: str


def shipped_folder() -> Path:
    """``eqsolve/models`` in an installed package, ``models`` in a source checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def shipped_paths() -> dict[str, Path]:
    """The shipped model files by name, in order."""
    return {path.stem: path for path in sorted(shipped_folder().glob("*.yaml"), key=lambda path: path.stem)}


def shipped_models() -> list[ShippedModel]:
    """The shipped model files with their descriptions."""
    from eqsolve.modelfile.yamlfile import read_yaml

    models = []
    for name, path in shipped_paths().items():
        values = read_yaml(path).values
        models.append(ShippedModel(name, path, str(values.get("system", "")), " ".join(str(values.get("description", "")).split())))
    return models


def find_model(path_or_name: str | Path) -> Path:
    """The file of a model given by its path or by the name of a shipped one.

    Raises
    ------
    UnknownName : neither a file nor a shipped model; the nearest shipped one is named.
    FileTrouble : a path where no file is; the nearest file of that folder is named.
    """
    path = Path(path_or_name)
    if path.is_file():
        return path
    shipped = shipped_paths()
    if path.is_dir() and str(path_or_name) not in shipped:
        raise FileTrouble(f"{path} is a folder, not a model file")
    if path.suffix in SUFFIXES or path.parent != Path():
        raise FileTrouble(f"there is no model file {path}", _near(path))
    if str(path_or_name) in shipped:
        return shipped[str(path_or_name)]
    error = unknown("model", path_or_name, shipped)
    error.remedy += "\nA model is a YAML file or a name from `eqsolve models`."
    raise error


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f"There is no folder {path.parent} either."
    files = [one.name for one in path.parent.iterdir() if one.suffix in SUFFIXES]
    near = get_close_matches(path.name, files, n=1, cutoff=0.5)
    return f"Did you mean {path.parent / near[0]}?" if near else "`eqsolve models` lists the models that come with EqSolve."
