"""How a live panel looks, and the private menu of one of its jobs."""

from __future__ import annotations

import time

import discord

from bot.delivery.machine import MachineState
from bot.delivery.made import headline
from bot.domain.amounts import size_text
from bot.domain.job import Job
from bot.domain.mentions import neutral, spoken
from bot.domain.queue_rules import GateState
from bot.i18n import Texts
from bot.studio.model_admin.reports import plain_card
from bot.studio.operations.snapshot import LINES_SHOWN, QueueLine, QueueLook, WorkerLook
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import Row, select_row

__all__ = [
    "BACK", "CLOSE", "DRAIN", "FRONT", "GO_ON", "LOOK", "PAUSE", "SERVER_BACK", "SERVER_FRONT", "closed_card",
    "duration", "job_menu", "queue_card",
]  # fmt: skip

PROMPT_CHARS = 70
WORKERS_SHOWN = 8
TEXT_CHARS = 3700
ETA_STEP_S = 15
"""A promise is rounded to this, or every renewal would be an edit."""
_COLOURS = {GateState.RUNNING: 0x3BA55D, GateState.PAUSED: 0xFAA61A, GateState.DRAINING: 0x5865F2}
PAUSE, GO_ON, DRAIN, LOOK, CLOSE = 1, 2, 3, 4, 5
"""The numbers of `queuepanel`."""
SERVER_FRONT, SERVER_BACK, FRONT, BACK = 1, 2, 3, 4
"""Those of `queuemove`."""


def queue_card(panel_id: str, look: QueueLook, texts: Texts, now: float | None = None) -> discord.ui.LayoutView:
    """Equal looks give equal cards within `ETA_STEP_S`."""
    now = time.time() if now is None else now
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per edit: buttons are found by their addresses.
    view.stop()
    shown = look.state if look.state is not GateState.RUNNING else look.state_all
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=_COLOURS[shown])
    box.add_item(discord.ui.TextDisplay(_text(look, texts, now)))
    if look.lines:
        box.add_item(
            select_row(Verb.QUEUE_JOBS, panel_id, texts("panel.pick"), [_row(line, texts) for line in look.lines])
        )
    box.add_item(discord.ui.ActionRow(*map(in_layout, _buttons(panel_id, look, texts))))
    view.add_item(box)
    return view


def closed_card(texts: Texts, *, moved: bool) -> discord.ui.LayoutView:
    return plain_card(texts("panel.moved" if moved else "panel.closed"), colour=0x4F545C)


def job_menu(line: QueueLine, texts: Texts, *, operator: bool) -> discord.ui.LayoutView:
    """For the presser's eyes alone. Servers' moves are for jobs of a server; the whole line's for operators."""
    job = line.job
    position = _position(line, time.time())
    text = f"**{position}**\n<@{job.user_id}> · {_prompt(line, texts)}\n-# {spoken(job.model)} · {job.id}"
    rows: list[AddressButton] = []
    if job.guild_id is not None:
        rows.append(button(Verb.QUEUE_MOVE, job.id, texts("panel.front_server"), n=SERVER_FRONT, emoji="⏫"))
        rows.append(button(Verb.QUEUE_MOVE, job.id, texts("panel.back_server"), n=SERVER_BACK, emoji="⏬"))
    if operator:
        rows.append(button(Verb.QUEUE_MOVE, job.id, texts("panel.front_all"), n=FRONT, emoji="⏫"))
        rows.append(button(Verb.QUEUE_MOVE, job.id, texts("panel.back_all"), n=BACK, emoji="⏬"))
    danger = discord.ButtonStyle.danger
    rows.append(button(Verb.QUEUE_DROP, job.id, texts("panel.drop"), style=danger, emoji="🗑️"))
    return plain_card(text, rows)


def _buttons(panel_id: str, look: QueueLook, texts: Texts) -> list[AddressButton]:
    success, primary = discord.ButtonStyle.success, discord.ButtonStyle.primary
    rows: list[AddressButton] = []
    if look.state is not GateState.RUNNING:
        rows.append(button(Verb.QUEUE_PANEL, panel_id, texts("panel.go_on"), n=GO_ON, style=success, emoji="▶️"))
    if look.state is not GateState.PAUSED:
        rows.append(button(Verb.QUEUE_PANEL, panel_id, texts("panel.pause"), n=PAUSE, emoji="⏸️"))
    if look.state is not GateState.DRAINING:
        rows.append(button(Verb.QUEUE_PANEL, panel_id, texts("panel.drain"), n=DRAIN, emoji="🚰"))
    rows.append(button(Verb.QUEUE_PANEL, panel_id, texts("panel.look"), n=LOOK, style=primary, emoji="🔄"))
    rows.append(button(Verb.QUEUE_PANEL, panel_id, texts("panel.close"), n=CLOSE, emoji="✖️"))
    return rows


