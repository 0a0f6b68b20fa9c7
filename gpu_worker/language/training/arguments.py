"""sd-scripts' lists of `name=value` (`network_args`, `optimizer_args`), as parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from gpu_worker.language.training.config_errors import ConfigError, unknown_key

__all__ = ["network_arguments", "optimizer_arguments"]

Reader = Callable[[str], object]


def _algorithm(text: str) -> str:
    return {"locon": "lora"}.get(text.lower(), text.lower())


def _betas(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.strip("()[] ").split(","))


def _flag(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


_NETWORK: Mapping[str, Reader] = {
    "algo": _algorithm, "conv_dim": int, "conv_alpha": float, "factor": int, "dropout": float,
}  # fmt: skip
_OPTIMIZER: Mapping[str, Reader] = {"weight_decay": float, "betas": _betas, "d_coef": float}
_AS_IT_IS: Mapping[str, bool] = {"decouple": True, "use_bias_correction": False, "safeguard_warmup": False}
"""Of Prodigy; what these are here is what sd-scripts' users mostly leave them at."""


def network_arguments(given: Any) -> dict[str, object]:
    """Raises ConfigError."""
    found = _read("network_args", given, _NETWORK)
    if "dropout" in found:
        found["network_dropout"] = found.pop("dropout")
    return found


def optimizer_arguments(given: Any) -> dict[str, object]:
    """Raises ConfigError."""
    found = _read("optimizer_args", given, {**_OPTIMIZER, **dict.fromkeys(_AS_IT_IS, _flag)})
    for name, value in _AS_IT_IS.items():
        if found.pop(name, value) != value:
            why = f"cannot have {name}={not value} here"
            raise ConfigError("optimizer_args", why, f"Take {name} out of the list.")
    return found


def _read(key: str, given: Any, readers: Mapping[str, Reader]) -> dict[str, object]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in cast("list[Any]", given)):
        raise ConfigError(key, "has to be a list of texts", f'Write it like {key} = ["{next(iter(readers))}=…"].')
    found: dict[str, object] = {}
    for text in cast("list[str]", given):
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise ConfigError(key, f"holds {text[:60]!r} without a value", f"Write it as {text[:60]}=value.")
        if name not in readers:
            raise unknown_key(name, readers, key)
        try:
            found[name] = readers[name](value)
        except (ValueError, KeyError, OverflowError) as error:
            raise ConfigError(key, f"cannot read {text[:60]!r}", f"Give {name} another value.") from error
    return found
