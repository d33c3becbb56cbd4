"""The sentences for what is wrong in a model file."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from eqsolve.errors import EqsolveError, InvalidModelFile, unknown
from eqsolve.modelfile.yamlfile import Document, Keys, dotted


def refusal(document: Document, error: ValidationError) -> InvalidModelFile:
    """The first thing that is wrong, with file, line, key, value and remedy, and how many more there are."""
    details = error.errors(include_url=False)
    first = min(details, key=lambda one: document.lines.get(_keys(one), 10**9))
    what, remedy = _sentence(document, first)
    if len(details) > 1:
        remedy = f"{remedy}\n" if remedy else ""
        remedy += f"{len(details) - 1} more of the file's values are wrong."
    return InvalidModelFile(what, remedy)


def _keys(detail: Any) -> Keys:
    """The path of the value; the tags of alternatives, written <tag>, are left out."""
    keys: Keys = tuple(key for key in detail["loc"] if not str(key).startswith("<"))
    return (*keys, detail["ctx"]["key"]) if detail["type"] == "unknown_key" else keys


def _sentence(document: Document, detail: Any) -> tuple[str, str]:
    keys = _keys(detail)
    where, key = document.place(keys), dotted(keys)
    context = detail.get("ctx", {})
    cause = context.get("error")
    value = _shown(detail["input"])
    match detail["type"]:
        case "unknown_key":
            return f"{where}: unknown key {key}", unknown("key", context["key"], context["known"]).remedy
        case "missing":
            return f"{where}: the key {key} is missing", ""
        case "union_tag_invalid":
            tags = [tag.strip("' <>") for tag in str(context["expected_tags"]).split(",")]
            given = str(context["tag"]).strip("<>")
            return f"{where}: {key} is of the unknown kind {given!r}", unknown("kind", given, tags).remedy
        case "model_type" | "model_attributes_type" | "union_tag_not_found":
            return f"{where}: {key} is {value}, not keys and values", "Put its keys on the lines below it, indented."
        case _ if isinstance(cause, EqsolveError):
            joint = " " if cause.what.startswith(("is ", "has ")) else ": "
            return f"{where}: {key}{joint}{cause.what}", cause.remedy
    reason = detail["msg"][:1].lower() + detail["msg"][1:]
    return f"{where}: {key} is {value}: {reason}", ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
