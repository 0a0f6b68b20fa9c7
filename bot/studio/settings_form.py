"""The forms of /settings: one for each group of keys, with a control that fits each, and reading a sent one."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import discord

from bot.domain.limits import Limits
from bot.domain.mentions import spoken
from bot.domain.models import UPSCALERS, find_checkpoint, find_upscaler, find_vae, names_of
from bot.domain.preferences import (
    CHECKPOINT,
    KEYS,
    LANGUAGE,
    VAE,
    Group,
    Key,
    Level,
    Names,
    Number,
    Options,
    Resolved,
    Shape,
    Switch,
)
from bot.domain.sizes import ASPECTS
from bot.domain.text import clean
from bot.errors import UserFacingError
from bot.i18n import LANGUAGES, Texts, load_language
from bot.ui.codec import Verb, encode
from bot.ui.forms import NAME_LIMIT, OPTIONS_LIMIT, RADIO_LIMIT, form_of, radio_field, select_field, text_field
from gpu_worker.protocol.messages import ModelFact

__all__ = ["UNSET", "form_number", "group_of", "keys_of", "read_form", "settings_form", "shown_value"]

UNSET = "-"
"""The choice that takes a value away; Discord knows no empty one."""
_SIZES = (
    "512x512", "512x768", "768x512", "768x768", "768x1024", "1024x768", "832x1216", "1216x832", "896x1152", "1152x896",
    "1024x1024", "1344x768", "768x1344",
)  # fmt: skip
"""What people draw with, for models of 512 and of 1024 pixels."""


def group_of(number: int | None) -> Group:
    """Of a button's or a form's address. Raises UserFacingError (`form_unknown`)."""
    if number is None:
        raise UserFacingError("form_unknown")
    return [*Group][number % len(Group)]


def form_number(group: Group, said: Mapping[str, Any]) -> int:
    """The group, and a mark of what its owner had set when the form was opened: whoever sends it learns whether
    somebody else has changed that meanwhile. At most three digits."""
    mark = zlib.crc32(json.dumps(sorted(said.items())).encode()) % (1000 // len(Group))
    return mark * len(Group) + [*Group].index(group)


def keys_of(group: Group, level: Level) -> list[Key[Any]]:
    return [key for key in KEYS.values() if key.group is group and level in key.levels]


def shown_value(key: Key[Any], value: Any, texts: Texts) -> str:
    """As a person reads it; not inert."""
    if value is None:
        return texts(f"setting.{key.name}.unset")
    if isinstance(key.kind, Switch):
        return texts("settings.on" if value else "settings.off")
    if key.name == LANGUAGE.name:
        return load_language(value)["language.name"] if value in LANGUAGES else str(value)
    if isinstance(key.kind, Options):
        return _option(key, str(value), texts)
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def _option(key: Key[Any], value: str, texts: Texts) -> str:
    """In words, where it is no name."""
    words = f"setting.{key.name}.option.{value}"
    return texts(words) if texts.has(words) else value


def settings_form(
    owner: str,
    group: Group,
    level: Level,
    said: Mapping[str, Any],
    below: Mapping[str, Resolved[Any]],
    facts: Sequence[ModelFact],
    limits: Limits,
    texts: Texts,
) -> discord.ui.Modal:
    """`said` are the owner's own words, `below` what holds without them, by key's name."""
    form = form_of(texts(f"settings.group.{group}"), encode(Verb.SETTINGS_FORM, owner, form_number(group, said)))
    for key in keys_of(group, level):
        label, hint = texts(f"setting.{key.name}.name"), texts(f"setting.{key.name}.hint")
        own = said.get(key.name)
        unset = texts("settings.unset", value=shown_value(key, below[key.name].value, texts))[:NAME_LIMIT]
        rows = _choices(key, facts, limits, texts)
        if rows is None:
            most = getattr(key.kind, "most", None) if not isinstance(key.kind, Number) else None
            plain = "" if own is None else f"{own:g}" if isinstance(own, float) else str(own)
            text_field(
                form, key.name, label, f"{hint} {unset}"[:NAME_LIMIT], plain,
                paragraph=most is not None and most > 400, max_length=most or 300,
            )  # fmt: skip
            continue
        current = UNSET if own is None else ("on" if own else "off") if isinstance(own, bool) else str(own)
        field = radio_field if len(rows) < RADIO_LIMIT - 1 else select_field
        field(form, key.name, label, hint, [(UNSET, unset), *rows], current)
    return form


def read_form(
    fields: Mapping[str, str],
    group: Group,
    level: Level,
    *,
    facts: Sequence[ModelFact],
    checkpoint: str | None,
) -> dict[str, Any]:
    """Key's name → value, None for what was taken away. `checkpoint` is the one that holds without this form's.

    Raises UserFacingError: `setting_value`, `setting_number`, and those of the functions that find models.
    """
    found: dict[str, Any] = {}
    for key in keys_of(group, level):
        if key.name not in fields:
            continue
        text = fields[key.name].strip()
        if text in ("", UNSET):
            found[key.name] = None
            continue
        chosen = found.get(CHECKPOINT.name) or checkpoint
        found[key.name] = _value(key, text, facts, chosen)
    return found


def _choices(key: Key[Any], facts: Sequence[ModelFact], limits: Limits, texts: Texts) -> list[tuple[str, str]] | None:
    """(value, label); None where a text is typed, also where a list would not hold all there are."""
    match key.kind:
        case Switch():
            return [("on", texts("settings.on")), ("off", texts("settings.off"))]
        case Options(options):
            return [(name, _option(key, name, texts)) for name in options]
        case Number(least, most, whole=True) if most - least < RADIO_LIMIT - 1:
            return [(str(n), str(n)) for n in range(int(least), int(most) + 1)]
        case Shape():
            sizes = [size for size in _SIZES if max(map(int, size.split("x"))) <= limits.max_side_px]
            return [*((aspect, aspect) for aspect in ASPECTS), *((size, size.replace("x", " × ")) for size in sizes)]
        case Names(kind, also):
            names = [*also, *(UPSCALERS if kind == "upscaler" else ()), *names_of(kind, facts)]
            # One row for "not set", one for a current value that is not among them.
            fit = len(names) <= OPTIONS_LIMIT - 2 and all(len(name) <= NAME_LIMIT for name in names)
            return [(name, name) for name in names] if fit else None
        case _ if key.name == LANGUAGE.name:
            return [(language, load_language(language)["language.name"]) for language in LANGUAGES][: OPTIONS_LIMIT - 1]
        case _:
            return None


def _value(key: Key[Any], text: str, facts: Sequence[ModelFact], checkpoint: str | None) -> Any:
    match key.kind:
        case Switch():
            return text == "on"
        case Number():
            return _number(key, key.kind, text)
        case Names("checkpoint"):
            return find_checkpoint(text, facts).name
        case Names("vae"):
            return find_vae(text, find_checkpoint(checkpoint, facts), facts) if key.name == VAE.name else text
        case Names("upscaler"):
            return find_upscaler(text, facts)
        case _:
            try:
                return key.kind.read(clean(text).text)
            except ValueError as error:
                raise UserFacingError("setting_value", value=spoken(text)) from error


def _number(key: Key[Any], kind: Number, text: str) -> float:
    try:
        number = float(text.replace(",", "."))
        return kind.read(int(number) if kind.whole and number == int(number) else number)
    except (ValueError, OverflowError) as error:
        least, most = f"{kind.least:g}", f"{kind.most:g}"
        raise UserFacingError(
            "setting_number", value=spoken(text), least=least, most=most, name=key.name.replace("_", " ")
        ) from error
