"""How `/workers` looks: the list, one worker, what is asked before something is taken away, an invite."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import discord

from bot.domain.amounts import size_text
from bot.domain.mentions import neutral, spoken
from bot.i18n import Texts
from bot.studio.fleet.look import Doing, Skew, Task, WorkerSight, protocol_text, version_text
from bot.studio.fleet.roll import Invited
from bot.studio.model_admin.reports import plain_card
from bot.ui.buttons import AddressButton, button, in_layout
from bot.ui.codec import Verb
from bot.ui.selects import Row, select_row

__all__ = [
    "ALL", "ASK_INVITE", "ASK_REMOVE", "DRAIN", "INVITE", "PAGE", "REMOVE", "RESUME", "asked_card", "invite_card",
    "list_card", "removed_card", "worker_card",
]  # fmt: skip

ALL = "all"
"""The id of what addresses the whole list."""
PAGE = 6
DRAIN, RESUME, ASK_REMOVE, REMOVE, ASK_INVITE, INVITE = 1, 2, 3, 4, 5, 6
"""The numbers of `worker`."""
PAGES_MAX = 1000
TEXT_CHARS = 3800
"""Of a message."""
MIB = 2**20
_SIGNS = {
    Doing.NEVER: "✉️", Doing.AWAY: "💤", Doing.OLD: "⚠️", Doing.STARTING: "⏳", Doing.FETCHING: "⬇️",
    Doing.TRAINING: "🎓", Doing.DRAWING: "🎨", Doing.IDLE: "🟢",
}  # fmt: skip
GREEN, YELLOW, RED, BLUE = 0x3BA55D, 0xFAA61A, 0xED4245, 0x5865F2
_ORDER = (Doing.DRAWING, Doing.TRAINING, Doing.FETCHING, Doing.IDLE, Doing.STARTING, Doing.OLD, Doing.AWAY, Doing.NEVER)


def list_card(found: Sequence[WorkerSight], page: int, version: str, texts: Texts) -> discord.ui.LayoutView:
    pages = max(1, min(PAGES_MAX, -(-len(found) // PAGE)))
    page = min(max(0, page), pages - 1)
    shown = found[page * PAGE : (page + 1) * PAGE]
    head, end = [texts("workers.title"), _counts(found, texts)], "-# " + texts("workers.how")
    if not found:
        head.append(texts("workers.none"))
    for facts in (True, False):  # machines may have long names for everything
        rows = ["\n".join(worker_lines(one, version, texts, facts=facts)) for one in shown]
        text = "\n\n".join([*head, *rows, end])
        if len(text) <= TEXT_CHARS:
            break
    text = text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "…"
    view, box = _box(GREEN if any(one.doing.there for one in found) else YELLOW, text)
    if shown:
        box.add_item(select_row(Verb.WORKERS_PICK, ALL, texts("workers.pick"), [_row(one, texts) for one in shown]))
    buttons = [button(Verb.WORKERS, ALL, texts("workers.look"), n=page, emoji="🔄")]
    if page > 0:
        buttons.append(button(Verb.WORKERS, ALL, texts("shelf.previous"), n=page - 1, emoji="◀️"))
    if page + 1 < pages:
        buttons.append(button(Verb.WORKERS, ALL, texts("shelf.next"), n=page + 1, emoji="▶️"))
    box.add_item(discord.ui.ActionRow(*map(in_layout, buttons)))
    return view


def worker_card(one: WorkerSight, version: str, texts: Texts, *, note: str = "") -> discord.ui.LayoutView:
    """One worker with what can be done with it; `note` says what was just done."""
    id_, lines = str(one.row.id), worker_lines(one, version, texts, whole=True)
    text = "\n".join(lines) + (f"\n\n{note}" if note else "")
    buttons: list[AddressButton] = [button(Verb.WORKER, id_, texts("workers.look"), emoji="🔄")]
    if one.drained:
        success = discord.ButtonStyle.success
        buttons.append(button(Verb.WORKER, id_, texts("workers.resume"), n=RESUME, style=success, emoji="▶️"))
    else:
        buttons.append(button(Verb.WORKER, id_, texts("workers.drain"), n=DRAIN, emoji="🚰"))
    if not one.ours:
        danger = discord.ButtonStyle.danger
        buttons.append(button(Verb.WORKER, id_, texts("workers.new_invite"), n=ASK_INVITE, emoji="✉️"))
        buttons.append(button(Verb.WORKER, id_, texts("workers.remove"), n=ASK_REMOVE, style=danger, emoji="🗑️"))
    buttons.append(button(Verb.WORKERS, ALL, texts("workers.back"), n=0, emoji="◀️"))
    view, box = _box(_colour(one), text)
    box.add_item(discord.ui.ActionRow(*map(in_layout, buttons)))
    return view


def asked_card(one: WorkerSight, cards: int, what: int, texts: Texts) -> discord.ui.LayoutView:
    """Before a key is revoked. `what` is ASK_REMOVE or ASK_INVITE; `cards` how many workers its machine is."""
    id_, name = str(one.row.id), neutral(one.row.machine.name)
    key, then = ("remove", REMOVE) if what == ASK_REMOVE else ("invite", INVITE)
    danger = discord.ButtonStyle.danger
    return plain_card(
        texts(f"workers.ask_{key}", name=name, n=cards),
        [
            button(Verb.WORKER, id_, texts(f"workers.{key}_yes"), n=then, style=danger),
            button(Verb.WORKER, id_, texts("workers.no")),
        ],
        colour=RED,
    )


def removed_card(name: str, texts: Texts, *, revoked: bool, keyed: bool) -> discord.ui.LayoutView:
    """`keyed`: it had a key; `revoked`: which the broker knows no longer."""
    lines = [texts("workers.removed", name=neutral(name))]
    if keyed and not revoked:
        lines.append(texts("workers.revoke_yourself"))
    back = button(Verb.WORKERS, ALL, texts("workers.back"), n=0, emoji="◀️")
    return plain_card("\n".join(lines), [back])


def invite_card(invited: Invited, addresses: Sequence[str], texts: Texts) -> discord.ui.LayoutView:
    """For the asker's eyes alone: the key stands in it."""
    name = neutral(invited.machine.name)
    parts = [texts("workers.invite_title", name=name), f"```\n{invited.text}\n```", texts("workers.invite_use")]
    if addresses:
        parts.append("-# " + texts("workers.invite_dials", places=", ".join(f"`{place}`" for place in addresses[:4])))
    if invited.later:
        parts.append("⚠️ " + texts("workers.invite_later"))
    view, box = _box(BLUE, "\n".join(parts))
    if invited.snippet:
        text = texts("workers.invite_snippet")
        box.add_item(discord.ui.TextDisplay(f"⚠️ {text}\n```\n{invited.snippet}\n```"))
    return view


