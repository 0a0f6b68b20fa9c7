"""The forms of the tag editor, and reading what was typed into them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import discord

from bot.domain.captions.editor import FILTER_TAGS_MAX, CaptionEditor
from bot.domain.captions.operations import listed_tags
from bot.domain.mentions import spoken
from bot.domain.text import clean
from bot.domain.training.datasets import CAPTION_CHARS_MAX, Picture
from bot.domain.values import decimal, whole
from bot.errors import UserFacingError
from bot.i18n import Texts
from bot.studio.captions.cards import Work
from bot.studio.captions.replacing import Replacement
from bot.ui.codec import Verb, encode
from bot.ui.forms import checkbox_field, form_of, radio_field, select_field, text_field
from gpu_worker.language.training.tag_editor import SORTS, Sort, Tags, read_tags
from gpu_worker.protocol.specs import Caption, ExistingCaption

__all__ = [
    "TAG_CHARS_MAX", "Sorting", "TaggerWish", "editor_form", "read_existing", "read_filter", "read_list",
    "read_search", "read_sorting", "read_tagger", "tagger_form",
]  # fmt: skip

TAG_CHARS_MAX = 200
KEEP_MOST = 75
PATTERN_CHARS_MAX = 1000
TAGGERS_LISTED = 12
_UNDERSCORES = "_:"
"""Before the name of a tagger whose tags keep them."""
THRESHOLD = float(Caption.model_fields["threshold"].default)
CHARACTER = float(Caption.model_fields["character"].default)
EXISTING: tuple[ExistingCaption, ...] = get_args(ExistingCaption)


@dataclass(frozen=True, slots=True)
class Sorting:
    by: Sort
    descending: bool
    keep: int


@dataclass(frozen=True, slots=True)
class TaggerWish:
    tagger: str | None
    threshold: float
    character: float
    exclude: Tags
    """Each as a tagger's table may write it."""
    always: Tags
    existing: ExistingCaption
    underscores: bool
    """They stay: some checkpoints were taught with them."""


def editor_form(id_: str, work: Work, editor: CaptionEditor, picture: Picture | None, texts: Texts) -> discord.ui.Modal:
    """`picture` is the open one; a list to edit is that of the chosen tags."""
    title = "filter" if work is Work.FILTER else "caption"
    name = texts(f"tag_editor.form.{title}") if work in _ALONE else texts(f"tag_editor.work.{work.name.lower()}")
    form = form_of(name, encode(Verb.CAPTIONS_FORM, id_, int(work)))

    def text(field: str, key: str, hint: str, default: str = "", *, paragraph: bool = False, most: int = 1000) -> None:
        label, below = texts(f"tag_editor.form.{key}"), texts(f"tag_editor.form.{hint}") if hint else ""
        text_field(form, field, label, below, default, paragraph=paragraph, max_length=most)

    def check(field: str, hint: str = "", *, checked: bool = False) -> None:
        below = texts(f"tag_editor.form.{hint}") if hint else ""
        checkbox_field(form, field, texts(f"tag_editor.form.{field}"), below, checked=checked)

    match work:
        case Work.FILTER:
            text("all_of", "all_of", "tags_hint", ", ".join(editor.all_of))
            text("none_of", "none_of", "tags_hint", ", ".join(editor.none_of))
            text("search", "search", "search_hint", editor.search, most=200)
            check("bare", checked=editor.bare)
        case Work.TRIGGER:
            text("tags", "trigger", "trigger_hint", most=TAG_CHARS_MAX)
        case Work.FRONT | Work.END:
            text("tags", "add", "add_hint", paragraph=True)
        case Work.REPLACE | Work.COMMON:
            text(
                "tags",
                "list",
                "list_hint",
                "\n".join(listed_tags(editor.chosen)),
                paragraph=True,
                most=CAPTION_CHARS_MAX,
            )
            check("prepend", checked=True)
        case Work.SEARCH:
            text("search", "search_for", "", most=PATTERN_CHARS_MAX)
            text("replace", "replace_with", "replace_hint", most=PATTERN_CHARS_MAX)
            where = [("whole", texts("tag_editor.form.where_whole")), ("tags", texts("tag_editor.form.where_tags"))]
            if editor.chosen:
                where.append(("chosen", texts("tag_editor.form.where_chosen")))
            radio_field(form, "where", texts("tag_editor.form.where"), "", where, "whole")
            check("regex")
        case Work.SORT:
            sorts = [(name, texts(f"tag_editor.form.{name}")) for name in SORTS]
            radio_field(form, "by", texts("tag_editor.form.sort_by"), "", sorts, "alphabetical")
            check("descending", "descending_hint")
            text("keep", "keep", "keep_hint", "1", most=3)
        case Work.CAPTION:
            assert picture is not None, "the form of an open picture"
            text("caption", "caption", "caption_hint", picture.caption or "", paragraph=True, most=CAPTION_CHARS_MAX)
        case _:
            raise UserFacingError("button_unknown")
    return form


_ALONE = (Work.FILTER, Work.CAPTION)


