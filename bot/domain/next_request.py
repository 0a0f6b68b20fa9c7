"""A request with what its person chose for the next picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bot.domain.imagine import Built, ImagineOptions
from bot.domain.next_picture import NextPicture, taken
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Txt2Img

__all__ = ["with_next_picture"]


def with_next_picture(
    wish: NextPicture,
    options: ImagineOptions,
    build: Callable[[ImagineOptions], Built],
    facts: Sequence[ModelFact],
) -> tuple[Built, NextPicture]:
    """The request, and what of the wish it did not use: an upscaler asks for a second pass, so it waits while pictures
    are given, which have none.

    It is built twice, because only the whole request (flags, style, server) says which checkpoint will draw.
    Raises UserFacingError as `build_imagine`.
    """
    if wish.empty:
        return build(options), wish
    first = taken(wish.model_copy(update={"vae": None, "loras": (), "words": ()}), options.wishes, None, facts).base
    spec = build(replace(options, base=first)).spec
    enlarged = isinstance(spec, Txt2Img) and spec.hires is not None
    left = NextPicture() if enlarged else NextPicture(upscaler=wish.upscaler)
    now = wish if enlarged else wish.model_copy(update={"upscaler": None})
    checkpoint = next((fact for fact in facts if (fact.kind, fact.name) == ("checkpoint", spec.checkpoint)), None)
    typed = options.wishes
    if wish.checkpoint != spec.checkpoint and first.checkpoint is not None:
        typed = replace(typed, checkpoint=spec.checkpoint)  # a flag in the prompt names another
    found = taken(now, typed, checkpoint, facts)
    words = ", ".join(filter(None, (options.words, found.words)))
    built = build(replace(options, base=found.base, loras=found.loras, words=words))
    return Built(built.spec, (*found.notes, *built.notes)), left
