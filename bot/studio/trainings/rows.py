"""The buttons of a training that is over. What can be done with its files has its rows here, too."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.delivery.training_card import TrainingDo
from bot.domain.job import Job, JobStatus
from bot.i18n import Texts
from bot.storage.trainings import SavedFile, Training
from bot.studio.trainings.fields import field_named
from bot.ui.buttons import AddressButton, button
from bot.ui.codec import Verb

__all__ = ["ended_rows", "fix_of"]

LABEL_CHARS = 80


def ended_rows(job: Job, training: Training, files: Sequence[SavedFile], texts: Texts) -> list[list[AddressButton]]:
    """At most four in a row."""
    found: list[AddressButton] = []
    primary = discord.ButtonStyle.primary
    fix = fix_of(job)
    if fix:
        label = texts("train.button.fix", changes=", ".join(f"{key} {value}" for key, value in fix.items()))
        label = label if len(label) <= LABEL_CHARS else f"{label[: LABEL_CHARS - 1]}…"
        found.append(button(Verb.TRAINING, job.id, label, n=TrainingDo.FIX, style=primary, emoji="🔧"))
    elif job.status in (JobStatus.FAILED, JobStatus.CANCELLED):
        found.append(
            button(Verb.TRAINING, job.id, texts("train.button.retry"), n=TrainingDo.RETRY, style=primary, emoji="🔁")
        )
    if any(file.sample_job_id for file in files):
        found.append(button(Verb.TRAINING, job.id, texts("train.button.samples"), n=TrainingDo.SAMPLES, emoji="🖼️"))
    # By this address an end that was posted already is found again: the card of a running one has none like it.
    found.append(button(Verb.TRAINING, job.id, texts("train.button.again"), n=TrainingDo.AGAIN, emoji="✏️"))
    return [found]


def fix_of(job: Job) -> dict[str, str]:
    """The settings that its failure asks to be changed, by kohya's names, and the values to give them; empty where none
    would help."""
    if job.status is not JobStatus.FAILED or job.training is None:
        return {}
    setting, value = job.failure_detail.get("setting"), job.failure_detail.get("value")
    if isinstance(setting, str) and field_named(setting) is not None and value is not None:
        return {setting: str(value)}
    own = job.training.parameters
    match job.failure_detail.get("reason"):
        case "loss_not_finite":
            names = ("unet_lr", "text_encoder_lr")
            return {name: f"{rate / 3:.2g}" for name, rate in zip(names, own.rates, strict=True) if rate}
        case "no_8bit":
            return {"optimizer_type": "AdamW"}
        case "no_part_trains":
            return {"network_train_text_encoder_only": "false"}
        case "picture_too_narrow":
            return {"bucket_no_upscale": "false"}
        case _:
            return {}
