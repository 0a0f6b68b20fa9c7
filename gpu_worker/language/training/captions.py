"""A caption as one step reads it: dropped, shuffled, thinned out (behaviours §24.1; sd-scripts' `process_caption`).

The order of what is asked of `dice` is sd-scripts' own, so that one seed gives one caption.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from typing import Protocol

__all__ = ["CaptionRules", "process_caption"]

_JOINED = ", "
_BRACES = "⦅", "⦆"


class CaptionRules(Protocol):
    """Named as sd-scripts names them; `SubsetRules` has them all."""

    @property
    def shuffle_caption(self) -> bool: ...
    @property
    def caption_separator(self) -> str: ...
    @property
    def keep_tokens(self) -> int: ...
    @property
    def keep_tokens_separator(self) -> str: ...
    @property
    def secondary_separator(self) -> str: ...
    @property
    def enable_wildcard(self) -> bool: ...
    @property
    def caption_prefix(self) -> str: ...
    @property
    def caption_suffix(self) -> str: ...
    @property
    def caption_dropout_rate(self) -> float: ...
    @property
    def caption_dropout_every_n_epochs(self) -> int: ...
    @property
    def caption_tag_dropout_rate(self) -> float: ...
    @property
    def token_warmup_min(self) -> int: ...
    @property
    def token_warmup_step(self) -> float: ...


def process_caption(
    caption: str, rules: CaptionRules, dice: random.Random, *, epoch: int = 1, step: int = 0, steps: int = 0
) -> str:
    """What the text encoder is given. `epoch` counts from 1; `step` of `steps` counts from 0 and only matters for the
    warm-up of tokens."""
    if rules.caption_prefix:
        caption = f"{rules.caption_prefix} {caption}"
    if rules.caption_suffix:
        caption = f"{caption} {rules.caption_suffix}"
    dropped = rules.caption_dropout_rate > 0 and dice.random() < rules.caption_dropout_rate
    every = rules.caption_dropout_every_n_epochs
    if dropped or (every > 0 and epoch % every == 0):
        return ""
    caption = _chosen(caption, dice) if rules.enable_wildcard else caption.split("\n")[0]
    if rules.shuffle_caption or rules.token_warmup_step > 0 or rules.caption_tag_dropout_rate > 0:
        first, loose, last = _parts(caption, rules)
        loose = loose[: _warm(len(loose), rules, step, steps)]
        if rules.shuffle_caption:
            dice.shuffle(loose)
        if rules.caption_tag_dropout_rate > 0:
            loose = [tag for tag in loose if dice.random() >= rules.caption_tag_dropout_rate]
        caption = _JOINED.join([*first, *loose, *last])
    if rules.secondary_separator:
        caption = caption.replace(rules.secondary_separator, rules.caption_separator)
    return caption


def _chosen(caption: str, dice: random.Random) -> str:
    """One line of several, and one word of each `{a|b}`; doubled braces are braces."""
    if "\n" in caption:
        caption = dice.choice(caption.split("\n"))
    opened, closed = _BRACES
    while opened in caption or closed in caption:
        opened, closed = opened + _BRACES[0], closed + _BRACES[1]
    caption = caption.replace("{{", opened).replace("}}", closed)
    caption = re.sub(r"\{([^}]+)\}", lambda match: dice.choice(match[1].split("|")), caption)
    return caption.replace(opened, "{").replace(closed, "}")


def _parts(caption: str, rules: CaptionRules) -> tuple[list[str], list[str], list[str]]:
    """Tags that stay in front, those that may move, and those that stay at the end."""
    mark = rules.keep_tokens_separator
    if mark and mark in caption:
        front, _, rest = caption.partition(mark)
        middle, _, end = rest.partition(mark)
        first, loose, last = (_filled(part.split(rules.caption_separator)) for part in (front, middle, end))
        return first, loose, last
    tags = [tag.strip() for tag in caption.strip().split(rules.caption_separator)]
    return tags[: rules.keep_tokens], tags[rules.keep_tokens :], []


def _filled(tags: Sequence[str]) -> list[str]:
    return [tag.strip() for tag in tags if tag.strip()]


def _warm(count: int, rules: CaptionRules, step: int, steps: int) -> int:
    """How many of the loose tags are read: from `token_warmup_min` at the first step to all at `token_warmup_step`,
    which below 1 is a share of all steps."""
    until = rules.token_warmup_step
    if until < 1:
        until = math.floor(until * steps)
    if not until or step >= until:
        return count
    return math.floor(step * ((count - rules.token_warmup_min) / until)) + rules.token_warmup_min
