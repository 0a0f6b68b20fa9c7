"""The forms of data sets. What a form is about stands in its address alone."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.domain.mentions import neutral
from bot.domain.training.datasets import DEFAULT_REPEATS, Dataset, Folder, Picture
from bot.domain.training.names import NAME_CHARS, TOKENS_CHARS
from bot.i18n import Texts
from bot.ui.codec import Verb, encode
from bot.ui.forms import boxes_field, checkbox_field, form_of, select_field, text_field, upload_field

__all__ = ["TAKE_OUT", "add_form", "choose_form", "folder_form", "new_form", "row_of"]

TAKE_OUT = "out"
FILES_MAX = 10
"""Discord's own limit of one upload."""


def new_form(find_id: str, name: str, tokens: str, repeats: int, texts: Texts) -> discord.ui.Modal:
    """`find_id` are pictures that it begins with, or 0."""
    form = form_of(texts("dataset.form.new"), encode(Verb.DATASET_FORM, find_id))
    text_field(
        form, "name", texts("dataset.form.name"), texts("dataset.form.name_hint"), name, paragraph=False, required=True,
        max_length=NAME_CHARS,
    )  # fmt: skip
    _folder_fields(form, tokens, repeats, texts)
    # Nobody is asked twice: it holds for what is added later, too, and says so.
    checkbox_field(form, "consent", texts("dataset.form.consent"), texts("dataset.form.consent_hint"), checked=False)
    return form


def add_form(dataset: Dataset, folders: Sequence[tuple[str, str]], texts: Texts) -> discord.ui.Modal:
    """Files for one of its folders, by id and label; where there is only one nobody is asked."""
    form = form_of(texts("dataset.form.add", name=neutral(dataset.name)), encode(Verb.DATASET_ADD_FORM, dataset.id))
    hint = texts("dataset.form.files_hint")
    upload_field(form, "files", texts("dataset.form.files"), hint, required=True, most=FILES_MAX)
    if len(folders) > 1:
        select_field(form, "folder", texts("dataset.form.folder_of"), "", folders, folders[0][0])
    form.add_item(discord.ui.TextDisplay(texts("dataset.ways")))
    return form


def folder_form(dataset: Dataset, folder: Folder | None, texts: Texts) -> discord.ui.Modal:
    """Of a folder, or of a new one."""
    if folder is None:
        form = form_of(texts("dataset.form.folder_new"), encode(Verb.DATASET_FOLDER_FORM, dataset.id, 1))
        _folder_fields(form, "", DEFAULT_REPEATS, texts)
    else:
        form = form_of(texts("dataset.form.folder"), encode(Verb.DATASET_FOLDER_FORM, folder.id))
        _folder_fields(form, folder.class_tokens, folder.repeats, texts)
    is_reg = folder is not None and folder.is_reg
    checkbox_field(form, "reg", texts("dataset.form.reg"), texts("dataset.form.reg_hint"), checked=is_reg)
    if folder is not None:
        checkbox_field(form, "remove", texts("dataset.form.remove"), texts("dataset.form.remove_hint"), checked=False)
    return form


def choose_form(
    dataset: Dataset, page: int, pictures: Sequence[Picture], folders: Sequence[Folder], texts: Texts
) -> discord.ui.Modal:
    """About several pictures of a page: to another folder, or out."""
    form = form_of(texts("dataset.form.choose"), encode(Verb.DATASET_CHOOSE_FORM, dataset.id, page))
    rows = [row_of(number, picture) for number, picture in enumerate(pictures, 1)]
    boxes_field(form, "pictures", texts("dataset.form.pictures"), "", rows, ())
    ways = [(TAKE_OUT, texts("dataset.form.take_out"))]
    ways += [(one.id, texts("dataset.form.move_to", name=one.name)) for one in folders]
    select_field(form, "way", texts("dataset.form.way"), "", ways[:25], ways[1][0] if len(ways) > 2 else TAKE_OUT)
    return form


def row_of(number: int, picture: Picture) -> str:
    """A box says what it means by itself: its label and value are one."""
    return f"{number}. {picture.name}"


def _folder_fields(form: discord.ui.Modal, tokens: str, repeats: int, texts: Texts) -> None:
    text_field(
        form, "tokens", texts("dataset.form.tokens"), texts("dataset.form.tokens_hint"), tokens, paragraph=False,
        max_length=TOKENS_CHARS,
    )  # fmt: skip
    text_field(
        form, "repeats", texts("dataset.form.repeats"), texts("dataset.form.repeats_hint"), str(repeats),
        paragraph=False, required=True, max_length=6,
    )  # fmt: skip
