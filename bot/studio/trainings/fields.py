"""kohya's parameters in groups, each a form of at most five parts, and how a typed value is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

from bot.domain.training.wishes import Part, TrainingWish
from gpu_worker.language.training.config import dataset_values
from gpu_worker.language.training.config_errors import ConfigError
from gpu_worker.language.training.parameters import NetworkAlgorithm, Optimizer, Scheduler

__all__ = ["GROUPS", "Field", "FormGroup", "field_named", "read_group", "shown"]

NONE = "-"
"""Of a list: as if nothing was said; Discord knows no empty value."""


def _resolution(text: str) -> tuple[int, int]:
    return dataset_values({"resolution": text.replace("x", ",").replace("×", ",")})["resolution"]


@dataclass(frozen=True, slots=True)
class Field:
    """`read` may raise ValueError. With `options` it is a list."""

    key: str
    part: Part
    read: Callable[[str], Any]
    options: Sequence[str] = ()

    @property
    def label(self) -> str:
        """As sd-scripts' command line has it."""
        return "train_batch_size" if self.key == "batch_size" else self.key


@dataclass(frozen=True, slots=True)
class FormGroup:
    """`switches` are boxes in one group."""

    key: str
    fields: Sequence[Field]
    switches: Sequence[tuple[Part, str]] = ()


def _own(key: str, read: Callable[[str], Any], *options: str) -> Field:
    return Field(key, "parameters", read, options)


_OPTIMIZERS: tuple[str, ...] = get_args(Optimizer)
_SCHEDULERS: tuple[str, ...] = get_args(Scheduler)
_ALGORITHMS: tuple[str, ...] = get_args(NetworkAlgorithm)

GROUPS: Mapping[int, FormGroup] = MappingProxyType(
    {
        1: FormGroup(
            "steps",
            (
                _own("max_train_epochs", int), _own("max_train_steps", int), _own("save_every_n_epochs", int),
                Field("batch_size", "rules", int), _own("gradient_accumulation_steps", int),
            ),
        ),
        2: FormGroup(
            "network",
            (
                _own("algo", str, *_ALGORITHMS), _own("network_dim", int), _own("network_alpha", float),
                _own("conv_dim", int), _own("conv_alpha", float),
            ),
        ),
        3: FormGroup(
            "rates",
            (
                _own("unet_lr", float), _own("text_encoder_lr", float), _own("optimizer_type", str, *_OPTIMIZERS),
                _own("lr_scheduler", str, *_SCHEDULERS), _own("lr_warmup_steps", float),
            ),
        ),
        4: FormGroup(
            "pictures",
            (
                Field("resolution", "rules", _resolution), Field("min_bucket_reso", "rules", int),
                Field("max_bucket_reso", "rules", int), Field("bucket_reso_steps", "rules", int),
            ),
            (
                ("rules", "enable_bucket"), ("rules", "bucket_no_upscale"), ("subset", "flip_aug"),
                ("subset", "random_crop"), ("parameters", "cache_latents"),
            ),
        ),
        5: FormGroup(
            "captions",
            (
                Field("keep_tokens", "subset", int), Field("caption_dropout_rate", "subset", float),
                _own("clip_skip", int), _own("max_token_length", int, "75", "150", "225"),
            ),
            (("subset", "shuffle_caption"),),
        ),
        6: FormGroup(
            "further",
            (
                _own("noise_offset", float), _own("min_snr_gamma", float), _own("max_grad_norm", float),
                _own("seed", int), _own("training_comment", str),
            ),
        ),
        7: FormGroup(
            "machine",
            (
                _own("mixed_precision", str, "no", "fp16", "bf16"),
                _own("save_precision", str, NONE, "float", "fp16", "bf16"),
                _own("weight_decay", float), _own("d_coef", float),
            ),
            (
                ("parameters", "gradient_checkpointing"), ("parameters", "network_train_unet_only"),
                ("parameters", "network_train_text_encoder_only"),
            ),
        ),
    }
)  # fmt: skip
"""By the number in a button's address; a number's meaning never changes."""


def field_named(name: str) -> tuple[Part, str, Callable[[str], Any]] | None:
    """By kohya's name: where it is kept, and how a text is read."""
    own = "batch_size" if name == "train_batch_size" else name
    for group in GROUPS.values():
        for field in group.fields:
            if field.key == own:
                return field.part, own, field.read
        for part, key in group.switches:
            if key == own:
                return part, own, _switch
    return None


def _switch(text: str) -> bool:
    return text.casefold() == "true"


def shown(wish: TrainingWish, field: Field) -> str:
    """As it is typed; empty for what is not said."""
    value: Any = getattr(getattr(wish, field.part), field.key)
    match value:
        case None:
            return NONE if field.options else ""
        case (width, height):
            return f"{width}" if width == height else f"{width},{height}"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def read_group(
    wish: TrainingWish, group: FormGroup, fields: Mapping[str, str], checked: Sequence[str]
) -> dict[tuple[Part, str], Any]:
    """What a sent form changes; None takes a value back. Raises ConfigError for what cannot be read."""
    changes: dict[tuple[Part, str], Any] = {}
    for field in group.fields:
        text = fields.get(field.key, "").strip()
        if text == shown(wish, field):
            continue
        if text in ("", NONE):
            changes[field.part, field.key] = None
            continue
        try:
            changes[field.part, field.key] = field.read(_number(text) if field.read in (int, float) else text)
        except ConfigError:
            raise
        except ValueError as error:
            kind = "a whole number" if field.read is int else "a number"
            raise ConfigError(field.key, f"has to be {kind} and is {text[:60]!r}", "") from error
    for part, key in group.switches:
        if (key in checked) != getattr(getattr(wish, part), key):
            changes[part, key] = key in checked
    algo = changes.get(("parameters", "algo"), wish.parameters.algo)
    if group.key == "network" and ("parameters", "algo") in changes:
        changes["parameters", "network_module"] = "networks.lora" if algo in (None, "lora") else "lycoris.kohya"
    return changes


def _number(text: str) -> str:
    """`0,0001` as people in many countries write it."""
    return text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
