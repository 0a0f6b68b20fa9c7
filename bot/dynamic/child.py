"""`python -m bot.dynamic.child`: one request from stdin, one answer to stdout, in JSON. Its starter limits its time."""

from __future__ import annotations

import json
import sys
import warnings
from itertools import islice
from typing import Any

__all__ = ["answer"]

MEMORY_BYTES = 1 << 30
"""Of addresses; what a template may take at most, beside the interpreter."""


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """`texts`: pairs of prompt and negative prompt; or `problem`: `unreadable`, `endless`, `variable`, `long`.

    Asked with `seeds`, a pair for each; asked with `most`, the combinations, at most one more than that.
    """
    from pyparsing import ParseBaseException

    from bot.dynamic.draw import combinations, manager_of, random_texts

    prompt, negative, longest = asked["prompt"], asked["negative"], asked["longest"]
    manager = manager_of(asked["values"])
    try:
        if "seeds" in asked:
            sides = [random_texts(text, asked["seeds"], manager) for text in (prompt, negative)]
            pairs = list(zip(*sides, strict=True))
        else:
            most = asked["most"] + 1
            negatives = list(islice(combinations(negative, manager), most))
            positives = islice(combinations(prompt, manager), most)
            pairs = list(islice(((one, other) for one in positives for other in negatives), most))
    except (ParseBaseException, ValueError, StopIteration):
        return {"problem": "unreadable"}
    except KeyError as error:
        return {"problem": "variable", "name": str(error)[:200]}
    except (RecursionError, MemoryError):
        return {"problem": "endless"}
    except RuntimeError:  # a generator that ended while another was read: no such combination
        return {"problem": "unreadable"}
    if any(len(text) > longest for pair in pairs for text in pair):
        return {"problem": "long"}
    return {"texts": pairs}


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows; there the time is the limit
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    _limit_memory()
    json.dump(answer(json.load(sys.stdin)), sys.stdout)
