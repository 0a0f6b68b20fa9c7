"""What can be done with the files of a training: buttons, lists of epochs, and the diagnosis in words."""

from __future__ import annotations

from collections.abc import Sequence

import discord

from bot.domain.amounts import size_text
from bot.domain.ids import JobId
from bot.domain.training.diagnosis import Diagnosis, Finding
from bot.domain.training.suggestions import change_lines, suggested
from bot.i18n import Texts
from bot.storage.trainings import SavedFile, Training
from bot.ui.buttons import AddressButton, button
from bot.ui.codec import Verb
from bot.ui.selects import Row
from gpu_worker.language.training.parameters import Parameters

__all__ = ["TrainedDo", "diagnosis_of", "diagnosis_text", "epoch_rows", "finding_lines", "result_rows", "retry_buttons"]

RETRY_FROM = 10
SHOWN = 25


class TrainedDo:
    """`n` of a button's address; never reused. From `RETRY_FROM` on: tries again as finding `n - RETRY_FROM` says."""

    COMPARE, PUBLISH, GET, FINDINGS, DELETE, DELETED, KEPT = 1, 2, 3, 4, 5, 6, 7


def result_rows(
    job_id: JobId, training: Training, files: Sequence[SavedFile], texts: Texts
) -> list[list[AddressButton]]:
    """None without files."""
    if not files:
        return []
    found = [
        _button(job_id, TrainedDo.COMPARE, "compare", "🔬", texts, primary=training.comparison_id is None),
        _button(job_id, TrainedDo.PUBLISH, "publish", "📚", texts),
        _button(job_id, TrainedDo.GET, "get", "💾", texts),
    ]
    further = [_button(job_id, TrainedDo.DELETE, "delete", "🗑️", texts)]
    if training.findings is not None:
        further.insert(0, _button(job_id, TrainedDo.FINDINGS, "findings", "🩺", texts))
    return [found, further]


def _button(job_id: JobId, n: int, key: str, emoji: str, texts: Texts, *, primary: bool = False) -> AddressButton:
    style = discord.ButtonStyle.primary if primary else discord.ButtonStyle.secondary
    return button(Verb.TRAINED, job_id, texts(f"trained.button.{key}"), n=n, emoji=emoji, style=style)


def epoch_rows(files: Sequence[SavedFile], best: str | None, texts: Texts) -> list[Row]:
    """The newest first; a list holds 25."""
    rows: list[Row] = []
    for file in reversed(files[-SHOWN:]):
        label = texts("trained.epoch", name=file.name, epoch=file.epoch)
        hint = size_text(file.size_bytes)
        if file.loss is not None:
            hint += " · " + texts("trained.epoch_loss", loss=f"{file.loss:.4f}")
        if file.name == best:
            hint += " · " + texts("trained.epoch_best")
        rows.append((file.name, label, hint))
    return rows


def diagnosis_of(training: Training) -> Diagnosis | None:
    return Diagnosis.model_validate(training.findings) if training.findings is not None else None


def finding_lines(diagnosis: Diagnosis, texts: Texts) -> list[str]:
    """A line each, the gravest first; what is well, too."""
    lines = [_finding(finding, texts) for finding in diagnosis.findings]
    if diagnosis.measures.epochs and not diagnosis.findings:
        lines.append(texts("trained.finding.good"))
    if diagnosis.best is not None and diagnosis.measures.epochs:
        lines.append(texts("trained.finding.best", name=diagnosis.best))
    return lines


def diagnosis_text(diagnosis: Diagnosis, given: Parameters, texts: Texts) -> str:
    """With what was measured, and what each finding would change."""
    lines = [f"### {texts('trained.findings_title')}"]
    for finding in diagnosis.findings:
        lines.append(_finding(finding, texts))
        lines.append("-# " + texts(f"trained.advice.{finding.kind}"))
        changes = change_lines(suggested(finding, given), given)
        if changes:
            lines.append("-# 🔁 " + " · ".join(changes))
    if not diagnosis.findings:
        lines.append(texts("trained.finding.good"))
    if diagnosis.best is not None and diagnosis.measures.epochs:
        lines.append(texts("trained.finding.best", name=diagnosis.best))
    for one in diagnosis.measures.epochs:
        told = texts("trained.measured", name=one.name, effect=f"{one.effect:.3f}", drift=f"{one.drift:.2f}")
        if one.spread is not None:
            told += " · " + texts("trained.measured_spread", spread=f"{one.spread:.2f}")
        if one.nearest is not None:
            told += " · " + texts("trained.measured_nearest", nearest=f"{one.nearest:.3f}")
        lines.append(f"-# {told}")
    if not diagnosis.measures.epochs:
        lines.append("-# " + texts("trained.not_compared"))
    lines.append("-# " + texts("trained.hints_only"))
    return "\n".join(lines)


def retry_buttons(job_id: JobId, diagnosis: Diagnosis, given: Parameters, texts: Texts) -> list[AddressButton]:
    """One for each finding that would change something else than those before it."""
    found: list[AddressButton] = []
    seen: list[list[str]] = []
    for place, finding in enumerate(diagnosis.findings):
        lines = change_lines(suggested(finding, given), given)
        if not lines or lines in seen:
            continue
        seen.append(lines)
        label = texts("trained.button.retry", change=lines[0])[:80]
        style = discord.ButtonStyle.secondary if found else discord.ButtonStyle.primary
        found.append(button(Verb.TRAINED, job_id, label, n=RETRY_FROM + place, emoji="🔁", style=style))
    return found


def _finding(finding: Finding, texts: Texts) -> str:
    numbers = {key: f"{value:.3g}" for key, value in finding.numbers.items()}
    return texts(f"trained.finding.{finding.kind}", name=finding.epoch or "", **numbers)
