"""What a remote worker says of itself, bounded: it stands on cards, in logs and in memory, and jobs are given by it."""

from __future__ import annotations

import re
from typing import Any

from bot.inspection.sayings import one_line
from gpu_worker.protocol import messages as m

__all__ = ["checked_heartbeat", "checked_hello"]

JOBS_AT_ONCE = 8
"""Slots, and as many ahead; a card has one of each."""
RUNNING_MAX = 64
"""Each that we do not know of costs a look into the table."""
KEPT_MAX = 256
MODELS_MAX = 20_000
ADDONS_MAX = 100
NAME_CHARS = 200
"""Of a model, which may be a path."""
WORD_CHARS = 80
PROBLEM_CHARS = 300
_SHA256 = re.compile(r"[0-9a-f]{64}")


def checked_hello(hello: m.Hello) -> m.Hello:
    update: dict[str, Any] = {
        "app_version": _word(hello.app_version), "boot": _word(hello.boot), "name": hello.worker,
        "gpu": _word(hello.gpu), "platform": _word(hello.platform), "safety": _word(hello.safety or "") or None,
        "loaded": _name(hello.loaded),
        # Not whose word it is, but what the broker says: another machine's speed is learnt by it.
        "machine": hello.worker.partition(".")[0],
        "proto_min": _within(hello.proto_min, 0, 10**6), "proto_max": _within(hello.proto_max, 0, 10**6),
        "slots": _within(hello.slots, 1, JOBS_AT_ONCE), "prefetch": _within(hello.prefetch, 0, JOBS_AT_ONCE),
        "vram_mb": _within(hello.vram_mb, 0, 2**24),
        "models_room_mb": None if hello.models_room_mb is None else _within(hello.models_room_mb, 0, 2**32),
        "tasks": _words(hello.tasks), "lanes": _words(hello.lanes),
        "running": _running(hello.running), "kept": hello.kept[:KEPT_MAX],
        "models": tuple(_fact(fact) for fact in hello.models[:MODELS_MAX] if _is_name(fact.name)),
        "addons": tuple(map(_addon, hello.addons[:ADDONS_MAX])),
    }  # fmt: skip
    return hello.model_copy(update=update)


def checked_heartbeat(beat: m.Heartbeat) -> m.Heartbeat:
    update: dict[str, Any] = {
        "boot": _word(beat.boot), "loaded": _name(beat.loaded), "running": _running(beat.running),
        "vram_free_mb": _measured(beat.vram_free_mb, 2**24), "temperature_c": _measured(beat.temperature_c, 1000),
        "utilisation_pct": _measured(beat.utilisation_pct, 100), "power_w": _measured(beat.power_w, 10_000),
    }  # fmt: skip
    return beat.model_copy(update=update)


def _fact(fact: m.ModelFact) -> m.ModelFact:
    """Parameters to draw with are the library's to say."""
    texts = {key: _name(said) for key in ("family", "alias", "problem", "trained_in")
             if (said := getattr(fact, key)) is not None and not _is_name(said)}  # fmt: skip
    update: dict[str, Any] = dict(texts)
    if fact.defaults is not None:
        update["defaults"] = None
    if fact.sha256 is not None and _SHA256.fullmatch(fact.sha256) is None:
        update["sha256"] = None
    if fact.native_px is not None and not 8 <= fact.native_px <= 8192:
        update["native_px"] = None
    if fact.context is not None and not 1 <= fact.context <= 65536:
        update["context"] = None
    return fact.model_copy(update=update) if update else fact


def _addon(fact: m.AddonFact) -> m.AddonFact:
    return m.AddonFact(
        name=_word(fact.name), version=_word(fact.version), parts=_words(fact.parts),
        problem=None if fact.problem is None else one_line(fact.problem, PROBLEM_CHARS),
    )  # fmt: skip


def _running(said: tuple[m.Running, ...]) -> tuple[m.Running, ...]:
    return tuple(
        one.model_copy(
            update={
                "phase": _word(one.phase), "step": _within(one.step, 0, 2**31), "of": _within(one.of, 0, 2**31),
            }
        )
        for one in said[:RUNNING_MAX]
    )  # fmt: skip


def _word(said: str) -> str:
    return one_line(said, WORD_CHARS)


def _words(said: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_word, said[:ADDONS_MAX]))


def _is_name(said: str) -> bool:
    return 0 < len(said) <= NAME_CHARS and said.isprintable()


def _name(said: str | None) -> str | None:
    return said if said is not None and _is_name(said) else None


def _within(said: int, least: int, most: int) -> int:
    return min(max(said, least), most)


def _measured(said: int | None, most: int) -> int | None:
    """Nothing rather than nonsense."""
    return said if said is not None and -273 <= said <= most else None
