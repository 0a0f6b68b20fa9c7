"""Finding the model a user names among those the worker reports, or saying which they may have meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rapidfuzz import fuzz, process

from bot.domain.mentions import spoken
from bot.errors import UserFacingError
from gpu_worker.language.models import default_checkpoint
from gpu_worker.protocol.messages import ModelFact, ModelKind

__all__ = [
    "AUTOMATIC_VAE", "DISABLED", "FACE_MODELS", "LATENT_UPSCALERS", "NONE", "UPSCALERS", "base_family", "check_loras",
    "choose_face_model", "closest", "face_models", "find_checkpoint", "find_lora", "find_partner", "find_upscaler",
    "find_vae", "names_of", "share_latents", "suits", "unknown_lora", "useless_embeddings",
]  # fmt: skip

_SUGGESTIONS = 3
DISABLED = "disabled"
"""The `problem` of a model that works and that nobody may use where the request comes from."""
AUTOMATIC_VAE = "Automatic"
NONE = "None"
LATENT_UPSCALERS = (
    "Latent", "Latent (antialiased)", "Latent (bicubic)", "Latent (bicubic antialiased)", "Latent (nearest)",
    "Latent (nearest-exact)",
)  # fmt: skip
"""Behaviours §8; of the second pass alone, for they enlarge the latent and never see a picture."""
UPSCALERS = (NONE, "Lanczos", "Nearest", *LATENT_UPSCALERS)
"""Those that need no file."""
FACE_MODELS = ("CodeFormer", "GFPGAN")
"""A file's name begins with that of its model; both need one that finds the faces, too."""
_FACE_FINDER = "detection_resnet50"
_SUFFIX = re.compile(r"(?:\.vae)?\.(?:safetensors|ckpt|pt|pth|bin)$", re.IGNORECASE)
_HASH = re.compile(r"\s*\[[0-9a-f]{6,64}\]$", re.IGNORECASE)
_LATENT_SPACES = (frozenset({"sd1", "sd2"}), frozenset({"sdxl", "sdxl_refiner"}))
"""Families whose latents mean the same, so a VAE or a second checkpoint of the one serves the other."""


def closest(wanted: str, names: Iterable[str], limit: int = _SUGGESTIONS) -> list[str]:
    """The most similar names, best first; never empty where `names` is not."""
    pool = list(names)
    return [
        match[0] for match in process.extract(wanted, pool, scorer=fuzz.WRatio, processor=str.casefold, limit=limit)
    ]


def names_of(kind: ModelKind, facts: Sequence[ModelFact]) -> list[str]:
    """Usable ones only."""
    return [fact.name for fact in facts if fact.kind == kind and fact.problem is None]


def find_checkpoint(wanted: str | None, facts: Sequence[ModelFact]) -> ModelFact:
    """The named checkpoint; None finds the default. Names are pasted from elsewhere, so case, a folder, a suffix and a
    hash in brackets do not mind.

    Raises UserFacingError: `checkpoint_none`, `checkpoint_unknown`, `checkpoint_unusable`.
    """
    checkpoints = [fact for fact in facts if fact.kind == "checkpoint"]
    if wanted is None:
        wanted = default_checkpoint(tuple(facts))
        if wanted is None:
            raise UserFacingError("checkpoint_none")
    return _find("checkpoint", wanted, checkpoints)


def find_partner(wanted: str, checkpoint: ModelFact, facts: Sequence[ModelFact]) -> str:
    """A second checkpoint that goes on with the first one's latents (a refiner, or that of a second pass).

    Raises UserFacingError: those of `find_checkpoint`, `partner_family`.
    """
    partner = find_checkpoint(wanted, facts)
    if not share_latents(partner, checkpoint):
        raise UserFacingError("partner_family", name=spoken(partner.name), checkpoint=spoken(checkpoint.name))
    return partner.name


def find_lora(wanted: str, facts: Sequence[ModelFact]) -> ModelFact:
    """By its name or its alias. Raises UserFacingError: `lora_none`, `lora_unknown`, `lora_unusable`."""
    return _find("lora", wanted, [fact for fact in facts if fact.kind == "lora"])


def unknown_lora(wanted: str, facts: Sequence[ModelFact]) -> UserFacingError:
    """What is said of a LoRA that is not among `facts`: `lora_none`, `lora_unknown`."""
    return _unknown("lora", wanted, [fact for fact in facts if fact.kind == "lora"])


def check_loras(names: Iterable[str], checkpoint: ModelFact, facts: Sequence[ModelFact]) -> None:
    """Every LoRA a prompt names must be there under exactly that name or alias, and fit the checkpoint.

    Raises UserFacingError: those of `find_lora`, `lora_family`.
    """
    for name in names:
        fact = find_lora(name, facts)
        if name not in (fact.name, fact.alias):
            raise UserFacingError("lora_unknown", name=spoken(name), closest=spoken(fact.name))
        if fact.family and checkpoint.family and base_family(fact.family) != base_family(checkpoint.family):
            raise UserFacingError("lora_family", name=spoken(name), checkpoint=spoken(checkpoint.name))


def find_vae(wanted: str, checkpoint: ModelFact, facts: Sequence[ModelFact]) -> str:
    """`Automatic`, `None`, or a VAE file's name. Raises UserFacingError: `vae_none`, `vae_unknown`, `vae_unusable`,
    `vae_family`."""
    for word in (AUTOMATIC_VAE, NONE):
        if wanted.casefold() in (word.casefold(), word[:4].casefold()):
            return word
    fact = _find("vae", wanted, [fact for fact in facts if fact.kind == "vae"])
    if not share_latents(fact, checkpoint):
        raise UserFacingError("vae_family", name=spoken(fact.name), checkpoint=spoken(checkpoint.name))
    return fact.name


