"""One card a job: a Components V2 message that is queued, then progress, then the result, by edits of itself.

Limits (PLATFORM.md): 40 components, 10 gallery items, 4000 characters of text in all, alt text 1024, and at most four
buttons in a row because narrow phones wrap the fifth.
"""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import discord

from bot.delivery.machine import MachineState
from bot.delivery.made import headline, made_lines
from bot.delivery.progress_state import ProgressState
from bot.delivery.result_rows import result_rows
from bot.dispatch.dispatcher import Standing
from bot.domain.changes import sampler_label
from bot.domain.control.units import unit_label
from bot.domain.detail_fixes import unit_label as fix_label
from bot.domain.job import Action, Image, Job
from bot.domain.layouts.keeping import region_count
from bot.domain.mentions import neutral, spoken
from bot.i18n import Texts, texts_for
from bot.storage.origins import Parent
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from gpu_worker.language.pictures import picture_spec
from gpu_worker.protocol.specs import Caption, Describe, Drawing, JobSpec, Preprocess, Upscale

__all__ = [
    "Picture", "cancelled_card", "failed_card", "filename", "made_card", "progress_card", "queued_card", "result_card",
]  # fmt: skip

PROMPT_CHARS = 350
"""Of the prompt on the card, so that the pictures stay the largest thing on it; the form behind Edit shows it all."""
ALT_CHARS = 1000
BAR = 12
SOON_S = 3
"""What is nearer than this is no promise worth reading; it would soon say "a second ago"."""
PREVIEW_NAME = "preview.webp"

_ABOUT = ("lora", "vae", "upscaler", "face", "embedding", "sampler", "tagger", "controlnet", "annotator", "detector")
"""What a failure may be about, apart from the checkpoint."""

_BARS = {
    "sampling": "card.running", "hires": "card.hires", "converting": "card.converting", "upscaling": "card.upscaling",
    "tagging": "card.tagging", "fetching": "card.fetching",
}  # fmt: skip

HUNDRED = 100
_DETAIL = re.compile(r"details ([0-9]{1,3})/([0-9]{1,3})")

