"""How styles are shown: a page of them, one of them, one of its versions, an import, a proposal.

Limits (PLATFORM.md): 40 components and 4000 characters of text in all.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import discord

from bot.domain.mentions import neutral
from bot.domain.style_files import ReadStyles
from bot.domain.style_names import KeptStyle, StyleLevel, StyleVersion
from bot.domain.styles import Style
from bot.i18n import Texts
from bot.storage.style_proposals import Proposal
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import Row, select_row

__all__ = [
    "PAGE", "Right", "described", "import_card", "list_card", "plain_card", "proposal_card", "style_card",
    "version_card", "versions_card",
]  # fmt: skip

BLUE = 0x5865F2
PAGE = 20
LINE_CHARS = 80
TEXT_CHARS = 1200
PARAMETERS_CHARS = 500
REFUSED_SHOWN = 8
NAMES_SHOWN = 15
SECONDARY, PRIMARY, SUCCESS, DANGER = (
    discord.ButtonStyle.secondary, discord.ButtonStyle.primary, discord.ButtonStyle.success, discord.ButtonStyle.danger
)  # fmt: skip

Box = discord.ui.Container[discord.ui.LayoutView]


class Right(enum.StrEnum):
    """What whoever sees a style may do with it."""

    EDIT = "edit"
    COPY = "copy"
    PROPOSE = "propose"
    DELETE = "delete"


def plain_card(text: str, buttons: Sequence[AddressButton] = ()) -> discord.ui.LayoutView:
    view, box = _card()
    box.add_item(discord.ui.TextDisplay(text))
    _add_rows(box, buttons)
    return view


def list_card(
    labels: Mapping[str, KeptStyle], page: int, proposals: Sequence[Proposal], texts: Texts, waiting: int = 0
) -> discord.ui.LayoutView:
    """`labels` may be empty of one's own: what Pincel brings is there always. `waiting` are proposals that this person
    may decide about."""
    view, box = _card()
    rows = [*labels.items()]
    pages = max(1, -(-len(rows) // PAGE))
    page = min(max(page, 0), pages - 1)
    shown = rows[page * PAGE : (page + 1) * PAGE]
    own = sum(kept.owner.level is StyleLevel.USER for kept in labels.values())
    head = texts("style.title", n=own) if own else texts("style.none_yet")
    lines, level = [head], None
    for label, kept in shown:
        if kept.owner.level is not level:
            level = kept.owner.level
            lines.append(f"**{texts(f'style.level.{level}')}**")
        lines.append(f"{neutral(label)} · {neutral(_gist(kept.style), LINE_CHARS)}")
    if page == 0:
        lines += [
            f"-# {texts(f'style.proposal.{proposal.state}', name=neutral(proposal.style.name))}"
            for proposal in proposals
        ]
    if page == 0 and waiting:
        lines.append(f"-# {texts('style.waiting', n=waiting)}")
    if pages > 1:
        lines.append(f"-# {texts('style.page', page=page + 1, pages=pages)}")
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    options: list[Row] = [(kept.ref, label, _gist(kept.style)) for label, kept in shown]
    box.add_item(select_row(Verb.STYLE_OPEN, "all", texts("style.open"), options, n=page))
    # No way round from the last page to the first: of two pages both buttons would lead to the same one, and Discord
    # refuses a message that has an address twice.
    turns = [("style.previous", page - 1, "◀️"), ("style.next", page + 1, "▶️")]
    ways = [
        button(Verb.STYLE_LIST, "all", texts(label), n=n, emoji=emoji) for label, n, emoji in turns if 0 <= n < pages
    ]
    if ways:
        _add_rows(box, ways)
    return view


def style_card(
    label: str,
    kept: KeptStyle,
    rights: frozenset[Right],
    texts: Texts,
    *,
    usual: bool,
    note: str = "",
    preview: str | None = None,
) -> discord.ui.LayoutView:
    """`usual`: it is among the styles that this person's pictures begin with. `preview` is an attachment's name."""
    view, box = _card()
    where = texts(f"style.level.{kept.owner.level}")
    foot = f"-# {where} · {texts('style.version', version=kept.version)}"
    text = f"{described(kept.style, texts, label)}\n{foot}"
    shown = f"{text}\n{note}" if note else text
    if preview is None:
        box.add_item(discord.ui.TextDisplay(shown))
    else:
        picture: discord.ui.Thumbnail[discord.ui.LayoutView] = discord.ui.Thumbnail(f"attachment://{preview}")
        section: discord.ui.Section[discord.ui.LayoutView] = discord.ui.Section(shown, accessory=picture)
        box.add_item(section)
    ref = kept.ref
    buttons = [
        button(Verb.STYLE_USUAL, ref, texts("style.usual_off"), n=2, emoji="📌")
        if usual
        else button(Verb.STYLE_USUAL, ref, texts("style.usual_on"), n=1, emoji="📌"),
        button(Verb.STYLE_SHARE, ref, texts("style.share"), emoji="🔗"),
    ]
    if Right.COPY in rights:
        buttons.append(button(Verb.STYLE_COPY, ref, texts("style.copy"), emoji="📥"))
    if Right.EDIT in rights:
        buttons.append(button(Verb.STYLE_EDIT, ref, texts("style.edit"), emoji="✏️"))
        if kept.version > 1:
            buttons.append(button(Verb.STYLE_VERSIONS, ref, texts("style.versions"), emoji="🕰️"))
    if Right.PROPOSE in rights:
        buttons.append(button(Verb.STYLE_PROPOSE, ref, texts("style.propose"), emoji="🏠"))
    if Right.DELETE in rights:
        buttons.append(button(Verb.STYLE_DELETE, ref, texts("style.delete"), style=DANGER, emoji="🗑️"))
    buttons.append(button(Verb.STYLE_LIST, "all", texts("style.all"), n=0))
    _add_rows(box, buttons)
    return view


def versions_card(kept: KeptStyle, versions: Sequence[StyleVersion], texts: Texts) -> discord.ui.LayoutView:
    view, box = _card()
    lines = [f"### {neutral(kept.style.name)}", texts("style.versions_about")]
    for v in versions:
        named = texts("style.version", version=v.version)
        lines.append(f"**{named}** · <t:{int(v.made_at)}:R> · {neutral(_gist(v.style), LINE_CHARS)}")
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    rows: list[Row] = [(str(v.version), texts("style.version", version=v.version), _gist(v.style)) for v in versions]
    box.add_item(select_row(Verb.STYLE_VERSION, kept.ref, texts("style.version_open"), rows))
    _add_rows(box, [button(Verb.STYLE_CARD, kept.ref, texts("style.back"))])
    return view


def version_card(kept: KeptStyle, version: StyleVersion, texts: Texts) -> discord.ui.LayoutView:
    view, box = _card()
    foot = f"-# {texts('style.version', version=version.version)} · <t:{int(version.made_at)}:f>"
    box.add_item(discord.ui.TextDisplay(f"{described(version.style, texts)}\n{foot}"))
    buttons = [button(Verb.STYLE_VERSIONS, kept.ref, texts("style.back"))]
    if version.version != kept.version and version.version < 1000:
        label = texts("style.restore")
        buttons.insert(0, button(Verb.STYLE_RESTORE, kept.ref, label, n=version.version, style=PRIMARY, emoji="↩️"))
    _add_rows(box, buttons)
    return view


@dataclass(frozen=True, slots=True)
class Differences:
    """How an import stands to what is there, by name."""

    new: Sequence[Style]
    changed: Sequence[Style]
    same: Sequence[Style]


def import_card(id_: str, read: ReadStyles, found: Differences, texts: Texts) -> discord.ui.LayoutView:
    view, box = _card()
    lines = [f"### {texts('style.import.title', n=len(read.styles))}"]
    for key, styles in (("new", found.new), ("changed", found.changed), ("same", found.same)):
        if styles:
            names = ", ".join(neutral(style.name) for style in styles[:NAMES_SHOWN])
            more = ", …" if len(styles) > NAMES_SHOWN else ""
            lines.append(f"**{texts(f'style.import.{key}', n=len(styles))}** {names}{more}"[:900])
    if len(read.styles) == 1:
        lines.append(described(read.styles[0], texts))
    if read.refused:
        lines.append(f"**{texts('style.import.refused', n=len(read.refused))}**")
        lines += [f"-# {reason}"[:200] for reason in refusals(read, texts)[:REFUSED_SHOWN]]
    box.add_item(discord.ui.TextDisplay("\n".join(lines)[:3900]))
    buttons: list[AddressButton] = []
    if found.new:
        label = texts("style.import.take_new", n=len(found.new))
        buttons.append(button(Verb.STYLE_IMPORT, id_, label, n=1, style=SUCCESS))
    if found.changed:
        label = texts("style.import.take_all", n=len(found.new) + len(found.changed))
        buttons.append(button(Verb.STYLE_IMPORT, id_, label, n=2, style=PRIMARY))
    buttons.append(button(Verb.STYLE_IMPORT, id_, texts("style.import.discard"), n=3))
    _add_rows(box, buttons)
    return view


def refusals(read: ReadStyles, texts: Texts) -> list[str]:
    """A line for each row that was refused: which, and why."""
    return [
        texts("style.import.row", row=r.row, name=r.name or "–", reason=texts(f"error.{r.key}", **r.values))
        for r in read.refused
    ]


def proposal_card(
    guild_id: int, proposals: Sequence[Proposal], index: int, taken: KeptStyle | None, texts: Texts, note: str = ""
) -> discord.ui.LayoutView:
    """One that waits, of all that wait; `taken` is the server's style of that name."""
    view, box = _card()
    index = min(max(index, 0), len(proposals) - 1)
    proposal = proposals[index]
    lines = [note] if note else []
    lines += [
        described(proposal.style, texts),
        f"-# {texts('style.review.by', user=f'<@{proposal.user_id}>', n=index + 1, all=len(proposals))}",
    ]
    if taken is not None:
        lines.append(f"⚠️ {texts('style.review.taken', version=taken.version)}")
    box.add_item(discord.ui.TextDisplay("\n".join(lines)))
    id_ = str(proposal.id)
    buttons = [
        button(Verb.STYLE_DECIDE, id_, texts("style.review.approve"), n=1, style=SUCCESS, emoji="✅"),
        button(Verb.STYLE_DECIDE, id_, texts("style.review.refuse"), n=2, style=DANGER, emoji="✖️"),
    ]
    if len(proposals) > 1:
        after = (index + 1) % min(len(proposals), 1000)
        buttons.append(button(Verb.STYLE_REVIEW, str(guild_id), texts("style.next"), n=after, emoji="▶️"))
    _add_rows(box, buttons)
    return view


