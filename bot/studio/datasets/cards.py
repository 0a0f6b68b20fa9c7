"""The cards of data sets: one with a page of its pictures, one picture, what was added, what is asked.

Limits (PLATFORM.md): 40 components and 4000 characters of text in all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import discord

from bot.domain.mentions import neutral, spoken
from bot.domain.training.datasets import FOLDERS_MAX, Dataset, Folder, Held, Picture
from bot.i18n import Texts
from bot.storage.datasets import Waiting
from bot.studio.datasets.adding import Report
from bot.studio.datasets.tiles import tile_name
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import Row, select_row
from gpu_worker.language.training.steps import GUIDE_IMAGES_MAX

__all__ = [
    "FEW", "PAGE", "PAIRS", "Shown", "asked_card", "dataset_card", "into_card", "list_card", "near_card",
    "picture_card", "plain_card", "report_card", "report_lines",
]  # fmt: skip

PURPLE, RED = 0x9B59B6, 0xDA373C
PAGE = 9
PAIRS = 5
"""Of pictures and what they resemble: ten tiles are one gallery."""
FEW = 10
"""Fewer pictures teach little but themselves."""
NAMES_SHOWN = 6
REPORT_CHARS = 3200
FOLDERS_SHOWN = 12
CAPTION_CHARS = 900

Box = discord.ui.Container[discord.ui.LayoutView]
DANGER, PRIMARY = discord.ButtonStyle.danger, discord.ButtonStyle.primary


@dataclass(frozen=True)
class Shown:
    """A data set as its card shows it."""

    dataset: Dataset
    folders: Sequence[Folder]
    pictures: Sequence[Picture]
    waiting: int
    removable: int
    owned: Held
    room_bytes: int
    page: int = 0
    visible: bool = True
    """Whether its pictures may be seen here."""
    note: str = ""
    more: Sequence[AddressButton] = field(default_factory=list[AddressButton])
    """Buttons of other desks."""

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.pictures) // PAGE))

    @property
    def on_page(self) -> Sequence[Picture]:
        return self.pictures[self.page * PAGE : (self.page + 1) * PAGE]


def plain_card(text: str, buttons: Sequence[AddressButton] = ()) -> discord.ui.LayoutView:
    view, box = _card()
    box.add_item(discord.ui.TextDisplay(text))
    _add_rows(box, buttons)
    return view


def dataset_card(shown: Shown, texts: Texts) -> discord.ui.LayoutView:
    view, box = _card()
    id_ = shown.dataset.id
    box.add_item(discord.ui.TextDisplay(_head(shown, texts)))
    on_page = shown.on_page
    if on_page and shown.visible:
        box.add_item(_gallery([neutral(one.name, 100) for one in on_page]))
    if on_page:
        rows: list[Row] = [
            (one.id, f"{number}. {one.name}", _caption_line(one, texts)) for number, one in enumerate(on_page, 1)
        ]
        box.add_item(select_row(Verb.DATASET_PICTURE, id_, texts("dataset.open_picture"), rows, n=shown.page))
    folders: list[Row] = [(one.id, _folder_label(one, texts), texts("dataset.folder_hint")) for one in shown.folders]
    if len(folders) < FOLDERS_MAX:
        folders.append(("new", texts("dataset.folder_new"), texts("dataset.folder_new_hint")))
    box.add_item(select_row(Verb.DATASET_FOLDER, id_, texts("dataset.folders"), folders))
    turns = [(shown.page - 1, "dataset.previous", "◀️"), (shown.page + 1, "dataset.next", "▶️")]
    buttons = [
        button(Verb.DATASET, id_, texts(key), n=n, emoji=emoji) for n, key, emoji in turns if 0 <= n < shown.pages
    ]
    buttons.append(button(Verb.DATASET_HOW, id_, texts("dataset.how_button"), emoji="➕"))
    if on_page:
        buttons.append(button(Verb.DATASET_CHOOSE, id_, texts("dataset.choose"), n=shown.page, emoji="☑️"))
    if shown.waiting:
        label = texts("dataset.near_button", n=shown.waiting)
        buttons.append(button(Verb.DATASET_NEAR, id_, label, emoji="👯", style=PRIMARY))
    if shown.removable:
        buttons.append(button(Verb.DATASET_UNDO, id_, texts("dataset.undo", n=shown.removable), emoji="↩️"))
    buttons += shown.more
    if on_page:
        buttons.append(button(Verb.DATASET_TRAIN, id_, texts("dataset.train"), emoji="🎓", style=PRIMARY))
    if on_page:
        buttons.append(button(Verb.DATASET_EXPORT, id_, texts("dataset.export"), emoji="📦"))
    buttons.append(button(Verb.DATASET_DELETE, id_, texts("dataset.delete"), emoji="🗑️", style=DANGER))
    _add_rows(box, buttons)
    return view


def list_card(
    datasets: Sequence[tuple[Dataset, Held]], owned: Held, room_bytes: int, texts: Texts
) -> discord.ui.LayoutView:
    """One's data sets, to open one; there may be none."""
    view, box = _card()
    new = button(Verb.DATASET_NEW, "0", texts("dataset.new"), emoji="🆕", style=PRIMARY)
    if not datasets:
        box.add_item(discord.ui.TextDisplay(texts("dataset.none_yet")))
        _add_rows(box, [new])
        return view
    head = [f"### {texts('dataset.list_title', n=len(datasets))}", _room(owned, room_bytes, texts)]
    box.add_item(discord.ui.TextDisplay("\n".join(head)))
    box.add_item(select_row(Verb.DATASET_OPEN, "all", texts("dataset.list_open"), _rows(datasets, texts)))
    _add_rows(box, [new])
    return view


