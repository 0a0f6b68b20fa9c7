"""The card of a training: while it waits, runs or is paused, and when it is over."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import discord

from bot.delivery.progress_state import ProgressState
from bot.domain.amounts import size_text
from bot.domain.job import Job, JobStatus
from bot.domain.mentions import neutral
from bot.i18n import Texts, texts_for
from bot.storage.trainings import SavedFile, Training
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb

__all__ = [
    "CURVE_NAME", "SHEET_NAME", "TrainingDo", "TrainingPicture", "TrainingShown", "ended_training_card",
    "live_training_card", "new_training", "training_failure", "training_state",
]  # fmt: skip

CURVE_NAME, SHEET_NAME = "loss.png", "samples.webp"
GREY, BLUE, GREEN, RED = 0x80848E, 0x5865F2, 0x23A55A, 0xDA373C
BAR = 12
NAME_CHARS = 80
ALT_CHARS = 1000
FILES_SHOWN = 12
SOON_S = 20
"""An end that is nearer would be past before the card is edited again."""


class TrainingDo:
    """`n` of a button's address; never reused."""

    PAUSE, RESUME, LOOK, SAMPLES, AGAIN, FIX, RETRY = 1, 2, 3, 4, 5, 6, 7


@dataclass(frozen=True, slots=True)
class TrainingPicture:
    """As it goes on a card."""

    filename: str
    alt: str


@dataclass(frozen=True, slots=True)
class TrainingShown:
    training: Training
    files: Sequence[SavedFile] = ()
    pictures: Sequence[TrainingPicture] = ()
    """The curve first, then samples."""
    notes: Sequence[str] = ()
    rows: Sequence[Sequence[AddressButton]] = field(default=())
    """What else can be done with it once it is over."""


def live_training_card(
    job: Job, shown: TrainingShown, state: ProgressState | None, *, cancelling: bool = False, fresh: bool = False
) -> discord.ui.LayoutView:
    """`state` None: nothing was heard of it. `fresh`: it was asked for by itself, and is not kept up to date."""
    texts = texts_for(job.locale)
    waits = job.status is JobStatus.QUEUED
    small = [_facts(job, texts)]
    if state is not None and state.training is not None and not waits and state.training.average_loss is not None:
        told = state.training
        loss = f"{told.average_loss:.4f}"
        small.insert(
            0, texts("train.card.loss", loss=loss, unet=f"{told.unet_lr:.3g}", text=f"{told.text_encoder_lr:.3g}")
        )
    if shown.files:
        small.append(texts("train.card.saved", names=_names(shown.files)))
    colour = GREY if waits or cancelling else BLUE
    line = _state_line(job, shown.training, state, texts, cancelling=cancelling)
    rows = [] if cancelling else [_live_buttons(job, shown, texts, fresh=fresh)]
    return _card(job, texts, colour, line, shown.pictures, [*small, *shown.notes], rows)


def ended_training_card(job: Job, shown: TrainingShown, *, reason: str = "") -> discord.ui.LayoutView:
    """`reason` says why it failed."""
    texts = texts_for(job.locale)
    training = shown.training
    lines: list[str] = []
    match job.status:
        case JobStatus.FAILED:
            colour, state = RED, texts("train.card.failed", step=training.step, reason=reason)
            if job.reference:
                lines.append(texts("card.reference", reference=job.reference))
        case JobStatus.CANCELLED:
            colour, state = GREY, texts("train.card.cancelled", step=training.step)
        case _:
            colour, state = GREEN, texts("train.card.done", steps=training.of_steps or training.step)
            state += _usage(shown, texts)
    lines += [_file_line(file, texts) for file in shown.files[-FILES_SHOWN:]]
    if len(shown.files) > FILES_SHOWN:
        lines.append(texts("train.card.more_files", n=len(shown.files) - FILES_SHOWN))
    return _card(job, texts, colour, state, shown.pictures, [*lines, _facts(job, texts), *shown.notes], shown.rows)


def new_training(job: Job) -> Training:
    """What its job alone tells: before its row was read, or where that went in this very moment."""
    assert job.training is not None, "the card of a training"
    return Training(
        job_id=job.id, user_id=job.user_id, guild_id=job.guild_id, dataset_id=None, name=job.training.output_name,
        trigger_words="", preset="", samples=(), curve=(), step=0, of_steps=0, retry_of=None, comparison_id=None,
        findings=None, published=None, created_at=job.created_at, status=job.status, held=job.held_at is not None,
    )  # fmt: skip


def training_failure(job: Job, texts: Texts) -> str:
    """Why it failed, in the most exact sentence there is: by its reason, else by its kind."""
    detail = {key: neutral(str(value), NAME_CHARS) for key, value in job.failure_detail.items()}
    reason = job.failure_detail.get("reason", "")
    for key in (reason, f"{reason}_full", job.failure_kind or ""):
        # A worker of another version may name a reason without the values that our sentence for it shows.
        with contextlib.suppress(KeyError):
            return texts(f"train.failure.{key}", **detail)
    return texts("train.failure.other")


def training_state(training: Training, texts: Texts) -> str:
    """In a word or two, for a list."""
    match training.status:
        case JobStatus.FAILED:
            return texts("train.state.failed")
        case JobStatus.CANCELLED:
            return texts("train.state.cancelled")
        case JobStatus.QUEUED if training.held:
            return texts("train.state.paused")
        case JobStatus.QUEUED if training.step:
            return texts("train.state.others")
        case JobStatus.QUEUED:
            return texts("train.state.waiting")
        case JobStatus.ASSIGNED:
            return texts("train.state.training", step=training.step, of=training.of_steps)
        case _:
            return texts("train.state.done")