# --- lines ------------------------------------------------------------------------------------------------------------


def worker_lines(one: WorkerSight, version: str, texts: Texts, *, facts: bool = True, whole: bool = False) -> list[str]:
    """Everything that comes from the machine is neutral. `whole`: with what a list has no room for; without `facts`
    only what it is and does."""
    head = [f"{_sign(one)} **{neutral(one.name)}**"]
    gpu = (one.view.hello.gpu if one.view is not None else "") or one.row.gpu
    if gpu:
        head.append(spoken(gpu))
    memory = _memory(one, texts)
    if memory:
        head.append(memory)
    lines = [" · ".join(head)]
    if not _is_put_by(one):
        lines.append(_doing(one, texts))
    if one.drained:
        lines.append(_drained(one, texts))
    if one.twin:
        lines.append("⚠️ " + texts("workers.twin"))
    if one.skew is not Skew.NONE and one.view is not None:
        lines.append(_skew(one, version, texts))
    known = _facts(one, texts) if facts else []
    if known:
        lines.append("-# " + " · ".join(known))
    if whole:
        lines += [f"-# {line}" for line in _more(one, texts)]
    return lines


def _counts(found: Sequence[WorkerSight], texts: Texts) -> str:
    counts = Counter(one.doing for one in found if not _is_put_by(one))
    parts = [texts(f"workers.count.{doing}", n=counts[doing]) for doing in _ORDER if counts[doing]]
    drained = sum(one.drained for one in found)
    if drained:
        parts.append(texts("workers.count.drained", n=drained))
    return " · ".join(parts)


def _is_put_by(one: WorkerSight) -> bool:
    """Idle, because it is drained."""
    return one.drained and one.doing is Doing.IDLE


def _sign(one: WorkerSight) -> str:
    return "🚰" if _is_put_by(one) else _SIGNS[one.doing]


def _doing(one: WorkerSight, texts: Texts) -> str:
    match one.doing:
        case Doing.AWAY:
            assert one.row.seen_at is not None, "it was there"
            return texts("workers.away_since", when=f"<t:{int(one.row.seen_at)}:R>")
        case Doing.NEVER:
            at = one.row.machine.invited_at
            return texts("workers.never_since", when=f"<t:{int(at)}:R>") if at else texts("workers.doing.never")
        case _:
            said = texts(f"workers.doing.{one.doing}")
    return said[:1].upper() + said[1:] + (_task(one.task, texts) if one.task is not None else "")


