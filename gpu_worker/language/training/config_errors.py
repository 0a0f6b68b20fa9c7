"""What is wrong with a training's configuration, in a sentence that names the key and the next step."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

__all__ = ["ConfigError", "is_finite", "unknown_key", "validated"]

Model = TypeVar("Model", bound=BaseModel)

_VALUE_CHARS = 60
_KINDS = {
    "int_type": "a whole number", "int_parsing": "a whole number", "int_from_float": "a whole number",
    "float_type": "a number", "float_parsing": "a number", "bool_type": "true or false", "string_type": "a text",
    "finite_number": "a finite number", "tuple_type": "a list", "missing": "one more value", "too_long": "shorter",
}  # fmt: skip
_BOUNDS: dict[str, tuple[str, str]] = {
    "greater_than_equal": ("at least", "ge"), "greater_than": ("more than", "gt"), "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"), "multiple_of": ("a multiple of", "multiple_of"),
}  # fmt: skip


class ConfigError(ValueError):
    """`key` is the parameter, `where` the table it stands in; `why` and `fix` are the two halves of the sentence."""

    def __init__(self, key: str, why: str, fix: str, where: str = "") -> None:
        self.key = key
        self.where = where
        self.why = why
        self.fix = fix
        place = f" (in {where})" if where else ""
        super().__init__(f"{key}{place} {why}. {fix}")


def validated(model: type[Model], values: Mapping[str, Any], where: str = "") -> Model:
    """Raises ConfigError for the first value that `model` refuses."""
    try:
        return model(**values)
    except ValidationError as error:
        raise _translated(model, error, where) from error


def unknown_key(key: str, known: Iterable[str], where: str = "") -> ConfigError:
    near = difflib.get_close_matches(key, sorted(known), n=1)
    fix = f"Did you mean {near[0]}?" if near else "Take it out of the file."
    return ConfigError(_short(key), "is no parameter that is known here", fix, where)


def is_finite(value: Any) -> bool:
    """Whether no number in it is NaN or infinite."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(is_finite, cast("list[Any]", value)))
    return True


def _translated(model: type[BaseModel], error: ValidationError, where: str) -> ConfigError:
    first = error.errors()[0]
    if not first["loc"]:
        key, _, why = str(first.get("ctx", {}).get("error", first["msg"])).partition(": ")
        return ConfigError(key, why, "Change one of the two, or leave it out.", where)
    key = str(first["loc"][0])
    value = "" if first["type"] == "missing" else f" and is {_short(repr(first['input']))}"
    return ConfigError(key, f"has to be {_wanted(first)}{value}", _default(model, key), where)


def _wanted(first: Any) -> str:
    context: dict[str, Any] = first.get("ctx", {})
    if first["type"] in _BOUNDS:
        words, name = _BOUNDS[first["type"]]
        return f"{words} {context[name]}"
    if first["type"] == "literal_error":
        return f"one of {context['expected']}"
    if first["type"] in ("string_too_long", "string_too_short"):
        return "shorter" if first["type"] == "string_too_long" else "longer"
    return _KINDS.get(first["type"], "something else")


def _default(model: type[BaseModel], key: str) -> str:
    field = model.model_fields.get(key)
    default: Callable[[], object] | object = None if field is None else field.default
    said = "nothing" if default is None else repr(default)
    return f"Change it in the file, or leave it out to get the default: {said}."


def _short(text: str) -> str:
    return text if len(text) <= _VALUE_CHARS else f"{text[:_VALUE_CHARS]}…"
