"""Prompt editing `[from:to:when]`, alternation `[a|b]` and composition `AND`, as A1111 reads them (behaviours §2).

A prompt is a row of texts and groups. A group is `(prompt)`, `(prompt:prompt)`, `[prompt]`, an edit or an alternation;
what stands inside must be made of texts and groups again. Brackets and colons that belong to no such group are text;
a `|` outside of an alternation, or a lone backslash, leaves the whole prompt as it is. Where loose brackets leave a
choice, A1111 takes one by chance (its parser's answer changes with Python's hash seed); here every group counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, Union

__all__ = ["AND", "Schedule", "prompt_schedule", "split_and", "text_at"]

Schedule: TypeAlias = tuple[tuple[int, str], ...]
"""(end, text) in order of the ends; ends are numbers of model calls."""

_TOKEN = re.compile(r"(?P<text>(?:[^\\\[\]():|]|\\.)+)|(?P<mark>[\[\]():|])")
_NUMBER = re.compile(r"\s*([+-]?(?:[0-9]+\.[0-9]*|\.?[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*")
AND = re.compile(r"\bAND\b")
_WEIGHT = re.compile(r"[+-]?(?:\d+\.?|\d*\.\d+)")
_CLOSER = {"(": ")", "[": "]"}

Node: TypeAlias = Union[str, "list[Node]", "Edit", "Alternation"]


@dataclass(frozen=True, eq=False)
class Edit:
    before: list[Node]
    after: list[Node]
    when: str


@dataclass(frozen=True, eq=False)
class Alternation:
    options: list[list[Node]]


class Group:
    """An opened bracket: what was read since, in sections between its colons and bars."""

    def __init__(self, opener: str) -> None:
        self.opener = opener
        self.sections: list[list[Node]] = [[]]
        self.marks: list[str] = []

    def closed(self) -> Node | None:
        """None where this is no group after all."""
        sections, marks = self.sections, self.marks
        if self.opener == "[" and marks:
            if "|" in marks:
                return Alternation(sections) if ":" not in marks else None
            when = "".join(part for part in sections[-1] if isinstance(part, str))
            whole = all(isinstance(part, str) for part in sections[-1])
            if len(marks) > 2 or not whole or not _NUMBER.fullmatch(when):
                return None
            return Edit(sections[0] if len(marks) == 2 else [], sections[-2], when.strip())
        if "|" in marks or len(marks) > 1:
            return None
        return [*self.literal(), _CLOSER[self.opener]]

    def literal(self) -> list[Node]:
        parts: list[Node] = [self.opener, self.sections[0]]
        for mark, section in zip(self.marks, self.sections[1:], strict=True):
            parts += [mark, section]
        return parts


def prompt_schedule(prompt: str, steps: int, hires_steps: int | None = None, *, old: bool = False) -> Schedule:
    """The texts of one pass with the model call each ends at. Never raises; takes time linear in text and steps.

    `steps` counts model calls of the first pass (twice the sampler's steps for second-order samplers). `hires_steps`
    asks for the second pass, which has that many: whole numbers then count over both passes, and fractions are 1 more.
    `old` is A1111 before 1.6: anything below 1 is a fraction, and each pass runs through the edits from the start.
    """
    tree = _parsed(prompt)
    second = hires_steps is not None and not old
    length = hires_steps if hires_steps is not None and not old else steps
    if tree is None:
        return ((length, prompt),)

    def call(when: str) -> int:
        value = float(when)
        if old:
            value = value * length if value < 1 else value
        elif "." in when:
            value = (value - (1.0 if second else 0.0)) * length
        else:
            value -= steps if second else 0
        return int(min(max(value, -1.0), length)) if math.isfinite(value) else (length if value > 0 else 0)

    whens, alternates = _found(tree)
    calls = {when: call(when) for when in whens}
    ends = {length} | {end for end in calls.values() if end >= 1}
    if alternates:
        ends |= set(range(1, length + 1))
    return tuple((end, _rendered(tree, end, calls)) for end in sorted(ends))


def text_at(schedule: Schedule, call_number: int) -> str:
    """The text for a model call of the pass, counted from 0: the first entry that has not ended yet, else the last."""
    return next((text for end, text in schedule if call_number <= end), schedule[-1][1])


def split_and(prompt: str) -> tuple[tuple[str, float], ...]:
    """The parts between the words AND with their weights: 1 where none ends the part. Never empty."""
    found: list[tuple[str, float]] = []
    for part in AND.split(prompt):
        text, colon, tail = part.rpartition(":")
        number = tail.strip()
        if colon and _WEIGHT.fullmatch(number) and math.isfinite(float(number)):
            found.append((text.rstrip(), float(number)))
        else:
            found.append((part.rstrip(), 1.0))
    return tuple(found)


def _parsed(prompt: str) -> list[Node] | None:
    top: list[Node] = []
    stack: list[Group] = []
    position = 0
    for token in _TOKEN.finditer(prompt):
        if token.start() != position:
            return None
        position = token.end()
        text = token.group()
        here = stack[-1].sections[-1] if stack else top
        if token["text"]:
            here.append(text)
        elif text in _CLOSER:
            stack.append(Group(text))
        elif text in ":|" and stack:
            stack[-1].marks.append(text)
            stack[-1].sections.append([])
        elif text == "|":
            return None
        elif stack and text == _CLOSER[stack[-1].opener] and (node := stack[-1].closed()) is not None:
            stack.pop()
            (stack[-1].sections[-1] if stack else top).append(node)
        else:
            if not _spilt(stack, top):
                return None
            top.append(text)
    return top if position == len(prompt) and _spilt(stack, top) else None


def _spilt(stack: list[Group], top: list[Node]) -> bool:
    """Open brackets become text, with the groups inside them as they are. False where a bar is among it."""
    for group in stack:
        if "|" in group.marks:
            return False
        top += group.literal()
    stack.clear()
    return True


def _found(tree: list[Node]) -> tuple[set[str], bool]:
    """Every `when` and whether anything alternates."""
    whens: set[str] = set()
    alternates = False
    waiting: list[Node] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, Edit):
            whens.add(node.when)
            waiting += [node.before, node.after]
        elif isinstance(node, Alternation):
            alternates = True
            waiting += node.options
    return whens, alternates


def _rendered(tree: Sequence[Node], call: int, calls: dict[str, int]) -> str:
    out: list[str] = []
    open_rows = [iter(tree)]
    while open_rows:
        node = next(open_rows[-1], None)
        if node is None:
            open_rows.pop()
        elif isinstance(node, str):
            out.append(node)
        elif isinstance(node, Edit):
            open_rows.append(iter(node.before if call <= calls[node.when] else node.after))
        elif isinstance(node, Alternation):
            open_rows.append(iter(node.options[(call - 1) % len(node.options)]))
        else:
            open_rows.append(iter(node))
    return "".join(out)