def tagger_form(id_: str, taggers: Sequence[str], texts: Texts) -> discord.ui.Modal:
    """Of at least one tagger."""
    form = form_of(texts("tag_editor.tagger"), encode(Verb.CAPTIONS_FORM, id_, int(Work.TAGGER)))
    # A form has five fields, so this is a second row of each tagger.
    named = [(name, name) for name in taggers[:TAGGERS_LISTED]]
    named += [(f"{_UNDERSCORES}{name}", texts("tag_editor.form.underscores", name=name)) for name, _ in named]
    select_field(form, "tagger", texts("tag_editor.form.tagger"), "", named, taggers[0])
    text_field(
        form, "thresholds", texts("tag_editor.form.thresholds"), texts("tag_editor.form.thresholds_hint"),
        f"{THRESHOLD:g}", paragraph=False, max_length=20,
    )  # fmt: skip
    hint = texts("tag_editor.form.tags_hint")
    text_field(form, "exclude", texts("tag_editor.form.exclude"), hint, "", max_length=2000)
    text_field(form, "always", texts("tag_editor.form.always"), texts("tag_editor.form.always_hint"), "",
               paragraph=False, max_length=1000)  # fmt: skip
    modes = [(m, texts(f"tag_editor.form.{'prepend_found' if m == 'prepend' else m}")) for m in EXISTING]
    radio_field(form, "existing", texts("tag_editor.form.existing"), "", modes, "ignore")
    return form


# --- what was typed ---------------------------------------------------------------------------------------------------


def read_list(typed: str, most: int = FILTER_TAGS_MAX) -> Tags:
    """Tags with commas or line breaks between them, each once. Raises UserFacingError (`captions_many_tags`)."""
    found = tuple(dict.fromkeys(read_tags(",".join(clean(typed).text.splitlines()))))
    if len(found) > most or any(len(tag) > TAG_CHARS_MAX for tag in found):
        raise UserFacingError("captions_many_tags", most=most)
    return found


def read_filter(editor: CaptionEditor, fields: Mapping[str, str]) -> CaptionEditor:
    """Raises UserFacingError (`captions_many_tags`)."""
    return editor.model_copy(
        update={
            "all_of": read_list(fields.get("all_of", "")),
            "none_of": read_list(fields.get("none_of", "")),
            "search": " ".join(clean(fields.get("search", "")).text.split())[:200],
            "bare": fields.get("bare") == "True",
            "page": 0,
            "tag_page": 0,
        }
    )


def read_search(editor: CaptionEditor, fields: Mapping[str, str]) -> Replacement:
    """Raises UserFacingError: `captions_no_text`, `captions_none_chosen`."""
    search, where = fields.get("search", ""), fields.get("where", "whole")
    if not search:
        raise UserFacingError("captions_no_text")
    if where == "chosen" and not editor.chosen:
        raise UserFacingError("captions_none_chosen")
    return Replacement(
        search=search,
        replace=fields.get("replace", ""),
        regex=fields.get("regex") == "True",
        whole=where == "whole",
        only=editor.chosen if where == "chosen" else None,
    )


def read_sorting(fields: Mapping[str, str]) -> Sorting:
    """Raises UserFacingError (`captions_number`)."""
    typed = fields.get("keep", "").strip()
    try:
        keep = whole(typed) if typed else 0
    except ValueError:
        keep = -1
    if not 0 <= keep <= KEEP_MOST:
        raise UserFacingError("captions_number", given=spoken(typed), most=KEEP_MOST, better=1)
    by = fields.get("by", "")
    return Sorting(by if by in SORTS else "alphabetical", fields.get("descending") == "True", keep)


def read_existing(typed: str) -> ExistingCaption:
    found: list[ExistingCaption] = [mode for mode in EXISTING if mode == typed]
    return found[0] if found else "ignore"


def read_tagger(fields: Mapping[str, str]) -> TaggerWish:
    """Raises UserFacingError: `captions_threshold`, `captions_many_tags`."""
    typed = fields.get("thresholds", "").strip()
    numbers = [_threshold(part) for part in re.split(r"[\s;/]+", typed) if part]
    if len(numbers) > 2:
        raise UserFacingError("captions_threshold", given=spoken(typed))
    threshold = numbers[0] if numbers else THRESHOLD
    exclude = read_list(fields.get("exclude", ""), most=90)
    tagger = fields.get("tagger", "")
    return TaggerWish(
        tagger=tagger.removeprefix(_UNDERSCORES) or None,
        underscores=tagger.startswith(_UNDERSCORES),
        threshold=threshold,
        character=numbers[1] if len(numbers) == 2 else threshold if numbers else CHARACTER,
        # A table writes them with underscores, people mostly do not; names of other taggers have spaces.
        exclude=tuple(dict.fromkeys(word for tag in exclude for word in (tag, tag.replace(" ", "_")))),
        always=read_list(fields.get("always", "")),
        existing=read_existing(fields.get("existing", "")),
    )


def _threshold(typed: str) -> float:
    try:
        found = decimal(typed.strip(","))
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise UserFacingError("captions_threshold", given=spoken(typed))
    return found
