"""Whole networks that were pickled instead of their weights, as ultralytics saves its detectors: the tensors by the
names that `state_dict` would give them, and what the detector calls its classes. Nothing is executed (pickle_machine).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from gpu_worker.language.headers import HeaderError
from gpu_worker.language.pickle_machine import Inert, PickledTensor

__all__ = ["CLASS_CHARS_MAX", "class_names", "clean_class_names", "is_module", "module_tensors"]

DEPTH_LIMIT = 32
PARTS_LIMIT = 20_000
CLASSES_MAX = 1000
CLASS_CHARS_MAX = 60


def is_module(value: Any) -> bool:
    return isinstance(value, Inert) and "_modules" in _state(value)


def module_tensors(module: Inert) -> dict[str, PickledTensor]:
    """Parameters and buffers, in no certain order. Raises HeaderError `corrupt` for one nested without end."""
    found: dict[str, PickledTensor] = {}
    visited = 0
    waiting: list[tuple[str, Any, int]] = [("", module, 0)]
    while waiting:
        prefix, part, depth = waiting.pop()
        visited += 1
        if depth > DEPTH_LIMIT or max(visited, len(found)) > PARTS_LIMIT:
            raise HeaderError("corrupt")
        state = _state(part)
        for table in ("_parameters", "_buffers"):
            for name, value in _entries(state.get(table)).items():
                if isinstance(value, PickledTensor):
                    found[f"{prefix}{name}"] = value
        for name, child in _entries(state.get("_modules")).items():
            waiting.append((f"{prefix}{name}.", child, depth + 1))
    return found


def class_names(content: Any) -> tuple[str, ...]:
    """Of a detector's checkpoint; empty where it does not say, or says it otherwise than by numbers from 0 on."""
    model = _entries(content).get("model") if isinstance(content, dict) else content
    return clean_class_names(_state(model).get("names"))


def clean_class_names(names: Any) -> tuple[str, ...]:
    """From a dict by number, or a list."""
    if isinstance(names, list):
        names = dict(enumerate(cast("list[Any]", names)))
    named = _entries(names)
    numbers = [key for key in named if isinstance(key, int)]
    if len(numbers) != len(named) or sorted(numbers) != list(range(len(named))) or len(named) > CLASSES_MAX:
        return ()
    return tuple(str(named[at])[:CLASS_CHARS_MAX] for at in range(len(named)))


def _state(value: Any) -> dict[Any, Any]:
    return _entries(value.state) if isinstance(value, Inert) else {}


def _entries(value: Any) -> dict[Any, Any]:
    return dict(cast("Mapping[Any, Any]", value)) if isinstance(value, dict) else {}
