"""`python -m gpu_worker.language.training.replacing`: one search through captions, from stdin to stdout in JSON.

A process of its own, because a pattern may take for ever and a replacement any room: its starter limits its time, this
its memory. It loads the standard library alone, so it starts at once.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from gpu_worker.language.training.tag_editor import read_tags, replace_in_caption, replace_in_tags

__all__ = ["answer"]

MEMORY_BYTES = 512 << 20
"""Of addresses, beside which the interpreter itself is small."""


def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    """`tags` of each of `captions`, or a `problem`: `pattern` for what is none, `long` where a caption would be longer
    than `longest`, `room`."""
    search, replace, only = asked["search"], asked["replace"], asked["only"]
    found: list[list[str]] = []
    try:
        for caption in asked["captions"]:
            tags = read_tags(caption)
            if asked["whole"]:
                after = replace_in_caption(tags, search, replace, regex=asked["regex"])
            else:
                after = replace_in_tags(tags, search, replace, regex=asked["regex"], only=only)
            if sum(map(len, after)) + 2 * len(after) > asked["longest"]:
                return {"problem": "long"}
            found.append([*after])
    except (re.error, IndexError, OverflowError, RecursionError):  # also of what the replacement refers to
        return {"problem": "pattern"}
    except MemoryError:
        return {"problem": "room"}
    return {"tags": found}


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows; there the time is the limit
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    _limit_memory()
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