def into_card(
    find_id: str, pictures: int, datasets: Sequence[tuple[Dataset, Held]], texts: Texts
) -> discord.ui.LayoutView:
    """Where pictures shall go that somebody pointed at; there is one data set at least."""
    view, box = _card()
    box.add_item(discord.ui.TextDisplay(texts("dataset.into", n=pictures)))
    box.add_item(select_row(Verb.DATASET_INTO, find_id, texts("dataset.into_list"), _rows(datasets, texts)))
    _add_rows(box, [button(Verb.DATASET_NEW, find_id, texts("dataset.new"), emoji="🆕")])
    return view


def picture_card(
    dataset: Dataset, folders: Sequence[Folder], picture: Picture, page: int, texts: Texts, *, shown: bool
) -> discord.ui.LayoutView:
    view, box = _card()
    folder = next((one for one in folders if one.id == picture.folder_id), None)
    caption = picture.caption if picture.caption is not None else (folder.class_tokens if folder is not None else "")
    size = f"{picture.width}×{picture.height} · {_mb(picture.size_bytes)} MB"
    lines = [
        f"### {neutral(picture.name)}",
        f"-# {neutral(folder.name) if folder is not None else '–'} · {size}",
        texts("dataset.caption_own" if picture.caption is not None else "dataset.caption_class"),
        neutral(caption, CAPTION_CHARS) or texts("dataset.caption_none"),
    ]
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    if shown:
        box.add_item(_gallery([neutral(picture.name, 100)]))
    others: list[Row] = [(one.id, _folder_label(one, texts), "") for one in folders if one.id != picture.folder_id]
    if others:
        box.add_item(select_row(Verb.DATASET_MOVE, picture.id, texts("dataset.move"), others))
    _add_rows(
        box,
        [
            button(Verb.DATASET, dataset.id, texts("dataset.back"), n=page, emoji="↩️"),
            button(Verb.DATASET_REMOVE, picture.id, texts("dataset.remove"), emoji="🗑️", style=DANGER),
        ],
    )
    return view


def report_card(dataset: Dataset, report: Report, texts: Texts, *, shown: bool) -> discord.ui.LayoutView:
    """What became of pictures that were to be added; `shown` says whether tiles of what waits come along."""
    view, box = _card()
    text = "\n".join(report_lines(dataset, report, texts))
    if len(text) > REPORT_CHARS:
        text = text[:REPORT_CHARS].rsplit("\n", 1)[0] + "\n-# " + texts("dataset.report.more")
    box.add_item(discord.ui.TextDisplay(text))
    if report.waiting:
        _add_pairs(box, dataset, report.waiting, texts, shown=shown)
    buttons = [button(Verb.DATASET, dataset.id, texts("dataset.show"), emoji="🗂️", n=0)]
    if report.waiting:
        buttons += _answers(dataset, len(report.waiting), texts)
    _add_rows(box, buttons)
    return view


