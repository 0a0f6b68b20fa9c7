"""What a new picture begins with where its user says nothing: the preferences, as the layers of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bot.domain.model_rules import Where
from bot.domain.models import AUTOMATIC_VAE, NONE, UPSCALERS, names_of
from bot.domain.parameters import Parameters
from bot.domain.preferences import (
    CHECKPOINT,
    NEGATIVE,
    STYLE,
    UPSCALER,
    VAE,
    Key,
    Level,
    Resolved,
    drawing_defaults,
    owners,
)
from bot.storage.preferences import Preferences
from bot.studio.models import Models
from gpu_worker.protocol.messages import ModelFact

__all__ = ["Usual", "Usuals", "usable"]


@dataclass(frozen=True, slots=True)
class Usual:
    """`server` and `user` are the layers of `build_imagine` below the style; `negative` is the negative prompt where
    none is given, `style` the names of the styles where none is named."""

    server: Parameters
    user: Parameters
    negative: str | None
    style: Resolved[str | None]


class Usuals:
    def __init__(self, preferences: Preferences, models: Models) -> None:
        self._preferences = preferences
        self._models = models

    def at(self, where: Where, facts: Sequence[ModelFact]) -> Usual:
        """`facts` are those of `where`. A model that is gone, or disabled there, is passed over."""
        server, user = Parameters(), Parameters()
        for level, owner_id in reversed([*owners(where)]):
            layer = _usable(drawing_defaults(self._preferences.said(level, owner_id)), facts)
            if level is Level.USER:
                user = layer
            else:
                server = layer.over(server)
        # The models of server and channels are those of /model-admin, above what the operator says.
        server = self._models.defaults(where, facts).over(server)
        return Usual(server, user, self._preferences.get(where, NEGATIVE), self._preferences.resolve(where, STYLE))


def usable(key: Key[Any], value: object, facts: Sequence[ModelFact]) -> bool:
    """Whether a value that names a model names one that may be used; True for all others."""
    others: Mapping[str, Sequence[str]] = {VAE.name: (AUTOMATIC_VAE, NONE), UPSCALER.name: UPSCALERS}
    if key.name not in (CHECKPOINT.name, VAE.name, UPSCALER.name) or value in others.get(key.name, ()):
        return True
    return value in names_of(key.name, facts)  # pyright: ignore[reportArgumentType] - these keys are kinds


def _usable(layer: Parameters, facts: Sequence[ModelFact]) -> Parameters:
    fields = ((CHECKPOINT, "checkpoint"), (VAE, "vae"), (UPSCALER, "hires_upscaler"))
    gone = {
        field: None
        for key, field in fields
        if getattr(layer, field) is not None and not usable(key, getattr(layer, field), facts)
    }
    return replace(layer, **gone)
