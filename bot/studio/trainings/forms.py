"""The forms of the desk of a training, and what a sent one says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from enum import IntEnum

import discord

from bot.domain.mentions import neutral
from bot.domain.text import clean
from bot.domain.training.planning import require_name
from bot.domain.training.wishes import NAME_CHARS_MAX, SAMPLES_MAX, TrainingWish, changed, configured
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.storage.training_desks import TrainingDesk
from bot.studio.trainings.fields import GROUPS, NONE, FormGroup, read_group, shown
from bot.ui.codec import Verb, encode
from bot.ui.forms import boxes_field, checkbox_field, form_of, radio_field, select_field, text_field, upload_field
from gpu_worker.language.training.config import BYTES_MAX, read_config
from gpu_worker.language.training.config_errors import ConfigError

__all__ = ["CONFIG_FIELD", "FormOf", "configured_by", "form", "named", "parameter_refusal", "regrouped"]

TRIGGER_CHARS = 100
SAMPLE_CHARS = 4000
CONFIG_FIELD = "file"
_RADIO_AT_MOST = 4


class FormOf(IntEnum):
    """Beside the groups of parameters; never reused."""

    NAMES = 20
    CONFIG = 21


def form(desk: TrainingDesk, n: int, samples: Sequence[str], texts: Texts) -> discord.ui.Modal:
    """Raises UserFacingError (`form_unknown`)."""
    custom_id = encode(Verb.TRAIN_FORM, desk.id, n)
    if n == FormOf.NAMES:
        return _names_form(form_of(texts("train.form.names"), custom_id), desk.wish, samples, texts)
    if n == FormOf.CONFIG:
        made = form_of(texts("train.form.config"), custom_id)
        text_field(made, "text", texts("train.field.config"), texts("train.field.config_hint"), "")
        upload_field(made, CONFIG_FIELD, texts("train.field.config_file"), texts("train.field.config_file_hint"))
        return made
    group = GROUPS.get(n)
    if group is None:
        raise UserFacingError("form_unknown")
    return _group_form(form_of(texts(f"train.group.{group.key}"), custom_id), group, desk.wish, texts)


def _names_form(made: discord.ui.Modal, wish: TrainingWish, samples: Sequence[str], texts: Texts) -> discord.ui.Modal:
    text_field(
        made, "name", texts("train.field.name"), texts("train.field.name_hint"), wish.name, paragraph=False,
        required=True, max_length=NAME_CHARS_MAX,
    )  # fmt: skip
    text_field(
        made, "trigger", texts("train.field.trigger"), texts("train.field.trigger_hint"), wish.trigger,
        paragraph=False, max_length=TRIGGER_CHARS,
    )  # fmt: skip
    text_field(
        made, "samples", texts("train.field.samples"), texts("train.field.samples_hint"), "\n".join(samples),
        max_length=SAMPLE_CHARS,
    )  # fmt: skip
    hint = texts("trained.form.compare_hint")
    checkbox_field(made, "compare", texts("trained.form.compare"), hint, checked=wish.compare)
    return made


def _group_form(made: discord.ui.Modal, group: FormGroup, wish: TrainingWish, texts: Texts) -> discord.ui.Modal:
    for field in group.fields:
        hint = texts(f"train.hint.{field.key}")
        if field.options:
            rows = [(value, texts("train.none") if value == NONE else value) for value in field.options]
            make = radio_field if len(rows) <= _RADIO_AT_MOST else select_field
            make(made, field.key, field.label, hint, rows, shown(wish, field))
        else:
            text_field(made, field.key, field.label, hint, shown(wish, field), paragraph=False, max_length=200)
    if group.switches:
        keys = [key for _, key in group.switches]
        on = [key for part, key in group.switches if getattr(getattr(wish, part), key)]
        boxes_field(
            made, "switches", texts("train.field.switches"), texts(f"train.hint.switches_{group.key}"), keys, on
        )
    return made


def regrouped(wish: TrainingWish, n: int, fields: Mapping[str, str], checked: Sequence[str]) -> TrainingWish:
    """Raises UserFacingError: `form_unknown`, `train_value`."""
    group = GROUPS.get(n)
    if group is None:
        raise UserFacingError("form_unknown")
    try:
        return changed(wish, read_group(wish, group, fields, checked))
    except ConfigError as error:
        raise parameter_refusal(error) from error


def named(wish: TrainingWish, fields: Mapping[str, str]) -> TrainingWish:
    """Raises UserFacingError: `train_name`, `train_samples_many`."""
    lines = [line.strip() for line in clean(fields.get("samples", "")).text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) > SAMPLES_MAX:
        raise UserFacingError("train_samples_many", n=len(lines), most=SAMPLES_MAX)
    return wish.model_copy(
        update={
            "name": require_name(clean(fields.get("name", "")).text),
            "trigger": " ".join(clean(fields.get("trigger", "")).text.split())[:TRIGGER_CHARS],
            # What was emptied begins anew from the trigger word.
            "samples": tuple(lines) or None,
            "compare": fields.get("compare", str(wish.compare)) == "True",
        }
    )


async def configured_by(wish: TrainingWish, typed: str, file: bytes | None) -> tuple[TrainingWish, tuple[str, ...]]:
    """With what a configuration file says, and the keys that mean nothing here. Raises UserFacingError:
    `train_config_none`, `train_config_large`, `train_config_encoding`, `train_parameter`."""
    if file is not None and len(file) > BYTES_MAX:
        raise UserFacingError("train_config_large", limit_mb=BYTES_MAX >> 20)
    try:
        text = file.decode("utf-8-sig") if file is not None else typed
    except UnicodeDecodeError as error:
        raise UserFacingError("train_config_encoding") from error
    if not text.strip():
        raise UserFacingError("train_config_none")
    try:
        config = await asyncio.to_thread(read_config, text)
        return configured(wish, config), config.passed_over
    except ConfigError as error:
        raise parameter_refusal(error, in_file=True) from error


def parameter_refusal(error: ConfigError, *, in_file: bool = False) -> UserFacingError:
    """Its sentence names the key and the next step: the reader's own for a file, the form's for a form."""
    key = "train_batch_size" if error.key == "batch_size" else error.key
    reason = neutral(f"{key} {error.why}.", 300)
    if in_file:
        return UserFacingError("train_parameter", reason=reason, next=neutral(error.fix, 300))
    return UserFacingError("train_value", reason=reason)