def near_card(dataset: Dataset, waiting: Sequence[Waiting], texts: Texts, *, shown: bool) -> discord.ui.LayoutView:
    view, box = _card()
    box.add_item(discord.ui.TextDisplay(f"### {neutral(dataset.name)}\n{texts('dataset.near', n=len(waiting))}"))
    _add_pairs(box, dataset, waiting, texts, shown=shown)
    _add_rows(
        box,
        [*_answers(dataset, len(waiting), texts), button(Verb.DATASET, dataset.id, texts("dataset.back"), emoji="↩️")],
    )
    return view


def asked_card(dataset: Dataset, pictures: int, texts: Texts) -> discord.ui.LayoutView:
    """Before it is deleted."""
    view, box = _card(RED)
    box.add_item(discord.ui.TextDisplay(texts("dataset.ask_delete", name=neutral(dataset.name), n=pictures)))
    _add_rows(
        box,
        [
            button(Verb.DATASET_DELETE, dataset.id, texts("dataset.delete_yes"), n=1, emoji="🗑️", style=DANGER),
            button(Verb.DATASET_DELETE, dataset.id, texts("dataset.delete_no"), n=2),
        ],
    )
    return view


def report_lines(dataset: Dataset, report: Report, texts: Texts, *, all_names: bool = False) -> list[str]:
    """With `all_names` as a file has it."""
    most = None if all_names else NAMES_SHOWN
    lines = [f"### {texts('dataset.report.title', n=len(report.added), name=neutral(dataset.name))}"]
    captioned = sum(one.caption is not None for one in report.added)
    if captioned:
        lines.append(texts("dataset.report.captions", n=captioned))
    if report.shortened:
        said = texts("dataset.report.shortened", n=len(report.shortened))
        lines.append(f"{said} {_names(report.shortened, most)}")
    if report.folders_full:
        lines.append(texts("dataset.report.folders_full"))
    if report.there:
        pairs = [f"{name} = {like}" if name != like else name for name, like in report.there]
        lines.append(texts("dataset.report.there", n=len(pairs)) + f" {_names(pairs, most)}")
    if report.small:
        lines.append(texts("dataset.report.small", n=len(report.small)))
    by_reason: dict[str, list[str]] = {}
    for one in report.left:
        by_reason.setdefault(one.why, []).append(one.name)
    for why, names in by_reason.items():
        said = texts(f"dataset.left.{why}", n=len(names), **report.values.get(why, {}))
        lines.append(f"⚠️ {said} {_names(names, most)}")
    if report.nsfw:
        lines.append(texts("dataset.report.nsfw"))
    if report.waiting:
        lines.append(texts("dataset.near", n=len(report.waiting)))
    return lines


def _head(shown: Shown, texts: Texts) -> str:
    dataset, pictures = shown.dataset, shown.pictures
    per_folder = Counter(one.folder_id for one in pictures)
    lines = [f"### {neutral(dataset.name)}"]
    size = sum(one.size_bytes for one in pictures)
    lines.append(texts("dataset.count", n=len(pictures), mb=_mb(size)))
    for folder in shown.folders[:FOLDERS_SHOWN]:
        count = per_folder[folder.id]
        key = "dataset.folder_reg" if folder.is_reg else "dataset.folder_line"
        lines.append(texts(key, name=neutral(folder.name), n=count, repeats=folder.repeats, all=count * folder.repeats))
    if len(shown.folders) > FOLDERS_SHOWN:
        lines.append("…")
    learnt = {one.id: one.repeats for one in shown.folders if not one.is_reg}
    seen = sum(per_folder[id_] * repeats for id_, repeats in learnt.items())
    count = sum(per_folder[id_] for id_ in learnt)
    if count:
        lines.append(_advice(count, seen, texts))
        captioned = sum(one.caption is not None for one in pictures)
        lines.append(texts("dataset.captioned", n=captioned, of=len(pictures)))
    if dataset.nsfw:
        lines.append(texts("dataset.nsfw" if shown.visible else "dataset.nsfw_hidden"))
    lines.append(_room(shown.owned, shown.room_bytes, texts))
    if shown.pages > 1:
        lines.append("-# " + texts("dataset.page", page=shown.page + 1, pages=shown.pages))
    if shown.note:
        lines.append(shown.note)
    return "\n".join(lines)