def _task(task: Task, texts: Texts) -> str:
    parts: list[str] = []
    if not task.model.startswith("task:"):
        parts.append(spoken(task.model))
    if task.phase == "loading":
        parts.append(texts("workers.loading"))
    elif task.share is not None:
        parts.append(texts("workers.share", percent=int(task.share * 100)))
    if task.waiting:
        parts.append(texts("workers.behind", n=task.waiting))
    return "".join(f" · {part}" for part in parts)


def _drained(one: WorkerSight, texts: Texts) -> str:
    busy = one.task is not None
    why = f"workers.drained_for.{one.row.drained_for}"
    text = texts("workers.draining" if busy else "workers.drained")
    if texts.has(why):
        text += f" {texts(why)}"
    return text if _is_put_by(one) else f"🚰 {text}"


def _skew(one: WorkerSight, version: str, texts: Texts) -> str:
    assert one.view is not None, "it said its version"
    theirs = version_text(one.view.hello.app_version)
    if one.skew is Skew.PROTOCOL:
        its, ours = protocol_text(one.view)
        return "⚠️ " + texts("workers.skew_protocol", version=theirs, own=version, protocol=its, ours=ours)
    return "⚠️ " + texts("workers.skew_app", version=theirs, own=version)


def _facts(one: WorkerSight, texts: Texts) -> list[str]:
    view = one.view
    if view is None:
        return []
    loaded = texts("workers.loaded", model=spoken(view.loaded)) if view.loaded else texts("workers.nothing_loaded")
    facts = [loaded]
    if one.speed is not None:
        pace = f"{one.speed.pictures_a_minute:.3g}"
        facts.append(texts("workers.speed", n=pace, px=one.speed.px, model=spoken(one.speed.model)))
    facts.append(texts("workers.models", n=len(view.hello.models)))
    if view.hello.fetches and view.hello.models_room_mb is not None:
        facts.append(texts("workers.room", size=size_text(view.hello.models_room_mb * MIB)))
    if one.skew is Skew.NONE:
        facts.append(version_text(view.hello.app_version))
    return facts


def _more(one: WorkerSight, texts: Texts) -> list[str]:
    lines: list[str] = []
    view = one.view
    if view is not None:
        beat, facts = view.beat, list[str]()
        if view.hello.platform:
            facts.append(neutral(view.hello.platform, 30))
        if beat is not None and beat.temperature_c is not None:
            facts.append(f"{beat.temperature_c} °C")
        if beat is not None and beat.utilisation_pct is not None:
            facts.append(texts("panel.utilisation", value=beat.utilisation_pct))
        if beat is not None and beat.power_w is not None:
            facts.append(f"{beat.power_w} W")
        if view.hello.lanes:
            facts.append(texts("workers.lanes", names=neutral(", ".join(view.hello.lanes), 60)))
        if not one.ours:
            facts.append(texts("workers.fetches" if view.hello.fetches else "workers.fetches_not"))
        lines.append(" · ".join(facts))
    if one.ours:
        lines.append(texts("workers.ours"))
    elif one.row.machine.public_key is None:
        lines.append(texts("workers.uninvited"))
    elif one.row.machine.invited_at is not None:
        lines.append(texts("workers.invited", when=f"<t:{int(one.row.machine.invited_at)}:f>"))
    return [line for line in lines if line]


def _memory(one: WorkerSight, texts: Texts) -> str:
    view = one.view
    if view is None or not view.hello.vram_mb:
        return ""
    total = f"{view.hello.vram_mb / 1024:.0f}"
    free = view.beat.vram_free_mb if view.beat is not None else None
    if free is None:
        return texts("workers.vram_total", total=total)
    return texts("workers.vram", used=f"{max(0, view.hello.vram_mb - free) / 1024:.1f}", total=total)


def _row(one: WorkerSight, texts: Texts) -> Row:
    said = texts("workers.drained_short") if one.drained else texts(f"workers.doing.{one.doing}")
    return str(one.row.id), f"{_sign(one)} {one.name}", said


def _colour(one: WorkerSight) -> int:
    if one.doing is Doing.OLD:
        return RED
    return YELLOW if one.drained or one.twin or not one.doing.there or one.skew is not Skew.NONE else GREEN


def _box(colour: int, text: str) -> tuple[discord.ui.LayoutView, discord.ui.Container[discord.ui.LayoutView]]:
    view = discord.ui.LayoutView(timeout=None)
    # Finished from the start, so discord.py does not keep one per answer: its buttons are found by their addresses.
    view.stop()
    box: discord.ui.Container[discord.ui.LayoutView] = discord.ui.Container(accent_colour=colour)
    box.add_item(discord.ui.TextDisplay(text))
    view.add_item(box)
    return view, box
