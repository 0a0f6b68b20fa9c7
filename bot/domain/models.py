"""Finding the model a user names among those the worker reports, or saying which they may have meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rapidfuzz import fuzz, process

from bot.domain.mentions import spoken
from bot.errors import UserFacingError
from gpu_worker.language.models import default_checkpoint
from gpu_worker.protocol.messages import ModelFact

__all__ = ["check_loras", "closest", "find_checkpoint", "find_lora"]

_SUGGESTIONS = 3


def closest(wanted: str, names: Iterable[str], limit: int = _SUGGESTIONS) -> list[str]:
    """The most similar names, best first; never empty where `names` is not."""
    pool = list(names)
    return [
        match[0] for match in process.extract(wanted, pool, scorer=fuzz.WRatio, processor=str.casefold, limit=limit)
    ]


def find_checkpoint(wanted: str | None, facts: Sequence[ModelFact]) -> ModelFact:
    """The named checkpoint, upper and lower case apart from an equal name not minding; None finds the default.

    Raises UserFacingError: `checkpoint_none`, `checkpoint_unknown`, `checkpoint_unusable`.
    """
    checkpoints = [fact for fact in facts if fact.kind == "checkpoint"]
    if wanted is None:
        wanted = default_checkpoint(tuple(facts))
        if wanted is None:
            raise UserFacingError("checkpoint_none")
    return _find("checkpoint", wanted, checkpoints)


def find_lora(wanted: str, facts: Sequence[ModelFact]) -> ModelFact:
    """Raises UserFacingError: `lora_none`, `lora_unknown`, `lora_unusable`."""
    return _find("lora", wanted, [fact for fact in facts if fact.kind == "lora"])


def check_loras(names: Iterable[str], checkpoint: ModelFact, facts: Sequence[ModelFact]) -> None:
    """Every LoRA a prompt names must be there under exactly that name and fit the checkpoint.

    Raises UserFacingError: those of `find_lora`, `lora_family`.
    """
    for name in names:
        fact = find_lora(name, facts)
        if fact.name != name:
            raise UserFacingError("lora_unknown", name=spoken(name), closest=spoken(fact.name))
        if fact.family and checkpoint.family and fact.family != checkpoint.family:
            raise UserFacingError("lora_family", name=spoken(name), checkpoint=spoken(checkpoint.name))


def _find(kind: str, wanted: str, models: list[ModelFact]) -> ModelFact:
    found = next((fact for fact in models if fact.name == wanted), None)
    if found is None:
        alike = [fact for fact in models if fact.name.casefold() == wanted.strip().casefold()]
        found = alike[0] if len(alike) == 1 else None
    if found is None:
        usable = [fact.name for fact in models if fact.problem is None]
        if not usable:
            raise UserFacingError(f"{kind}_none")
        raise UserFacingError(
            f"{kind}_unknown", name=spoken(wanted), closest=", ".join(spoken(name) for name in closest(wanted, usable))
        )
    if found.problem is not None:
        raise UserFacingError(f"{kind}_unusable", name=spoken(found.name))
    return found