def _advice(pictures: int, seen: int, texts: Texts) -> str:
    """The guide's: pictures × repeats of an epoch are 400 at most."""
    if seen > GUIDE_IMAGES_MAX:
        return texts(
            "dataset.advice_many", seen=seen, most=GUIDE_IMAGES_MAX, repeats=max(1, GUIDE_IMAGES_MAX // pictures)
        )
    if pictures < FEW:
        return texts("dataset.advice_few", seen=seen, n=pictures)
    return texts("dataset.advice_good", seen=seen, most=GUIDE_IMAGES_MAX)


def _add_pairs(box: Box, dataset: Dataset, waiting: Sequence[Waiting], texts: Texts, *, shown: bool) -> None:
    pairs = waiting[:PAIRS]
    if shown:
        box.add_item(_gallery([neutral(one.name, 100) for each in pairs for one in (each.picture, each.like)]))
    lines = [
        f"{2 * n - 1} ↔ {2 * n}: {spoken(one.picture.name)} ↔ {spoken(one.like.name)}" for n, one in enumerate(pairs, 1)
    ]
    if len(waiting) > PAIRS:
        lines.append(texts("dataset.near_more", n=len(waiting) - PAIRS))
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    rows: list[Row] = [(one.picture.id, one.picture.name, f"↔ {one.like.name}") for one in waiting]
    box.add_item(
        select_row(Verb.DATASET_NEAR_PICK, dataset.id, texts("dataset.near_pick"), rows, at_most=len(rows)),
    )


def _answers(dataset: Dataset, waiting: int, texts: Texts) -> list[AddressButton]:
    return [
        button(Verb.DATASET_NEAR, dataset.id, texts("dataset.near_all", n=waiting), n=1, emoji="✅"),
        button(Verb.DATASET_NEAR, dataset.id, texts("dataset.near_none", n=waiting), n=2, emoji="🚫"),
    ]


def _rows(datasets: Sequence[tuple[Dataset, Held]], texts: Texts) -> list[Row]:
    return [
        (one.id, one.name, texts("dataset.count", n=held.pictures, mb=_mb(held.size_bytes))) for one, held in datasets
    ]


def _folder_label(folder: Folder, texts: Texts) -> str:
    return f"{folder.name} · {texts('dataset.reg')}" if folder.is_reg else folder.name


def _caption_line(picture: Picture, texts: Texts) -> str:
    return picture.caption or texts("dataset.caption_class" if picture.caption is None else "dataset.caption_none")


def _room(owned: Held, room_bytes: int, texts: Texts) -> str:
    return "-# " + texts("dataset.room", mb=_mb(owned.size_bytes), of_mb=room_bytes // 10**6)


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 10**6:.1f}".removesuffix(".0")


def _names(names: Sequence[str], most: int | None) -> str:
    if most is None:
        return ", ".join(names)
    shown = ", ".join(spoken(name) for name in names[:most])
    return f"{shown}, …" if len(names) > most else shown


def _gallery(names: Sequence[str]) -> discord.ui.MediaGallery[discord.ui.LayoutView]:
    return discord.ui.MediaGallery(
        *(
            discord.MediaGalleryItem(f"attachment://{tile_name(number)}", description=name or None)
            for number, name in enumerate(names, 1)
        )
    )


def _card(colour: int = PURPLE) -> tuple[discord.ui.LayoutView, Box]:
    view = discord.ui.LayoutView(timeout=None)
    view.stop()  # its buttons are found by their addresses
    box: Box = discord.ui.Container(accent_colour=colour)
    view.add_item(box)
    return view, box


def _add_rows(box: Box, buttons: Sequence[AddressButton]) -> None:
    for start in range(0, len(buttons), 4):
        box.add_item(discord.ui.ActionRow(*map(in_layout, buttons[start : start + 4])))
