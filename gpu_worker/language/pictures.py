"""One picture of a request, as a request of its own: what is drawn apart, varied, enlarged, or drawn again."""

from __future__ import annotations

from typing import TypeVar

from gpu_worker.protocol.specs import SEED_MAX, Img2Img, JobSpec, Txt2Img

__all__ = ["picture_spec"]

Spec = TypeVar("Spec", Txt2Img, Img2Img, JobSpec)


def picture_spec(spec: Spec, index: int) -> Spec:
    """The request that draws picture `index` (from 0) of `spec`'s job alone: the same seeds and its own texts.

    Without variations the seed counts up; with them the seed stays and the last variation's seed counts up
    (behaviours §6). The template stays as a record, but nothing is drawn from it any more. Raises ValueError for an
    index the job does not have.
    """
    if not 0 <= index < spec.count:
        raise ValueError(f"picture {index} of a job of {spec.count}")
    update: dict[str, object] = {"count": 1}
    if spec.texts:
        own = spec.texts[index]
        update |= {"prompt": own.prompt, "negative_prompt": own.negative_prompt, "texts": ()}
    if spec.template is not None:
        update["template"] = spec.template.model_copy(update={"combinatorial": False})
    if spec.variations:
        *path, last = spec.variations
        update["variations"] = (*path, last.model_copy(update={"seed": _moved(last.seed, index)}))
    else:
        update["seed"] = _moved(spec.seed, index)
    return spec.model_copy(update=update)


def _moved(seed: int, by: int) -> int:
    return min(seed + by, SEED_MAX)