GREY, BLUE, GREEN, RED = 0x80848E, 0x5865F2, 0x23A55A, 0xDA373C


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it goes on a card."""

    image: Image
    filename: str | None
    """None where it is too large to be sent; its buttons work all the same."""
    spoiler: bool = False


def filename(job: Job, index: int, suffix: str) -> str:
    return f"{job.id}-{index + 1}{suffix}"


def queued_card(job: Job, standing: Standing | None, machine: MachineState) -> discord.ui.LayoutView:
    texts = texts_for(job.locale)
    if standing is None or standing.position <= 1:
        state = texts("card.queued_next")
    else:
        state = texts("card.queued", position=standing.position, waiting=standing.waiting)
    match machine:
        case _ if standing is not None and standing.paused:
            state = texts("card.paused")
        case MachineState.AWAY:
            state = texts("card.machine_away")
        case MachineState.STARTING:
            state += " · " + texts("card.machine_starting")
        case MachineState.READY:
            if standing is not None and standing.loading:
                state = texts("card.loading", model=neutral(job.model))
            elif standing is not None and standing.eta_s is not None and standing.eta_s > SOON_S:
                state += " · " + texts("card.eta", when=_when(standing.eta_s))
    return _card(job, texts, GREY, state, buttons=[[_cancel(job, texts)]])


def progress_card(job: Job, progress: ProgressState, *, has_preview: bool) -> discord.ui.LayoutView:
    texts = texts_for(job.locale)
    gallery: list[discord.MediaGalleryItem] = []
    if has_preview:
        alt = _clip(texts("card.alt_preview", prompt=headline(job, texts)), ALT_CHARS)
        gallery.append(discord.MediaGalleryItem(f"attachment://{PREVIEW_NAME}", description=alt))
    return _card(job, texts, BLUE, _progress_line(job, progress, texts), gallery, [[_cancel(job, texts)]])


def _progress_line(job: Job, progress: ProgressState, texts: Texts) -> str:
    if progress.cancelling:
        return texts("card.cancelling")
    match progress.phase:
        case "loading":
            return texts("card.loading", model=neutral(job.model))
        case "encoding":
            return texts("card.encoding")
        case phase if (found := _DETAIL.fullmatch(phase)) is not None:
            line = texts("card.details", number=int(found[1]), of=int(found[2]))
            if progress.eta_s is not None and progress.eta_s > SOON_S:
                line += " · " + texts("card.eta", when=_when(progress.eta_s))
            return line
        case "sampling" | "hires" | "converting" | "upscaling" | "tagging" | "fetching" if progress.of:
            key = _BARS[progress.phase]
            share = min(1.0, progress.step / progress.of)
            full = round(share * BAR)
            line = texts(key, bar="▰" * full + "▱" * (BAR - full), percent=math.floor(share * 100))
            if progress.eta_s is not None and progress.eta_s > SOON_S:
                line += " · " + texts("card.eta", when=_when(progress.eta_s))
            return line
        case "tiles" if progress.of >= HUNDRED:
            return _tiles_line(progress, texts)
        case "converting":
            return texts("card.reading_files")
        case "looking":
            return texts("card.looking")
        case "decoding" | "saving":
            return texts("card.finishing")
        case _:
            return texts("card.starting")


def _tiles_line(progress: ProgressState, texts: Texts) -> str:
    """Step and of are hundredths of a tile."""
    tiles = progress.of // HUNDRED
    full = round(min(1.0, progress.step / progress.of) * BAR)
    tile = min(tiles, progress.step // HUNDRED + 1)
    line = texts("ultimate.progress", bar="▰" * full + "▱" * (BAR - full), n=tile, of=tiles)
    if progress.eta_s is not None and progress.eta_s > SOON_S:
        line += " · " + texts("card.eta", when=_when(progress.eta_s))
    return line


def result_card(
    job: Job, pictures: Sequence[Picture], *, notes: Sequence[str] = (), parent: Parent | None = None
) -> discord.ui.LayoutView:
    """The finished pictures. `notes` are further lines; `parent` is what it was made from."""
    texts = texts_for(job.locale)
    gallery = [
        discord.MediaGalleryItem(
            f"attachment://{p.filename}",
            description=_alt(job.spec, p.image.index, max(len(pictures), p.image.index + 1), texts),
            spoiler=p.spoiler,
        )
        for p in pictures
        if p.filename is not None
    ]
    images = [p.image for p in pictures]
    lines = [_parameters(job.spec, images, texts), *notes]
    if images and job.action is not Action.TEST:
        lines.append(texts("card.hint_grid" if len(images) > 1 else "card.hint_single"))
    rows = result_rows(job, images, texts)
    return _card(job, texts, GREEN, "", gallery, rows, small=lines, parent=parent)


def _alt(spec: JobSpec, index: int, of: int, texts: Texts) -> str:
    """For who cannot see it: the prompt of this very picture."""
    prompt = picture_spec(spec, index).prompt if index < spec.count else spec.prompt
    return _clip(texts("card.alt", n=index + 1, of=of, prompt=prompt), ALT_CHARS)


def failed_card(job: Job) -> discord.ui.LayoutView:
    texts = texts_for(job.locale)
    state = texts("card.failed", reason=failure_sentence(job, texts))
    small = [texts("card.reference", reference=job.reference)] if job.reference else []
    return _card(job, texts, RED, state, buttons=[_again(job, texts)], small=small)


def failure_sentence(job: Job, texts: Texts) -> str:
    """The most exact sentence there is: by kind and reason, by kind, what it is about and its problem, by kind and
    what it is about, by kind."""
    kind = job.failure_kind or "other"
    detail = {key: spoken(str(value)) for key, value in job.failure_detail.items()}
    about = [what for what in _ABOUT if what in detail]
    problem = job.failure_detail.get("problem", "")
    keys = [
        f"failure.{kind}_{job.failure_detail.get('reason', '')}",
        *(f"failure.{kind}_{what}_{problem}" for what in (*about, "model")),
        *(f"failure.{kind}_{what}" for what in about),
        f"failure.{kind}",
    ]
    # A refiner, or the checkpoint of a second pass, is named apart from the job's own.
    values = {**detail, "model": detail.get("checkpoint") or spoken(job.model)}
    for key in keys:
        # A worker of another version may name a reason without the values that our sentence for it shows.
        with contextlib.suppress(KeyError):
            return texts(key, **values)
    return texts("failure.other", **values)


def cancelled_card(job: Job) -> discord.ui.LayoutView:
    texts = texts_for(job.locale)
    key = "looked.cancelled" if isinstance(job.task, Upscale | Describe | Preprocess) else "card.cancelled"
    key = "tag_editor.cancelled" if isinstance(job.task, Caption) else key
    key = key if job.files is None else "made.cancelled"
    return _card(job, texts, GREY, texts(key), buttons=[_again(job, texts)])


def made_card(job: Job, *, notes: Sequence[str] = ()) -> discord.ui.LayoutView:
    """A finished job on model files."""
    texts = texts_for(job.locale)
    state, small = made_lines(job, texts)
    return _card(job, texts, GREEN, state, small=[*small, *notes])


def _again(job: Job, texts: Texts) -> list[AddressButton]:
    retry = button(Verb.RETRY, job.id, texts("button.retry"), style=discord.ButtonStyle.primary, emoji="🔁")
    delete = button(Verb.DELETE, job.id, texts("button.delete"), emoji="🗑️")
    if not isinstance(job.task, Drawing):
        return [retry, delete]
    return [retry, button(Verb.EDIT, job.id, texts("button.edit"), emoji="✏️"), delete]


def _cancel(job: Job, texts: Texts) -> AddressButton:
    return button(Verb.CANCEL, job.id, texts("button.cancel"))


def _card(
    job: Job,
    texts: Texts,
    colour: int,
    state: str,
    gallery: Sequence[discord.MediaGalleryItem] = (),
    buttons: Sequence[Sequence[AddressButton]] = (),
    *,
    small: Sequence[str] = (),
    parent: Parent | None = None,
) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per message: its buttons are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=colour)
    head = f"**{neutral(_clip(headline(job, texts), PROMPT_CHARS))}**\n-# {_by(job, texts, parent)}"
    box.add_item(discord.ui.TextDisplay(head + (f"\n{state}" if state else "")))
    if gallery:
        box.add_item(discord.ui.MediaGallery(*gallery))
    if small:
        box.add_item(discord.ui.TextDisplay("\n".join(f"-# {line}" for line in small)))
    for row in buttons:
        actions: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(*map(in_layout, row))
        box.add_item(actions)
    view.add_item(box)
    return view


def _by(job: Job, texts: Texts, parent: Parent | None) -> str:
    """Whose card this is and, where it was made from a picture, how, from whose, and where that is."""
    who = texts("card.by", user=f"<@{job.user_id}>")
    if job.action is Action.IMAGINE:
        return who
    action = texts(f"card.action.{job.action}")
    if parent is not None and parent.owner_id != job.user_id:
        action = texts("card.from", action=action, user=f"<@{parent.owner_id}>")
    parts = [action, who]
    if parent is not None and parent.url is not None:
        parts.append(texts("card.parent", url=parent.url))
    return " · ".join(parts)


def _parameters(spec: JobSpec, images: Sequence[Image], texts: Texts) -> str:
    width, height = (images[0].width, images[0].height) if images else (spec.width, spec.height)
    seeds = [image.seed for image in images] or [spec.seed]
    seed = (
        texts("card.seed", seed=seeds[0])
        if seeds[0] == seeds[-1]
        else texts("card.seeds", first=seeds[0], last=seeds[-1])
    )
    led = [texts("card.control", units=neutral(", ".join(map(unit_label, spec.control)), 200))] if spec.control else []
    laid = [texts("card.regions", n=region_count(spec.regions.areas))] if spec.regions is not None else []
    fixed = [texts("card.fixed", units=neutral(", ".join(map(fix_label, spec.details)), 200))] if spec.details else []
    parts = [
        f"{width}×{height}",
        sampler_label(spec),
        texts("card.steps", n=spec.steps),
        f"CFG {spec.cfg_scale:g}",
        seed,
        neutral(spec.checkpoint),
        *led,
        *laid,
        *fixed,
    ]
    return " · ".join(parts)


def _when(seconds: float) -> str:
    """Discord renders it in the reader's own time and counts down by itself."""
    return f"<t:{math.ceil(time.time() + seconds)}:R>"


def _clip(text: str, limit: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