def find_upscaler(wanted: str, facts: Sequence[ModelFact], *, latent: bool = True) -> str:
    """One that needs no file, or an upscaler model; without `latent` none that enlarges latents.

    Raises UserFacingError: `upscaler_unknown`, `upscaler_unusable`.
    """
    builtin = [name for name in UPSCALERS if latent or name not in LATENT_UPSCALERS]
    for name in builtin:
        if name.casefold() == wanted.strip().casefold():
            return name
    models = [fact for fact in facts if fact.kind == "upscaler"]
    found = _match(wanted, models)
    if found is None:
        near = closest(wanted, [*names_of("upscaler", facts), *builtin])
        raise UserFacingError("upscaler_unknown", name=spoken(wanted), closest=", ".join(map(spoken, near)))
    _require_enabled(found)
    if found.problem is not None:
        raise UserFacingError("upscaler_unusable", name=spoken(found.name))
    return found.name


def face_models(facts: Sequence[ModelFact]) -> list[str]:
    """Those of FACE_MODELS that can restore faces here."""
    files = [name.casefold() for name in names_of("face", facts)]
    finds_faces = any(name.startswith(_FACE_FINDER) for name in files)
    return [model for model in FACE_MODELS if finds_faces and any(n.startswith(model.casefold()) for n in files)]


def choose_face_model(wanted: str, facts: Sequence[ModelFact]) -> str | None:
    """Which model restores faces: `on` takes CodeFormer, or else GFPGAN, whichever is there; `off` none.

    Raises UserFacingError: `face_unknown`, `face_none`, `face_missing`.
    """
    if wanted.casefold() in ("off", "none"):
        return None
    there = face_models(facts)
    if wanted.casefold() == "on":
        if not there:
            raise UserFacingError("face_none")
        return there[0]
    model = next((model for model in FACE_MODELS if model.casefold() == wanted.casefold()), None)
    if model is None:
        raise UserFacingError("face_unknown", name=spoken(wanted), choices=", ".join(FACE_MODELS))
    if model not in there:
        if there:
            raise UserFacingError("face_missing", name=model, other=there[0])
        raise UserFacingError("face_none")
    return model


def useless_embeddings(text: str, checkpoint: ModelFact, facts: Sequence[ModelFact]) -> list[str]:
    """Embeddings that a prompt names and that cannot work with this checkpoint: they stay plain words there."""
    words = {word.casefold() for word in re.findall(r"[^\s,()\[\]:|<>]+", text)}
    return [
        fact.name
        for fact in facts
        if fact.kind == "embedding" and fact.name.casefold() in words and (fact.problem or not suits(fact, checkpoint))
    ]


def base_family(family: str) -> str:
    """Families whose LoRAs and embeddings fit each other have one."""
    return "sdxl" if family.startswith("sdxl") else family


def share_latents(one: ModelFact, other: ModelFact) -> bool:
    """Whether latents of the one mean the same to the other, as far as is known."""
    if one.family is None or other.family is None:
        return True
    return any({one.family, other.family} <= space for space in _LATENT_SPACES) or one.family == other.family


def suits(fact: ModelFact, checkpoint: ModelFact) -> bool:
    """Whether a model does what it is for with that checkpoint, as far as is known."""
    if fact.context is not None and checkpoint.context is not None and fact.context != checkpoint.context:
        return False
    if fact.kind == "upscaler" or fact.family is None or checkpoint.family is None:
        return True
    if fact.kind == "vae":
        return share_latents(fact, checkpoint)
    return base_family(fact.family) == base_family(checkpoint.family)


def _match(wanted: str, models: Sequence[ModelFact]) -> ModelFact | None:
    """By name, else by alias, else by the only one that differs in case, folder, suffix or hash alone."""
    found = next((fact for fact in models if fact.name == wanted), None)
    found = found or next((fact for fact in models if fact.alias and fact.alias == wanted), None)
    if found is None:
        plain = _plain(wanted)
        alike = [fact for fact in models if fact.name.casefold() == wanted.strip().casefold()]
        alike = alike or [fact for fact in models if plain in (_plain(fact.name), _plain(fact.alias or ""))]
        found = alike[0] if len(alike) == 1 else None
    return found


def _plain(name: str) -> str:
    name = _HASH.sub("", name.strip()).replace("\\", "/").rpartition("/")[2]
    return _SUFFIX.sub("", name).casefold()


def _find(kind: ModelKind, wanted: str, models: Sequence[ModelFact]) -> ModelFact:
    found = _match(wanted, models)
    if found is None:
        raise _unknown(kind, wanted, models)
    _require_enabled(found)
    if found.problem is not None:
        raise UserFacingError(f"{kind}_unusable", name=spoken(found.name))
    return found


def _unknown(kind: ModelKind, wanted: str, models: Sequence[ModelFact]) -> UserFacingError:
    usable = [fact.name for fact in models if fact.problem is None]
    if not usable:
        return UserFacingError(f"{kind}_none")
    return UserFacingError(
        f"{kind}_unknown", name=spoken(wanted), closest=", ".join(spoken(name) for name in closest(wanted, usable))
    )


def _require_enabled(fact: ModelFact) -> None:
    if fact.problem == DISABLED:
        raise UserFacingError("model_disabled", name=spoken(fact.name))
