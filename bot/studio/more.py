"""The panel behind "More": one picture of a card, how it was made, all that can be made of it; for one pair of eyes."""

from __future__ import annotations

import asyncio
import contextlib
import io
from dataclasses import dataclass

import discord

from bot.delivery.result_rows import picture_rows
from bot.domain.ids import JobId, UserId
from bot.domain.job import Image, Job
from bot.errors import UserFacingError
from bot.i18n import Texts, texts_for
from bot.storage.favourites import Favourites
from bot.storage.images import Images, MissingPictureError
from bot.storage.jobs import Jobs
from bot.storage.origins import origin_of
from bot.studio.intake import Intake
from bot.studio.region_pictures import thumbnail
from bot.studio.where import where_of
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.client import Interaction
from bot.ui.codec import Address, Verb
from bot.ui.selects import Row, chosen_value, select_row

__all__ = ["MORE_VERBS", "More"]

MORE_VERBS = (Verb.MORE, Verb.MORE_PICTURE)
THUMBNAIL_NAME = "picture.jpg"
INFOTEXT_CHARS = 2800
"""All texts of a message together may have 4000."""
BLUE = 0x5865F2
IN_A_ROW = 4
"""A narrow phone wraps the fifth."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of the picture for who asks: whether its file can be shown, whether it may not be, whether they
    keep it, and whether a request drew it, perhaps before it was enlarged."""

    there: bool
    veiled: bool
    kept: bool
    drawn: bool


class More:
    def __init__(self, *, jobs: Jobs, images: Images, favourites: Favourites, intake: Intake) -> None:
        self._favourites = favourites
        self._intake = intake
        self._jobs = jobs
        self._images = images

    async def pressed(self, interaction: Interaction, address: Address) -> None:
        """Raises UserFacingError (`job_unknown`, `picture_unknown`); the button's door tells it."""
        job = await self._jobs.get(JobId(address.id))
        if job is None:
            raise UserFacingError("job_unknown")
        images = await self._images.of_job(job.id)
        if not images:
            raise UserFacingError("picture_unknown")
        again = address.verb == Verb.MORE_PICTURE
        wanted = chosen_value(interaction) if again else ""
        image = next((found for found in images if str(found.index) == wanted), images[0])
        # A large picture takes a moment to be read and made small.
        if again:
            await interaction.response.defer()
        else:
            await interaction.response.defer(ephemeral=True, thinking=True)
        small: bytes | None = None
        veiled = await self._intake.veiled([image.id], where_of(interaction))
        with contextlib.suppress(MissingPictureError):
            small = None if veiled else await asyncio.to_thread(thumbnail, await self._images.read(image))
        kept = image.id in await self._favourites.among(UserId(interaction.user.id), [image.id])
        origin, _ = await origin_of(self._jobs, self._images, job, image.index)
        texts = texts_for(str(interaction.locale))
        view = _panel(job, images, image, texts, Sight(small is not None, bool(veiled), kept, origin.draws))
        files = [] if small is None else [discord.File(io.BytesIO(small), THUMBNAIL_NAME)]
        await interaction.edit_original_response(view=view, attachments=files)


def _panel(job: Job, images: list[Image], image: Image, texts: Texts, sight: Sight) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per panel: its buttons are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=BLUE)
    one = len(images) == 1
    title = texts("more.title_one") if one else texts("more.title", n=image.index + 1, of=len(images))
    head: discord.ui.TextDisplay[discord.ui.LayoutView] = discord.ui.TextDisplay(f"### {title}\n{texts('more.how')}")
    if sight.there:
        beside: discord.ui.Thumbnail[discord.ui.LayoutView] = discord.ui.Thumbnail(f"attachment://{THUMBNAIL_NAME}")
        box.add_item(discord.ui.Section(head, accessory=beside))
    else:
        box.add_item(head)
    # Below the thumbnail, not beside it: on a phone that column holds three words a line.
    text = f"```\n{_fenced(image.infotext)}\n```"
    if not sight.there:
        gone = "deleted" if image.deleted else "gone"
        text += "\n-# " + texts("more.picture_veiled" if sight.veiled else f"more.picture_{gone}")
    box.add_item(discord.ui.TextDisplay(text))
    if not one:
        rows: list[Row] = [
            (str(each.index), texts("more.pick", n=each.index + 1),
             texts("more.pick_hint", seed=each.seed, width=each.width, height=each.height))
            for each in images
        ]  # fmt: skip
        box.add_item(select_row(Verb.MORE_PICTURE, job.id, title, rows, str(image.index)))
    for row in [*_of_picture(image, texts, sight), *_ends(job, image, texts, sight)]:
        actions: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(*map(in_layout, row))
        box.add_item(actions)
    view.add_item(box)
    return view


def _of_picture(image: Image, texts: Texts, sight: Sight) -> list[list[AddressButton]]:
    """Where its file is gone, what begins with its recorded seed is possible all the same."""
    if image.deleted or sight.veiled:
        return []
    rows = picture_rows(image, texts, kept=sight.kept)
    if sight.there:
        return rows
    drawn_anew = [item for row in rows for item in row if item.address.verb in (Verb.UPSCALE, Verb.VARY)]
    return [drawn_anew]


def _ends(job: Job, image: Image, texts: Texts, sight: Sight) -> list[list[AddressButton]]:
    of_picture: list[AddressButton] = []
    if sight.there:
        of_picture = [
            button(Verb.ZOOM_CUSTOM, image.id, texts("button.zoom_custom"), emoji="🔭"),
            button(Verb.ENLARGE, image.id, texts("button.enlarge_custom"), emoji="⏫"),
            button(Verb.ULTIMATE, image.id, texts("button.ultimate"), emoji="🧩"),
            button(Verb.MAP, image.id, texts("button.map"), emoji="🗺️"),
            button(Verb.AS_UNIT, image.id, texts("button.as_unit"), emoji="🕹️"),
            button(Verb.FIX, image.id, texts("button.fix"), emoji="🙂"),
        ]
        if image.width != image.height:
            of_picture.insert(1, button(Verb.SQUARE, image.id, texts("button.square"), emoji="⏹️"))
    if sight.drawn and not image.deleted:
        of_picture.append(button(Verb.PLOT, image.id, texts("button.plot"), emoji="📊"))
    of_job = [
        button(Verb.TWEAK, job.id, texts("button.tweak"), emoji="🎛️"),
        button(Verb.STYLE, job.id, texts("button.style"), emoji="🎨"),
        button(Verb.ORIGINAL, job.id, texts("private.original"), emoji="📎"),
    ]
    if job.private:
        of_job.append(button(Verb.PUBLISH, job.id, texts("private.publish"), emoji="📣"))
    return [row[start : start + IN_A_ROW] for row in (of_picture, of_job) for start in range(0, len(row), IN_A_ROW)]


def _fenced(text: str) -> str:
    """For a code block, from which a phone copies with one tap; nothing acts in there but the fence itself."""
    shown = text.replace("`", "'").replace("@", "@\u200b")
    return shown if len(shown) <= INFOTEXT_CHARS else shown[: INFOTEXT_CHARS - 1] + "…"