def described(style: Style, texts: Texts, label: str | None = None) -> str:
    """What it holds, within what a card takes."""
    lines = [f"### {neutral(label or style.name)}"]
    if style.prompt:
        lines.append(f"**{texts('form.style.prompt')}**\n{neutral(style.prompt, TEXT_CHARS)}")
    if style.negative_prompt:
        lines.append(f"**{texts('form.style.negative')}**\n{neutral(style.negative_prompt, TEXT_CHARS)}")
    given = style.parameters.model_dump(exclude_none=True)
    if given:
        line = " · ".join(f"{key.replace('_', ' ')} {_shown(value)}" for key, value in given.items())
        lines.append("-# " + neutral(line, PARAMETERS_CHARS) if len(line) > PARAMETERS_CHARS else f"-# {line}")
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return neutral(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _gist(style: Style) -> str:
    """The beginning of its texts, on one line; never empty."""
    text = style.prompt or (f"− {style.negative_prompt}" if style.negative_prompt else "⚙️")
    return " ".join(text.split())[:95]


def _card() -> tuple[discord.ui.LayoutView, Box]:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per card: its buttons are found by their addresses.
    view.stop()
    box: Box = discord.ui.Container(accent_colour=BLUE)
    view.add_item(box)
    return view, box


def _add_rows(box: Box, buttons: Sequence[AddressButton], wide: int = 4) -> None:
    for at in range(0, len(buttons), wide):
        box.add_item(discord.ui.ActionRow(*map(in_layout, buttons[at : at + wide])))
