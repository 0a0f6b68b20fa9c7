"""Readings of a prompt once its syntax has done its work: what the image model may get to see at some step.

Brackets and weights vanish, `<lora:…>` tags are cut out, `BREAK` and `AND` separate, and `[a:b:0.5]` or `[a|b]` show
one of their alternatives at a time, so a refused word can be put together from harmless pieces in all these ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from bot.domain.content.lexicon import CARRIER, Lexicon, Node

__all__ = ["Block", "alternatives", "parse_blocks", "phrased", "spelt", "tags", "without_syntax"]

_WORD = re.compile(r"[^\W_]+")
_TAG = re.compile(r"<\w+:[^>]+>")
_SEPARATOR = re.compile(r"\b(?:BREAK|AND)\b")
_WEIGHT = re.compile(r":\s{0,9}[+-]?[.\d]{1,20}\s{0,9}(?=\))")
_PART = re.compile(r"[\[\]|:]|[^\[\]|:]+")
_HARD = frozenset(" \n\t,;")
MAX_DEPTH = 12
MAX_ALTERNATIVES = 8
MAX_PASSED = 64


def tags(prompt: str) -> str:
    """The insides of all `<lora:…>` tags: a model's name steers the picture, too."""
    return " ; ".join(_TAG.findall(prompt)) if "<" in prompt else ""


def without_syntax(prompt: str) -> str:
    """The prompt without tags, weights, escapes, `BREAK` and `AND`. Square brackets stay, for `parse_blocks`."""
    if "<" in prompt:
        prompt = _TAG.sub("", prompt)
    return _WEIGHT.sub("", _SEPARATOR.sub(" ", prompt.replace("\\", "")))


@dataclass
class Block:
    """`[…]`: its alternatives, each a sequence of texts and blocks. Also the whole prompt, with one alternative."""

    alternatives: list[list[str | Block]] = field(default_factory=lambda: [[]])


def parse_blocks(text: str) -> tuple[Block, int]:
    """The prompt as a tree, and the largest number of alternatives of any block (0 without blocks that choose).

    Deeper than MAX_DEPTH brackets are read as plain text; unclosed ones end with the prompt. Never raises.
    """
    root = Block()
    stack = [root]
    most = 0
    for match in _PART.finditer(text):
        part = match[0]
        if part == "[" and len(stack) <= MAX_DEPTH:
            block = Block()
            stack[-1].alternatives[-1].append(block)
            stack.append(block)
        elif part == "]" and len(stack) > 1:
            most = max(most, len(stack.pop().alternatives))
        elif part in "|:" and len(stack) > 1:
            stack[-1].alternatives.append([])
        else:
            stack[-1].alternatives[-1].append(part)
    most = max([most, *(len(block.alternatives) for block in stack[1:])])
    return root, most if most > 1 else 0


def alternatives(root: Block, most: int) -> Iterator[str]:
    """The text with the n-th alternative of every block for each n up to MAX_ALTERNATIVES, then without any block."""
    for index in range(min(most, MAX_ALTERNATIVES)):
        yield "".join(_chosen(root, index))
    yield "".join(part for part in root.alternatives[0] if isinstance(part, str))


def _chosen(block: Block, index: int) -> Iterator[str]:
    for part in block.alternatives[min(index, len(block.alternatives) - 1)]:
        if isinstance(part, str):
            yield part
        else:
            yield from _chosen(part, index)


def spelt(root: Block, trie: Node) -> int:
    """Marks of all words that any combination of alternatives spells, however many combinations there are.

    All alternatives are followed at once, as states in the trie, so the cost grows with the length of the text only.
    Repeated letters count once.
    """
    found, states = _follow(root.alternatives[0], {trie}, trie)
    return found | _ends(states)


def phrased(root: Block, words: Lexicon) -> int:
    """Marks of all phrases that some combination of alternatives puts together, such as `[little|x] [y|girl]`.

    Between two words of a phrase any words of alternatives may be passed over, as if others had been chosen.
    """
    flat = [(word, inside) for text, inside in _flat(root, inside=False) for word in _WORD.findall(text)]
    marks = 0
    for index, (word, _) in enumerate(flat):
        for phrase, mark in words.phrases.get(word, ()):
            if mark & ~marks and _passes(flat, index, phrase):
                marks |= mark
    return marks


def _passes(flat: list[tuple[str, bool]], index: int, phrase: tuple[str, ...]) -> bool:
    at = 1
    for word, inside in flat[index + 1 : index + MAX_PASSED]:
        if word == phrase[at]:
            at += 1
            if at == len(phrase):
                return True
        elif not inside:
            return False
    return False


def _flat(block: Block, *, inside: bool) -> Iterator[tuple[str, bool]]:
    for branch in block.alternatives:
        for part in branch:
            if isinstance(part, str):
                yield part, inside
            else:
                yield from _flat(part, inside=True)


def _ends(states: set[Node]) -> int:
    marks = 0
    for state in states:
        marks |= state.mark
    return marks & ~CARRIER


def _follow(parts: list[str | Block], states: set[Node], trie: Node) -> tuple[int, set[Node]]:
    found = 0
    for part in parts:
        if isinstance(part, Block):
            # A block can also be absent: `[to:0.5]` before its step, `[from::0.5]` after it.
            after = set(states)
            for branch in part.alternatives:
                marks, reached = _follow(branch, states, trie)
                found |= marks
                after |= reached
            states = after
            continue
        for character in part:
            if character in _HARD:
                found |= _ends(states)
                states = {trie}
            elif character.isalnum():
                states = {
                    reached
                    for state in states
                    for reached in (state.next.get(character), state if state.letter == character else None)
                    if reached is not None
                }
    return found, states
