"""/tags: search, pick, see what a tag is, put a prompt together on a phone, and draw it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import discord

from bot.domain.imagine import ImagineOptions
from bot.domain.job import Action
from bot.domain.mentions import neutral
from bot.domain.model_rules import Where
from bot.domain.tag_boards import BOARD_KINDS, PROMPT_CHARS_MAX, SEARCH_CHARS_MAX, BoardKind, TagBoard, added
from bot.domain.tag_texts import written
from bot.domain.text import is_blank
from bot.dynamic.wildcards import WildcardBook
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.tag_boards import TagBoards
from bot.studio.completion import Completion, Offer
from bot.studio.intake import Intake
from bot.studio.notes import told
from bot.studio.requests import Requests
from bot.studio.where import where_of
from bot.ui.buttons import button, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb, encode
from bot.ui.forms import OPTIONS_LIMIT, fields_of, form_of, text_field
from bot.ui.redraw import redraw
from bot.ui.selects import Row, chosen_value, select_row

__all__ = ["TAG_FORMS", "TAG_VERBS", "TagBuilder"]

TAG_VERBS = (Verb.TAGS, Verb.TAGS_PICK, Verb.TAGS_KIND, Verb.TAGS_SEARCH, Verb.TAGS_EDIT, Verb.TAGS_DO)
TAG_FORMS = (Verb.TAGS_SEARCH_FORM, Verb.TAGS_EDIT_FORM)
UNDO, CLEAR, DRAW = 1, 2, 3
SHOWN_CHARS = 1500
PAGES_MAX = 40
ALIASES = 4
BLUE = 0x5865F2
_SHORT = {"tag": "t", "wildcard": "w", "lora": "l", "embedding": "e"}
_LONG = {short: kind for kind, short in _SHORT.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """A row of the list."""

    offer: Offer
    hint: str


class TagBuilder:
    def __init__(
        self,
        *,
        boards: TagBoards,
        completion: Completion,
        wildcards: WildcardBook,
        requests: Requests,
        intake: Intake,
    ) -> None:
        self._boards = boards
        self._completion = completion
        self._wildcards = wildcards
        self._requests = requests
        self._intake = intake

    async def open(self, interaction: Interaction, search: str = "", prompt: str = "") -> None:
        """Answers with the builder, which only the user sees."""
        board = TagBoard(search=search[:SEARCH_CHARS_MAX], prompt=prompt[:PROMPT_CHARS_MAX])
        board_id = await self._boards.add(interaction.user.id, board)
        view = await self._view(interaction, board_id, board)
        await interaction.response.send_message(view=view, ephemeral=True)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError: `tags_unknown`, `tags_long`, `prompt_empty`, and whatever refuses a job."""
        board = await self._board(interaction, address)
        texts = texts_for(str(interaction.locale))
        match address.verb:
            case Verb.TAGS:
                board = board.model_copy(update={"page": address.n or 0})
            case Verb.TAGS_KIND:
                chosen = chosen_value(interaction)
                kinds: dict[str, BoardKind] = {kind: kind for kind in BOARD_KINDS}
                kind = kinds.get(chosen, "all")
                board = board.model_copy(update={"kind": kind, "page": 0})
            case Verb.TAGS_PICK:
                board = self._picked(board, chosen_value(interaction))
            case Verb.TAGS_SEARCH:
                form = form_of(texts("tags.search_title"), encode(Verb.TAGS_SEARCH_FORM, address.id))
                label, hint = texts("tags.search_label"), texts("tags.search_hint")
                text_field(form, "text", label, hint, board.search, paragraph=False, max_length=SEARCH_CHARS_MAX)
                await interaction.response.send_modal(form)
                return
            case Verb.TAGS_EDIT:
                form = form_of(texts("tags.edit_title"), encode(Verb.TAGS_EDIT_FORM, address.id))
                text_field(form, "text", texts("tags.edit_label"), texts("tags.edit_hint"), board.prompt)
                await interaction.response.send_modal(form)
                return
            case _ if address.n == DRAW:
                await self._draw(interaction, board)
                return
            case _:
                board = board.undone() if address.n == UNDO else board.with_prompt("")
        await self._show(interaction, address.id, board)

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError (`tags_unknown`)."""
        board = await self._board(interaction, address)
        text = fields_of(interaction).get("text", "")
        if address.verb == Verb.TAGS_SEARCH_FORM:
            search = " ".join(text.split())[:SEARCH_CHARS_MAX]
            board = board.model_copy(update={"search": search, "page": 0})
        else:
            board = board.with_prompt(text.strip())
        await self._show(interaction, address.id, board)

    # --- steps --------------------------------------------------------------------------------------------------------

    def _picked(self, board: TagBoard, value: str) -> TagBoard:
        short, _, name = value.partition(":")
        kind = _LONG.get(short)
        if kind is None or not name:
            return board
        weight = self._completion.weight(name) if kind == "lora" else 1
        prompt = added(board.prompt, name, kind, weight)
        if len(prompt) > PROMPT_CHARS_MAX:
            raise UserFacingError("tags_long", limit=PROMPT_CHARS_MAX)
        return board.with_prompt(prompt)

    async def _draw(self, interaction: Interaction, board: TagBoard) -> None:
        if is_blank(board.prompt):
            raise UserFacingError("prompt_empty")
        styles, more = await self._requests.styles(interaction, None)
        built = self._requests.build(interaction, ImagineOptions(board.prompt), styles=styles)
        notes = told((*more, *built.notes), texts_for(str(interaction.locale)))
        await self._intake.begin(interaction, built.spec, Action.IMAGINE, notes=notes)

    async def _show(self, interaction: Interaction, board_id: str, board: TagBoard) -> None:
        await self._boards.change(board_id, board)
        view = await self._view(interaction, board_id, board)
        await redraw(interaction, view)

    async def _board(self, interaction: Interaction, address: Address) -> TagBoard:
        board = await self._boards.get(address.id, interaction.user.id)
        if board is None:
            raise UserFacingError("tags_unknown")
        return board

    async def _found(self, board: TagBoard, where: Where, texts: Texts) -> list[Found]:
        """One more than this page holds, where there are more."""
        limit = (board.page + 1) * OPTIONS_LIMIT + 1
        self._completion.tags.look()
        if board.kind == "wildcard":
            values = await asyncio.to_thread(self._wildcards.values, where.guild_id)
            names = self._completion.ranked(board.search, sorted(values))
            found = [
                Found(Offer(name, "wildcard"), texts("tags.values", n=len(values[name]), first=values[name][0][0][:60]))
                for name in names[:limit]
            ]
        elif board.kind in ("lora", "embedding"):
            kind = board.kind
            found = [
                Found(offer, texts(f"tags.kind.{kind}")) for offer in self._completion.models(kind, board.search, where)
            ]
        else:
            index = self._completion.tags.index
            only = None if board.kind == "all" else board.kind
            hits = index.search(board.search, limit, kind=only) if board.search else index.most_used(limit, kind=only)
            found = [
                Found(
                    Offer(hit.tag.name, "tag"),
                    " · ".join(
                        [
                            texts(f"tags.kind.{hit.tag.kind}"),
                            f"{hit.tag.count:,}",
                            *([", ".join(hit.tag.aliases[:ALIASES])] if hit.tag.aliases else []),
                        ]
                    ),
                )
                for hit in hits
                if self._completion.may_be_offered(hit.tag.name, where)
            ]
        return found[board.page * OPTIONS_LIMIT : limit]

    async def _view(self, interaction: Interaction, board_id: str, board: TagBoard) -> discord.ui.LayoutView:
        texts = texts_for(str(interaction.locale))
        found = await self._found(board, where_of(interaction), texts)
        view = discord.ui.LayoutView(timeout=None)
        # Finished from the start, so discord.py does not keep one per panel: its buttons are found by their addresses.
        view.stop()
        box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=BLUE)
        prompt = neutral(board.prompt, SHOWN_CHARS) if board.prompt else f"*{texts('tags.empty')}*"
        lines = [f"### {texts('tags.title')}", prompt, f"-# {self._searched(board, texts)}"]
        if not found:
            lines.append(texts("tags.nothing") if board.search else texts("tags.none_of_kind"))
        box.add_item(discord.ui.TextDisplay("\n".join(lines)))
        if rows := _rows(found[:OPTIONS_LIMIT]):
            box.add_item(select_row(Verb.TAGS_PICK, board_id, texts("tags.pick"), rows))
        kinds: list[Row] = [(kind, texts(f"tags.kind.{kind}"), "") for kind in BOARD_KINDS]
        box.add_item(select_row(Verb.TAGS_KIND, board_id, texts("tags.kinds"), kinds, board.kind))
        looking = [button(Verb.TAGS_SEARCH, board_id, texts("tags.search"), emoji="🔎")]
        if board.page:
            looking.append(button(Verb.TAGS, board_id, texts("tags.back"), n=board.page - 1, emoji="◀️"))
        if len(found) > OPTIONS_LIMIT and board.page < PAGES_MAX:
            looking.append(button(Verb.TAGS, board_id, texts("tags.more"), n=board.page + 1, emoji="▶️"))
        writing = [button(Verb.TAGS_EDIT, board_id, texts("tags.edit"), emoji="✏️")]
        if board.before:
            writing.append(button(Verb.TAGS_DO, board_id, texts("tags.undo"), n=UNDO, emoji="↩️"))
        if board.prompt:
            writing.append(button(Verb.TAGS_DO, board_id, texts("tags.clear"), n=CLEAR, emoji="🧹"))
            primary = discord.ButtonStyle.primary
            writing.append(button(Verb.TAGS_DO, board_id, texts("tags.draw"), n=DRAW, style=primary, emoji="🎨"))
        for row in (looking, writing):
            actions: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(*map(in_layout, row))
            box.add_item(actions)
        view.add_item(box)
        return view

    @staticmethod
    def _searched(board: TagBoard, texts: Texts) -> str:
        parts = [texts(f"tags.kind.{board.kind}")]
        if board.search:
            parts.append(f"“{neutral(board.search)}”")
        if board.page:
            parts.append(texts("tags.page", page=board.page + 1))
        return " · ".join(parts)


def _rows(found: Sequence[Found]) -> list[Row]:
    """Names too long for a choice are left to typing."""
    rows: list[Row] = []
    for one in found:
        value = f"{_SHORT[one.offer.kind]}:{one.offer.name}"
        shown = f"__{one.offer.name}__" if one.offer.kind == "wildcard" else written(one.offer.name, brackets=False)
        if len(value) <= 100:
            rows.append((value, shown, one.hint))
    return rows