def _state_line(job: Job, training: Training, state: ProgressState | None, texts: Texts, *, cancelling: bool) -> str:
    if cancelling:
        return texts("card.cancelling")
    if job.status is JobStatus.QUEUED:
        step, of = training.step, training.of_steps
        if training.held:
            return texts("train.card.you", step=step, of=of)
        return texts("train.card.others", step=step, of=of) if step else texts("train.card.waiting")
    if training.held:
        return texts("train.card.pausing")
    state = state or ProgressState()
    told = state.training
    if state.phase == "preparing" and state.of:
        return texts("train.card.preparing", bar=_bar(state.step, state.of), step=state.step, of=state.of)
    if state.phase == "loading":
        return texts("card.loading", model=neutral(training_base(job), NAME_CHARS))
    if told is None or not told.total_steps:
        return texts("train.card.starting")
    line = texts(
        "train.card.training", bar=_bar(told.step, told.total_steps), percent=100 * told.step // told.total_steps,
        epoch=max(1, told.epoch), epochs=told.epochs, step=told.step, of=told.total_steps,
    )  # fmt: skip
    if state.eta_s is not None and state.eta_s > SOON_S:
        line += " · " + texts("train.card.ready", when=f"<t:{math.ceil(time.time() + state.eta_s)}:R>")
    return line


def training_base(job: Job) -> str:
    return job.training.checkpoint if job.training is not None else ""


def _facts(job: Job, texts: Texts) -> str:
    spec = job.training
    assert spec is not None, "the card of a training"
    pictures = sum(len(subset.images) for dataset in spec.datasets for subset in dataset.subsets if not subset.is_reg)
    return texts(
        "train.card.facts", base=neutral(spec.checkpoint, NAME_CHARS), pictures=texts("train.pictures", n=pictures),
        dim=spec.parameters.network_dim, alpha=f"{spec.parameters.network_alpha:g}",
    )  # fmt: skip


def _usage(shown: TrainingShown, texts: Texts) -> str:
    final = next((file for file in reversed(shown.files) if file.final), None)
    if final is None:
        return ""
    best = (shown.training.findings or {}).get("best")  # what the diagnosis says to begin with, where there is one
    named = next((file.name for file in shown.files if file.name == best), final.name)
    name, trigger = neutral(named, NAME_CHARS), neutral(shown.training.trigger_words, NAME_CHARS)
    if trigger:
        return "\n" + texts("train.card.use", name=name, trigger=trigger)
    return "\n" + texts("train.card.use_plain", name=name)


def _file_line(file: SavedFile, texts: Texts) -> str:
    values = {"name": file.name.replace("`", "'"), "size": size_text(file.size_bytes)}
    if file.loss is None:
        return texts("train.card.file", **values)
    return texts("train.card.file_loss", loss=f"{file.loss:.4f}", **values)


def _names(files: Sequence[SavedFile]) -> str:
    shown = [neutral(file.name, NAME_CHARS) for file in files[-4:]]
    return ", ".join(["…", *shown] if len(files) > len(shown) else shown)


def _live_buttons(job: Job, shown: TrainingShown, texts: Texts, *, fresh: bool) -> list[AddressButton]:
    if shown.training.held:
        first = button(
            Verb.TRAINING, job.id, texts("train.button.resume"), n=TrainingDo.RESUME, emoji="▶️",
            style=discord.ButtonStyle.primary,
        )  # fmt: skip
    else:
        first = button(Verb.TRAINING, job.id, texts("train.button.pause"), n=TrainingDo.PAUSE, emoji="⏸️")
    buttons = [first]
    if any(file.sample_job_id for file in shown.files):
        buttons.append(button(Verb.TRAINING, job.id, texts("train.button.samples"), n=TrainingDo.SAMPLES, emoji="🖼️"))
    if fresh:
        buttons.append(button(Verb.TRAINING, job.id, texts("train.button.look"), n=TrainingDo.LOOK, emoji="🔄"))
    return [*buttons, button(Verb.CANCEL, job.id, texts("button.cancel"))]


def _bar(step: int, of: int) -> str:
    full = round(min(1.0, step / max(1, of)) * BAR)
    return "▰" * full + "▱" * (BAR - full)


def _card(
    job: Job,
    texts: Texts,
    colour: int,
    state: str,
    pictures: Sequence[TrainingPicture],
    small: Sequence[str],
    rows: Sequence[Sequence[AddressButton]],
) -> discord.ui.LayoutView:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per message: its buttons are found by their addresses.
    view.stop()
    assert job.training is not None, "the card of a training"
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=colour)
    title = neutral(texts("train.headline", name=job.training.output_name), NAME_CHARS * 2)
    head = f"**{title}**\n-# {texts('card.by', user=f'<@{job.user_id}>')}"
    box.add_item(discord.ui.TextDisplay(f"{head}\n{state}"))
    # Several pictures of a gallery are cut to squares; a curve has its numbers at its sides.
    alone = [one for one in pictures if one.filename == CURVE_NAME]
    for together in (alone, [one for one in pictures if one not in alone]):
        items = [
            discord.MediaGalleryItem(f"attachment://{one.filename}", description=one.alt[:ALT_CHARS])
            for one in together
        ]
        if items:
            box.add_item(discord.ui.MediaGallery(*items[:10]))
    if small:
        box.add_item(discord.ui.TextDisplay("\n".join(f"-# {line}" for line in small)))
    for row in rows:
        if row:
            actions: discord.ui.ActionRow[discord.ui.LayoutView] = discord.ui.ActionRow(*map(in_layout, row))
            box.add_item(actions)
    view.add_item(box)
    return view
