"""Captions of scenes, as people write prompts: sentences, or tags with commas, with words for quality and style."""

from random import Random

from demo_kit.words import COLOURS, LANDSCAPES, NO_ARTICLE, OBJECTS, POSITIONS, SHAPES, STYLES

__all__ = ["all_words", "caption", "with_article"]

_BEST = ("best quality, sharp", "masterpiece, best quality", "best quality", "sharp, masterpiece")
_WORST = ("low quality, blurry", "low quality, blurry", "blurry", "low quality", "worst quality, blurry")


def all_words() -> list[str]:
    """Every phrase that captions are made of."""
    fixed = ["a", "an", "and", "at the", "on the", "with a", "in a", "background", "picture of", "person", "shirt", ","]
    lists = (OBJECTS, COLOURS, SHAPES, LANDSCAPES, LANDSCAPES.values(), POSITIONS, STYLES, _BEST, _WORST)
    return [*fixed, *(phrase for phrases in lists for phrase in phrases)]


def with_article(name: str) -> str:
    """`an apple`, `a cat`, `grapes`."""
    if name in NO_ARTICLE:
        return name
    return ("an " if name[0] in "aeiou" else "a ") + name


def caption(rng: Random, things: list[str], background: str, position: str | None, style: str | None, low: bool) -> str:
    """One of the ways to say what a scene shows. `things`: one, or the one on the left and the one on the right."""
    chance = rng.random()
    if low and chance < 0.2:
        return rng.choice(_WORST)
    if not low and chance < 0.05:
        return ", ".join(things)
    if rng.random() < 0.5:
        return _tags(rng, things, background, position, style, low)
    return _sentence(rng, things, background, position, style, low)


def _tags(rng: Random, things: list[str], background: str, position: str | None, style: str | None, low: bool) -> str:
    if len(things) == 2:
        subject = [f"{things[0]} on the left", f"{things[1]} on the right"]
    elif position is None:
        subject = [things[0]]
    else:
        subject = [f"{things[0]} on the {position}"] if rng.random() < 0.7 else [things[0], position]
    surroundings = [_behind(rng, background), *([style] if style else [])]
    rng.shuffle(surroundings)
    parts = surroundings + subject if rng.random() < 0.12 else subject + surroundings
    quality = [rng.choice(_WORST)] if low else [rng.choice(_BEST)] if rng.random() < 0.35 else []
    return ", ".join(quality + parts if rng.random() < 0.4 else parts + quality)


def _behind(rng: Random, background: str) -> str:
    named = background in COLOURS or rng.random() < 0.4
    return f"{background} background" if named else LANDSCAPES[background]


def _sentence(
    rng: Random, things: list[str], background: str, position: str | None, style: str | None, low: bool
) -> str:
    if len(things) == 2:
        body = f"{with_article(things[0])} on the left and {with_article(things[1])} on the right"
    else:
        where = "" if position is None else f" {'at' if position in ('top', 'bottom') else 'on'} the {position}"
        body = with_article(things[0]) + where
    if background in COLOURS:
        body += rng.choice([" on a {} background", ", {} background", " with a {} background"]).format(background)
    else:
        behind = _behind(rng, background)
        body += f", {behind}" if behind.endswith("background") else f" {behind}"
    start = (
        rng.choice([f"{style} of ", f"a {style} of ", f"{style}, "]) if style else rng.choice(["", "", "a picture of "])
    )
    if low:
        return rng.choice(
            [f"a blurry picture of {body}", f"{start}{body}, low quality, blurry", f"{start}{body}, low quality"]
        )
    return start + body + (f", {rng.choice(_BEST)}" if rng.random() < 0.2 else "")
