"""The buttons of a training that is over. What can be done with its files has its rows here, too."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.delivery.training_card import TrainingDo
from bot.domain.job import Job, JobStatus
from bot.domain.mentions import neutral
from bot.i18n import Texts
from bot.storage.trainings import SavedFile, Training
from bot.ui.buttons import AddressButton, button
from bot.ui.codec import Verb

__all__ = ["ended_rows", "fix_of"]

LABEL_CHARS = 80


def ended_rows(job: Job, training: Training, files: Sequence[SavedFile], texts: Texts) -> list[list[AddressButton]]:
    """At most four in a row."""
    found: list[AddressButton] = []
    primary = discord.ButtonStyle.primary
    fix = fix_of(job)
    if fix is not None:
        label = texts("train.button.fix", setting=fix[0], value=neutral(fix[1], 20))[:LABEL_CHARS]
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


def fix_of(job: Job) -> tuple[str, str] | None:
    """The setting that its failure asks to be changed, and the value to give it."""
    setting, value = job.failure_detail.get("setting"), job.failure_detail.get("value")
    if job.status is not JobStatus.FAILED or not isinstance(setting, str) or value is None:
        return None
    return setting, str(value)
