"""Control models of the library: those that fit a checkpoint, the one that is meant, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.control.kinds import KINDS, Kind, kind_of_model
from bot.domain.mapping import choose_preprocessor
from bot.domain.mentions import spoken
from bot.domain.models import DISABLED, closest, suits
from bot.errors import UserFacingError
from gpu_worker.language.layouts import context_family
from gpu_worker.language.preprocessors import find_preprocessor
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import ControlUnit, Drawing, Img2Img

__all__ = [
    "SET", "checkpoint_of", "control_models", "find_control", "fits_kind", "install_of", "is_union", "model_for",
    "require_units",
]  # fmt: skip

SET = "controlnet-basics"
"""The catalogue's set for a beginning."""
_OTHERS = frozenset({"ip_adapter", "lllite"})
"""Variants of the same folder that lead nothing."""
_NAMED = 5


def checkpoint_of(spec: Drawing, facts: Sequence[ModelFact]) -> ModelFact | None:
    return next((fact for fact in facts if fact.kind == "checkpoint" and fact.name == spec.checkpoint), None)


def control_models(checkpoint: ModelFact | None, facts: Sequence[ModelFact]) -> list[ModelFact]:
    """Usable ones that fit; all without a checkpoint."""
    return [fact for fact in _all(facts) if fact.problem is None and (checkpoint is None or suits(fact, checkpoint))]


def is_union(name: str, facts: Sequence[ModelFact]) -> bool:
    return any(fact.name == name and fact.variant == "control_union" for fact in _all(facts))


def fits_kind(fact: ModelFact, kind: Kind | None) -> bool:
    """Whether it follows maps of that type, as far as its name says; a union model follows those it was told of."""
    if kind is None:
        return True
    if fact.variant == "control_union":
        entry = find_preprocessor(kind.usual)
        return entry is not None and entry.shows is not None
    if kind.name == "T2I-Adapter":
        return fact.variant == "t2i_adapter"
    return kind_of_model(fact.name) is kind or bool(kind.model.search(fact.name))


def model_for(kind: Kind | None, checkpoint: ModelFact | None, facts: Sequence[ModelFact], near: str = "") -> str:
    """The first fitting one of a type; `near` is a preprocessor whose own model goes first (`lineart_anime`). Raises
    UserFacingError: `control_none`, `control_type_none`, `control_base_none`."""
    there = control_models(checkpoint, facts)
    found = [fact.name for fact in there if fits_kind(fact, kind) and (kind is not None or len(there) == 1)]
    if not found:
        raise _nothing_for(kind, checkpoint, facts)
    wanted = near.rpartition("_")[2] if kind is not None and near != kind.usual else ""
    exact = [name for name in found if wanted and wanted in name.casefold()]
    plain = [name for name in found if not (kind is not None and kind.name == "Lineart" and "anime" in name.casefold())]
    return (exact or plain or found)[0]


def find_control(wanted: str, checkpoint: ModelFact | None, facts: Sequence[ModelFact]) -> ModelFact:
    """By its name in any case, with or without A1111's hash behind it. Raises UserFacingError: `control_none`,
    `control_unknown`, `control_unusable`, `control_adapter`, `control_base`, `model_disabled`."""
    plain = wanted.strip().partition(" [")[0].casefold()
    there = [fact for fact in facts if fact.kind == "controlnet"]
    found = next((fact for fact in there if fact.name == wanted), None)
    found = found or next((fact for fact in there if fact.name.casefold() == plain), None)
    fitting = [fact.name for fact in control_models(checkpoint, facts)]
    if found is None:
        if not fitting:
            raise _nothing_for(None, checkpoint, facts)
        near = closest(plain, fitting)
        raise UserFacingError("control_unknown", name=spoken(wanted), closest=", ".join(map(spoken, near)))
    if found.problem == DISABLED:
        raise UserFacingError("model_disabled", name=spoken(found.name))
    if found.problem is not None:
        raise UserFacingError("control_unusable", name=spoken(found.name))
    if found.variant in _OTHERS:
        raise UserFacingError("control_adapter", name=spoken(found.name))
    if found.name not in fitting:
        raise _misfit(found, checkpoint, fitting)
    return found


def require_units(spec: Drawing, facts: Sequence[ModelFact]) -> None:
    """Before a request with units is queued: each has a model that fits, a picture and the files of its preprocessor.

    Raises UserFacingError: those of `find_control` and `choose_preprocessor`, `control_picture_missing`,
    `control_type_needed`.
    """
    checkpoint = checkpoint_of(spec, facts)
    for number, unit in enumerate(spec.control):
        if unit.image is None and not isinstance(spec, Img2Img):
            raise UserFacingError("control_picture_missing", number=number)
        found = find_control(unit.model, checkpoint, facts)
        choose_preprocessor(unit.preprocessor, facts)
        if found.variant == "control_union" and _shows(unit) is None:
            raise UserFacingError("control_type_needed", number=number, name=spoken(found.name))


def install_of(kind: Kind | None, checkpoint: ModelFact | None) -> str | None:
    """What the catalogue calls a model of that type; it has those of SD 1.x."""
    if checkpoint is not None and checkpoint.family not in (None, "sd1"):
        return None
    return kind.install if kind is not None else SET


def _shows(unit: ControlUnit) -> str | None:
    entry = find_preprocessor(unit.preprocessor)
    return unit.control_type or (entry.shows if entry is not None else None)


def _all(facts: Sequence[ModelFact]) -> list[ModelFact]:
    return [fact for fact in facts if fact.kind == "controlnet" and fact.variant not in _OTHERS]


def _nothing_for(kind: Kind | None, checkpoint: ModelFact | None, facts: Sequence[ModelFact]) -> UserFacingError:
    here = control_models(None, facts)
    fitting = [fact for fact in here if checkpoint is None or suits(fact, checkpoint)]
    # Miniatures such as those that ship with the demo are nobody's models of another checkpoint.
    if not fitting and not any(fact.context is None or context_family(fact.context) for fact in here):
        install = kind.install if kind is not None and kind.install else SET
        return UserFacingError("control_none", install=install)
    if kind is None and fitting:
        names = ", ".join(spoken(fact.name) for fact in fitting[:_NAMED])
        return UserFacingError("control_model_needed", names=names)
    if not fitting and checkpoint is not None:
        return UserFacingError("control_base_none", checkpoint=spoken(checkpoint.name))
    assert kind is not None
    there = [each.name for each in KINDS if any(fits_kind(fact, each) for fact in fitting)]
    install = install_of(kind, checkpoint)
    if install is None:
        return UserFacingError("control_type_none", type=kind.name, there=", ".join(there) or "–")
    return UserFacingError("control_type_missing", type=kind.name, install=install, there=", ".join(there) or "–")


def _misfit(found: ModelFact, checkpoint: ModelFact | None, fitting: Sequence[str]) -> UserFacingError:
    kind = kind_of_model(found.name)
    same = [name for name in fitting if kind is not None and kind.model.search(name)]
    if not fitting or checkpoint is None:
        return UserFacingError("control_base_none", checkpoint=spoken(checkpoint.name if checkpoint else ""))
    return UserFacingError(
        "control_base",
        name=spoken(found.name),
        checkpoint=spoken(checkpoint.name),
        fitting=", ".join(map(spoken, [*dict.fromkeys((*same, *fitting))][:_NAMED])),
    )
