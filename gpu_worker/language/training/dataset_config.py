"""Reads sd-scripts' data set file: TOML with `[general]`, `[[datasets]]` and `[[datasets.subsets]]` (§24.1, §24.2).

What a subset does not say its data set says, then `[general]`, then the configuration file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from gpu_worker.language.training.config import dataset_values, parse_toml
from gpu_worker.language.training.config_errors import ConfigError, is_finite, unknown_key, validated
from gpu_worker.language.training.parameters import DatasetRules, SubsetRules

__all__ = ["DATASETS_MAX", "SUBSETS_MAX", "DatasetConfig", "SubsetConfig", "read_dataset_config"]

DATASETS_MAX, SUBSETS_MAX = 16, 64
REPEATS_MAX = 10_000

_SUBSET = frozenset(SubsetRules.model_fields)
_DATASET = frozenset(DatasetRules.model_fields)
_PLACE = frozenset({"image_dir", "num_repeats", "class_tokens", "is_reg", "caption_extension"})
_SHARED = _SUBSET | _DATASET | {"caption_extension", "num_repeats"}
_NOT_DONE = ("metadata_file", "color_aug", "face_crop_aug_range", "conditioning_data_dir", "custom_attributes")


@dataclass(frozen=True)
class SubsetConfig:
    image_dir: str
    num_repeats: int
    class_tokens: str
    is_reg: bool
    caption_extension: str
    rules: SubsetRules


@dataclass(frozen=True)
class DatasetConfig:
    rules: DatasetRules
    subsets: tuple[SubsetConfig, ...]


def read_dataset_config(
    text: str,
    dataset: DatasetRules | None = None,
    subset: SubsetRules | None = None,
    caption_extension: str | None = None,
) -> tuple[DatasetConfig, ...]:
    """`dataset`, `subset` and `caption_extension` are the configuration file's. Raises ConfigError."""
    tables = parse_toml(text)
    if (key := next((key for key in tables if key not in ("general", "datasets")), None)) is not None:
        raise unknown_key(key, ("general", "datasets"))
    general = _table(tables.get("general", {}), "general", _SHARED)
    found = _tables(tables.get("datasets", []), "datasets", DATASETS_MAX)
    if not found:
        raise ConfigError("datasets", "is missing", "Add [[datasets]] with [[datasets.subsets]] and an image_dir.")
    base = {
        name: value
        for rules in (dataset, subset)
        if rules is not None
        for name, value in rules.model_dump(exclude_unset=True).items()
    }
    if caption_extension is not None:
        base["caption_extension"] = caption_extension
    return tuple(_dataset(one, base | general, f"datasets {number}") for number, one in enumerate(found, 1))


def _dataset(given: Mapping[str, Any], shared: Mapping[str, Any], where: str) -> DatasetConfig:
    subsets = _tables(given.get("subsets", []), f"{where}, subsets", SUBSETS_MAX)
    if not subsets:
        raise ConfigError("subsets", "is missing", "Add [[datasets.subsets]] with an image_dir.", where)
    own = {**shared, **_table({k: v for k, v in given.items() if k != "subsets"}, where, _SHARED)}
    rules = validated(DatasetRules, dataset_values({k: v for k, v in own.items() if k in _DATASET}, where), where)
    return DatasetConfig(
        rules, tuple(_subset(one, own, f"{where}, subsets {number}") for number, one in enumerate(subsets, 1))
    )


def _subset(given: Mapping[str, Any], shared: Mapping[str, Any], where: str) -> SubsetConfig:
    own = {**shared, **_table(given, where, _SUBSET | _PLACE)}
    texts = {key: own.get(key, default) for key, default in _TEXTS.items()}
    for key, value in texts.items():
        if not isinstance(value, str):
            raise ConfigError(key, "has to be a text", 'Write it in quotation marks: "…".', where)
    if not texts["image_dir"]:
        raise ConfigError("image_dir", "is missing", "Say which folder holds the pictures.", where)
    repeats, is_reg = own.get("num_repeats", 1), own.get("is_reg", False)
    if type(repeats) is not int or not 1 <= repeats <= REPEATS_MAX:
        why = f"has to be a whole number from 1 to {REPEATS_MAX} and is {str(repeats)[:60]}"
        raise ConfigError("num_repeats", why, "Change it in the file, or leave it out to get the default: 1.", where)
    if not isinstance(is_reg, bool):
        raise ConfigError("is_reg", "has to be true or false", "Leave it out for pictures of what is learnt.", where)
    rules = validated(SubsetRules, {k: v for k, v in own.items() if k in _SUBSET}, where)
    return SubsetConfig(num_repeats=repeats, is_reg=is_reg, rules=rules, **texts)


_TEXTS = {"image_dir": "", "class_tokens": "", "caption_extension": ".caption"}


def _table(given: Any, where: str, known: frozenset[str]) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ConfigError(where, "has to be a table", f"Write it as [{where}].")
    table = cast("dict[str, Any]", given)
    for key, value in table.items():
        if key in _NOT_DONE and value:
            raise ConfigError(key, "asks for something that is not done here", "Take it out of the file.", where)
        if key not in known and key not in _NOT_DONE:
            raise unknown_key(key, known, where)
        if not is_finite(value):
            raise ConfigError(key, f"is {value} and no number", "Give it a number, or leave it out.", where)
    return {key: value for key, value in table.items() if key in known}


def _tables(given: Any, where: str, most: int) -> list[dict[str, Any]]:
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in cast("list[Any]", given)):
        raise ConfigError(where, "has to be a list of tables", f"Write each as [[{where}]].")
    tables = cast("list[dict[str, Any]]", given)
    if len(tables) > most:
        raise ConfigError(where, f"holds {len(tables)} tables, and {most} are the most", "Join some of them.")
    return tables