def _text(look: QueueLook, texts: Texts, now: float) -> str:
    head = [texts("panel.title_all" if look.guild_id is None else "panel.title"), _state(look, texts)]
    head.append(texts("panel.count", waiting=look.waiting, running=look.running))
    if look.state is GateState.DRAINING and look.waiting + look.running == 0:
        head.append(texts("panel.dry"))
    workers = [_worker(worker, texts) for worker in look.workers[:WORKERS_SHOWN]]
    if not workers:
        workers = [texts(f"panel.machine_{look.machine.value}")]
    elif look.machine is not MachineState.READY:
        workers.append(texts(f"panel.machine_{look.machine.value}"))
    tail: list[str] = []
    if look.busiest:
        people = ", ".join(f"<@{user}> {duration(used_s, texts)}" for user, used_s in look.busiest)
        tail.append(texts("panel.busiest", people=people))
    for entry in look.last:
        key = f"panel.did_{entry.action}"
        if texts.has(key):
            tail.append(texts("panel.did", when=f"<t:{int(entry.at)}:R>", who=f"<@{entry.user_id}>", what=texts(key)))
    if look.disk_free_bytes is not None:
        tail.append(texts("panel.disk", free=size_text(look.disk_free_bytes)))
    if look.guild_id is None:
        at = look.backed_up_at
        tail.append(texts("panel.backup", when=f"<t:{int(at)}:R>") if at else texts("panel.backup_none"))
    parts = ["\n".join(head), "\n".join(workers)]
    ends = "\n".join(f"-# {line}" for line in tail)
    room = TEXT_CHARS - sum(map(len, parts)) - len(ends) - 100
    queue: list[str] = []
    for line in look.lines[:LINES_SHOWN]:
        text = f"{_position(line, now)} · <@{line.job.user_id}> {_prompt(line, texts)} · {spoken(line.job.model)}"
        if line.server:
            text += f" · {spoken(line.server)}"
        if room < len(text):
            break
        room -= len(text) + 1
        queue.append(text)
    more = look.waiting + look.running - len(queue)
    if more > 0 and queue:
        queue.append(texts("panel.more", n=more))
    parts.append("\n".join(queue) if queue else texts("panel.empty"))
    return "\n\n".join([*parts, ends] if ends else parts)


def _state(look: QueueLook, texts: Texts) -> str:
    lines: list[str] = []
    if look.guild_id is not None and look.state_all is not GateState.RUNNING:
        lines.append(texts(f"panel.by_operator_{look.state_all.value}"))
    if look.state is not GateState.RUNNING or not lines:
        lines.append(texts(f"panel.state_{look.state.value}"))
    return "\n".join(lines)


def _worker(worker: WorkerLook, texts: Texts) -> str:
    facts = [f"**{worker.name}**", spoken(worker.gpu)]
    if not worker.compatible:
        return " · ".join([*facts, texts("panel.worker_old")])
    if worker.draining:
        facts.append(texts("panel.worker_draining"))
    facts.append(texts("panel.loaded", model=spoken(worker.loaded) if worker.loaded else texts("panel.nothing_loaded")))
    if worker.vram_mb:  # a card
        total = f"{worker.vram_mb / 1024:.0f}"
        if worker.vram_free_mb is None:
            facts.append(texts("panel.vram_unknown", total=total))
        else:
            used = f"{max(0, worker.vram_mb - worker.vram_free_mb) / 1024:.1f}"
            facts.append(texts("panel.vram", used=used, total=total))
        if worker.temperature_c is None:
            facts.append(texts("panel.temperature_unknown"))
        else:
            facts.append(f"{worker.temperature_c} °C")
        if worker.utilisation_pct is not None:
            facts.append(texts("panel.utilisation", value=worker.utilisation_pct))
        if worker.power_w is not None:
            facts.append(f"{worker.power_w} W")
    return " · ".join(facts)


def _position(line: QueueLine, now: float) -> str:
    standing = line.standing
    if standing is None:
        return "⏳"
    if standing.paused:
        return f"⏸️ {standing.position}."
    when = ""
    if standing.eta_s is not None:
        at = round((now + standing.eta_s) / ETA_STEP_S) * ETA_STEP_S
        when = f" <t:{at}:R>"
    return f"🎨{when}" if standing.position == 0 else f"{standing.position}.{when}"


def _prompt(line: QueueLine, texts: Texts) -> str:
    return texts("panel.private") if line.private else neutral(_headline(line.job, texts), PROMPT_CHARS)


def _headline(job: Job, texts: Texts) -> str:
    return " ".join(headline(job, texts).split())


def _row(line: QueueLine, texts: Texts) -> Row:
    standing = line.standing
    place = "🎨" if standing is not None and standing.position == 0 else f"{standing.position}." if standing else "⏳"
    said = texts("panel.private") if line.private else _headline(line.job, texts)
    return line.job.id, f"{place} {said}"[:100], line.job.model[:100]


def duration(seconds: float, texts: Texts) -> str:
    if seconds < 90:
        return texts("amount.seconds", value=round(seconds))
    if seconds < 5400:
        return texts("amount.minutes", value=round(seconds / 60))
    return texts("amount.hours", value=f"{seconds / 3600:.1f}")
