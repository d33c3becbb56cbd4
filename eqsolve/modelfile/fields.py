"""Types of the fields of a model file: numbers, names, arrays inline or in files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from eqsolve.arrays import FloatArray, float_array
from eqsolve.errors import InvalidData, InvalidModelFile
from eqsolve.modelfile.datafiles import DataFolder

SOURCE = "Numbers stand inline, as {npz: file, key: name}, {csv: file, column: name} or {csv: file, columns: [name, ...]}."


class Strict(BaseModel):
    """A part of a model file; keys that it does not have are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    raise PydanticCustomError("unknown_key", "unknown key", {"key": str(key), "known": list(cls.model_fields)})
        return values


def _whole(value: Any) -> Any:
    if isinstance(value, bool):
        raise InvalidModelFile(f"is {str(value).lower()}, not a whole number")
    return value


def _real(value: Any) -> Any:
    if isinstance(value, bool):
        raise InvalidModelFile(f"is {str(value).lower()}, not a number")
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
Real = Annotated[float, BeforeValidator(_real)]


def array(value: Any, info: ValidationInfo) -> FloatArray:
    """An array of numbers of any shape, from the list or the file that the value names."""
    name = str(info.field_name)
    if isinstance(value, dict):
        return float_array(name, array_from_file(value, info), error=InvalidModelFile)
    bad = _not_a_number(value)
    if bad is not None:
        raise InvalidModelFile(f"is not an array of numbers: it holds {bad!r}", SOURCE)
    return float_array(name, value, error=InvalidModelFile)


def _names(value: Any, info: ValidationInfo) -> tuple[str, ...]:
    """Names: a list, or a column of a CSV file, or an npz entry of text."""
    if isinstance(value, dict):
        source = _checked_source(value)
        if "csv" in source:
            if "columns" in source:
                raise InvalidModelFile("names come from one column", "Write {csv: file, column: name}.")
            return folder_of(info).table(source["csv"]).text(source["column"])
        held = folder_of(info).entry(source["npz"], source["key"])
        value = held.tolist() if held.ndim == 1 else None
    if not isinstance(value, list) or any(isinstance(one, dict | list | float) or one is None for one in value):
        raise InvalidModelFile("is not a list of names", "Write [north, south], or {csv: file, column: name}.")
    return tuple(str(one) for one in value)


Numbers = Annotated[FloatArray, BeforeValidator(array)]


def _beside(value: Any, info: ValidationInfo) -> Path:
    if not isinstance(value, str):
        raise InvalidModelFile(f"is {value!r}, not the name of a file")
    return folder_of(info).folder / value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
DataFile = Annotated[Path, BeforeValidator(_beside)]


def array_from_file(value: dict[Any, Any], info: ValidationInfo) -> Any:
    """The array that ``{npz: file, key: name}``, ``{csv: file, column: name}`` or ``{csv: file, columns: [...]}`` names."""
    source = _checked_source(value)
    if "npz" in source:
        array = folder_of(info).entry(source["npz"], source["key"])
        if array.dtype.kind not in "iuf":
            raise InvalidModelFile(f"array {source['key']!r} of {source['npz']} holds {array.dtype} values, not numbers")
        return array
    table = folder_of(info).table(source["csv"])
    if "column" in source:
        return table.numbers(source["column"])
    return np.column_stack([table.numbers(column) for column in source["columns"]])


def _checked_source(value: dict[Any, Any]) -> dict[str, Any]:
    keys = set(value)
    if keys not in ({"npz", "key"}, {"csv", "column"}, {"csv", "columns"}):
        raise InvalidModelFile(f"has the keys {', '.join(map(str, value)) or '(none)'}, which name no array", SOURCE)
    for key in keys - {"columns"}:
        if not isinstance(value[key], str):
            raise InvalidModelFile(f"{key} is {value[key]!r}, not a name", "Put it in quotes.")
    if "columns" in keys:
        columns = value["columns"]
        if not isinstance(columns, list) or not columns or not all(isinstance(one, str) for one in columns):
            raise InvalidModelFile(f"columns is {columns!r}, not a list of column names", "Put each name in quotes.")
    return value


def folder_of(info: ValidationInfo) -> DataFolder:
    """The folder of the model file that is being read."""
    folder = (info.context or {}).get("folder")
    if not isinstance(folder, DataFolder):
        raise InvalidData("a file is named, but there is no folder to read it from")
    return folder


def _not_a_number(value: Any) -> object | None:
    """The first value in nested lists that is neither a number nor text of one, such as 1e-3, which YAML takes for text."""
    if isinstance(value, list):
        return next((bad for bad in map(_not_a_number, value) if bad is not None), None)
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return value
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "null" if value is None else value
    return None
