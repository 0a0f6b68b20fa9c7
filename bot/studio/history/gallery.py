"""/history: where somebody is in it is a line in the database (a desk); every button below it is an address of that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bot.domain.history import CHOSEN_MAX, PAGE, Desk, Wanted
from bot.domain.ids import ImageId, UserId
from bot.errors import UserFacingError
from bot.i18n import texts_for
from bot.storage.favourites import Favourites
from bot.storage.finds import FoundPicture
from bot.storage.history import Desks, History, Shot, Span
from bot.storage.history_search import HistorySearch
from bot.storage.images import Images
from bot.storage.thumbnails import Thumbnails
from bot.studio.history.cards import Looked, gallery_card, message_link
from bot.studio.history.deleting import Deleting
from bot.studio.history.exporting import Exporting
from bot.studio.history.messages import MessageSight
from bot.studio.history.picture_card import Opened, Relative, picture_card
from bot.studio.history.sending import Sending
from bot.studio.history.tiles import large, tiles
from bot.studio.history.viewing import moderates, span_of
from bot.studio.history.wishes import search_form, wanted_of
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.forms import fields_of
from bot.ui.redraw import begin_redraw, redraw
from bot.ui.selects import chosen_value, chosen_values

__all__ = ["GALLERY_FORMS", "GALLERY_VERBS", "Gallery"]

GALLERY_VERBS = (
    Verb.HISTORY, Verb.HISTORY_OPEN, Verb.HISTORY_SEARCH, Verb.HISTORY_FILTER, Verb.HISTORY_CHOOSE, Verb.HISTORY_MARK,
    Verb.HISTORY_DELETE, Verb.HISTORY_UNDO, Verb.HISTORY_EXPORT, Verb.HISTORY_PICTURE, Verb.HISTORY_KIN,
    Verb.HISTORY_SEND, Verb.HISTORY_DATASET,
)  # fmt: skip
GALLERY_FORMS = (Verb.HISTORY_SEARCH_FORM, Verb.HISTORY_SEND_FORM)
EXPORT_MAX = 2000
LINKS_MAX = 12
"""Messages that are asked after for one page."""


class Gallery:
    def __init__(
        self,
        *,
        history: History,
        search: HistorySearch,
        desks: Desks,
        images: Images,
        favourites: Favourites,
        thumbnails: Thumbnails,
        sending: Sending,
        deleting: Deleting,
        exporting: Exporting,
        into_dataset: Callable[[Interaction, Sequence[FoundPicture]], Awaitable[None]],
        sight: MessageSight,
    ) -> None:
        self._sight = sight
        self._history = history
        self._search = search
        self._desks = desks
        self._images = images
        self._favourites = favourites
        self._thumbnails = thumbnails
        self._sending = sending
        self._deleting = deleting
        self._exporting = exporting
        self._into_dataset = into_dataset

    async def open(self, interaction: Interaction, desk: Desk) -> None:
        """Answers with the first page, which only the user sees. Raises UserFacingError as `span_of`."""
        span = span_of(interaction, desk)
        await interaction.response.defer(ephemeral=True)
        desk_id = await self._desks.add(interaction.user.id, desk)
        await self._put_page(interaction, desk_id, desk, span)

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError."""
        if address.verb == Verb.HISTORY_UNDO:
            await self._deleting.undo(interaction, address.id)
            return
        desk = await self._desk(interaction, address)
        span = span_of(interaction, desk)
        match address.verb:
            case Verb.HISTORY_SEARCH:
                await interaction.response.send_modal(search_form(address.id, desk.wanted, interaction))
            case Verb.HISTORY_SEND:
                shot = await self._opened(desk, span)
                await self._sending.send(interaction, address.id, shot, chosen_value(interaction))
            case Verb.HISTORY_PICTURE | Verb.HISTORY_OPEN | Verb.HISTORY_KIN:
                await self._picture(interaction, address, desk, span)
            case Verb.HISTORY_DELETE:
                await self._delete(interaction, address, desk, span)
            case Verb.HISTORY_DATASET:
                await self._to_dataset(interaction, address, desk, span)
            case Verb.HISTORY_EXPORT:
                await self._export(interaction, desk, span)
            case Verb.HISTORY | Verb.HISTORY_FILTER | Verb.HISTORY_CHOOSE | Verb.HISTORY_MARK:
                await self._page(interaction, address, desk, span)
            case _:
                raise UserFacingError("button_unknown")

    async def submitted(self, interaction: Interaction, address: Address) -> None:
        """The search form, and those of a picture that is gone on from. Raises UserFacingError."""
        desk = await self._desk(interaction, address)
        span = span_of(interaction, desk)
        fields = fields_of(interaction)
        if address.verb == Verb.HISTORY_SEND_FORM:
            await self._sending.submitted(interaction, await self._opened(desk, span), fields)
            return
        wanted = wanted_of(
            fields.get("words", ""), fields.get("model", ""), fields.get("lora", ""), fields.get("since", ""),
            fields.get("until", ""), desk.wanted,
        )  # fmt: skip
        await self._show(interaction, address.id, _changed(desk, wanted=wanted, page=0, opened=None), span)

    # --- pages --------------------------------------------------------------------------------------------------------

    async def _page(self, interaction: Interaction, address: Address, desk: Desk, span: Span) -> None:
        notes: list[str] = []
        match address.verb, address.n:
            case Verb.HISTORY, n:
                desk = _changed(desk, page=desk.page if n is None else n, opened=None)
            case Verb.HISTORY_FILTER, 1:
                wanted = desk.wanted.model_copy(update={"favourites": not desk.wanted.favourites, "stranded": False})
                desk = _changed(desk, wanted=wanted, page=0)
            case Verb.HISTORY_FILTER, 2:
                desk = _changed(desk, wanted=Wanted(stranded=True), page=0)
            case Verb.HISTORY_FILTER, _:
                desk = _changed(desk, wanted=Wanted(), page=0)
            case Verb.HISTORY_CHOOSE, 3:
                await begin_redraw(interaction)
                found = await self._history.ids(span, desk.wanted, CHOSEN_MAX + 1)
                if len(found) > CHOSEN_MAX:
                    texts = texts_for(str(interaction.locale))
                    notes.append("-# " + texts("history.chosen_cut", n=CHOSEN_MAX))
                desk = _changed(desk, chosen=tuple(found[:CHOSEN_MAX]))
            case Verb.HISTORY_CHOOSE, n:
                desk = _changed(desk, choosing=n == 1, chosen=())
            case _:
                desk = await self._marked(interaction, desk, span)
        await self._show(interaction, address.id, desk, span, notes)

    async def _marked(self, interaction: Interaction, desk: Desk, span: Span) -> Desk:
        """What the list of this page says; other pages' choices stay."""
        here = {shot.id for shot in await self._history.page(span, desk.wanted, desk.page * PAGE, PAGE)}
        others = [one for one in desk.chosen if one not in here]
        marked = [one for one in chosen_values(interaction) if one in here]
        return _changed(desk, chosen=tuple([*others, *marked][:CHOSEN_MAX]))

    async def _show(
        self, interaction: Interaction, desk_id: str, desk: Desk, span: Span, notes: Sequence[str] = ()
    ) -> None:
        # Pictures are made small and sent along, which may take longer than an answer may.
        await begin_redraw(interaction)
        await self._put_page(interaction, desk_id, desk, span, notes)

    async def _put_page(
        self, interaction: Interaction, desk_id: str, desk: Desk, span: Span, notes: Sequence[str] = ()
    ) -> None:
        total = await self._history.count(span, desk.wanted)
        last = max(0, -(-total // PAGE) - 1)
        desk = _changed(desk, page=min(desk.page, last, 999))
        await self._desks.change(desk_id, desk)
        shots = await self._history.page(span, desk.wanted, desk.page * PAGE, PAGE)
        stranded = await self._history.count_stranded(span.viewer) if desk.own else 0
        chosen = frozenset(ImageId(one) for one in desk.chosen)
        veiled = await self._sending.veiled(shots, interaction)
        files = await asyncio.to_thread(tiles, shots, self._thumbnails, self._file, chosen, veiled)
        export = await self._exporting.ready_of(span.viewer) if desk.own else None
        seen = Looked(
            desk_id,
            desk,
            shots,
            total,
            stranded=stranded,
            filled=self._search.filled,
            notes=notes,
            export_id=export.id if export is not None else None,
        )
        card = gallery_card(seen, texts_for(str(interaction.locale)))
        await redraw(interaction, card, files)

    # --- one picture --------------------------------------------------------------------------------------------------

    async def _picture(self, interaction: Interaction, address: Address, desk: Desk, span: Span) -> None:
        if address.verb in (Verb.HISTORY_OPEN, Verb.HISTORY_KIN):
            desk = _changed(desk, opened=chosen_value(interaction))
        shot = await self._opened(desk, span)
        match address.n if address.verb == Verb.HISTORY_PICTURE else None:
            case 1:
                await self._favourites.toggle(span.viewer, shot.id)
            case 2:
                await self._sending.hand_out(interaction, shot)
                return
            case 3 | 4 as n:
                await begin_redraw(interaction)
                newer, older = await self._history.neighbours(span, desk.wanted, shot)
                desk = _changed(desk, opened=(newer if n == 3 else older) or shot.id)
            case 5:
                await self._sending.draw_again(interaction, shot)
                return
            case _:
                pass
        await begin_redraw(interaction)
        await self._put_picture(interaction, address.id, desk, span)

    async def _put_picture(self, interaction: Interaction, desk_id: str, desk: Desk, span: Span) -> None:
        shot = await self._opened(desk, span)
        await self._desks.change(desk_id, desk)
        newer, older = await self._history.neighbours(span, desk.wanted, shot)
        relatives = await self._relatives(shot, span, interaction)
        file, small = None, False
        veiled = bool(await self._sending.veiled([shot], interaction))
        if not veiled:
            file, small = await asyncio.to_thread(large, shot, self._file(shot), self._thumbnails)
        opened = Opened(
            desk_id,
            desk,
            shot,
            shown=file is not None,
            small=small,
            veiled=veiled,
            relatives=relatives,
            newer=newer is not None,
            older=older is not None,
            sends=await self._sending.ways(shot) if desk.own else (),
        )
        card = picture_card(opened, texts_for(str(interaction.locale)))
        await interaction.edit_original_response(view=card, attachments=[file] if file is not None else [])
        if shot.stranded and desk.own:
            await self._sending.seen(shot)

    async def _relatives(self, shot: Shot, span: Span, interaction: Interaction) -> list[Relative]:
        found: list[Relative] = []
        rows = await self._history.kin(shot.id)
        there = [(r.guild_id, r.channel_id, r.message_id) for r in rows if r.message_id is not None and not r.private]
        gone = await self._sight.gone(there[:LINKS_MAX])
        own = {one.id for one in await self._history.these(span, [row.kin.id for row in rows])}
        for row in rows:
            if row.private and row.user_id != interaction.user.id:
                continue  # that there is such a picture is nobody else's business
            # Other people's messages are linked where they are public: Discord itself keeps out whoever may not read.
            at = row.message_id if row.message_id not in gone else None
            link = message_link(row.guild_id, row.channel_id, at) if at is not None else None
            found.append(Relative(row.kin, row.user_id, link, own=row.kin.id in own))
        return found

    # --- many pictures ------------------------------------------------------------------------------------------------

    async def _delete(self, interaction: Interaction, address: Address, desk: Desk, span: Span) -> None:
        one = address.n in (3, 4)
        shots = [await self._opened(desk, span)] if one else await self._chosen(desk, span)
        if not desk.own and not all(moderates(interaction, shot.channel_id) for shot in shots):
            raise UserFacingError("history_not_moderator")
        if address.n in (1, 3):
            await self._deleting.ask(interaction, address.id, shots, one=one)
            return
        desk = _changed(desk, opened=None, chosen=(), choosing=False)
        await begin_redraw(interaction)
        undo = await self._deleting.delete(interaction, shots)
        await self._put_page(interaction, address.id, desk, span)
        # A message of its own, so that it is there however far somebody turns the pages.
        await interaction.followup.send(view=undo, ephemeral=True)

    async def _export(self, interaction: Interaction, desk: Desk, span: Span) -> None:
        if not desk.own:
            raise UserFacingError("history_not_yours")
        if desk.choosing:
            ids = [shot.id for shot in await self._chosen(desk, span)]
        else:
            ids = await self._history.ids(span, desk.wanted, EXPORT_MAX)
        await self._exporting.begin(interaction, ids)

    async def _to_dataset(self, interaction: Interaction, address: Address, desk: Desk, span: Span) -> None:
        if not desk.own:
            raise UserFacingError("history_not_yours")
        shots = [await self._opened(desk, span)] if address.n == 2 else await self._chosen(desk, span)
        await self._into_dataset(interaction, [FoundPicture(image_id=shot.id) for shot in shots])

    async def _chosen(self, desk: Desk, span: Span) -> list[Shot]:
        shots = await self._history.these(span, [ImageId(one) for one in desk.chosen])
        if not shots:
            raise UserFacingError("history_nothing_chosen")
        return shots

    async def _opened(self, desk: Desk, span: Span) -> Shot:
        shot = await self._history.get(span, ImageId(desk.opened)) if desk.opened else None
        if shot is None:
            raise UserFacingError("history_picture_gone")
        return shot

    async def _desk(self, interaction: Interaction, address: Address) -> Desk:
        desk = await self._desks.get(address.id, UserId(interaction.user.id))
        if desk is None:
            raise UserFacingError("history_unknown")
        return desk

    def _file(self, shot: Shot) -> Path:
        return self._images.file_at(shot.path)


def _changed(desk: Desk, **values: object) -> Desk:
    return Desk.model_validate(desk.model_dump() | {
        name: value.model_dump() if isinstance(value, Wanted) else value for name, value in values.items()
    })  # fmt: skip
