"""What a training is refused or ended for: EngineError, whose message is a sentence with the next step, and whose
detail has its `reason` and the values in it."""

from __future__ import annotations

from gpu_worker.engine.errors import EngineError
from gpu_worker.language.training.advice import memory_setting
from gpu_worker.protocol.messages import FailureKind
from gpu_worker.protocol.specs import Train

__all__ = ["REASONS", "out_of_memory", "refusal"]

_SENTENCES: dict[str, tuple[FailureKind, str]] = {
    "loss_not_finite": (
        "other",
        ("The loss stopped being a number at step {step}. Lower unet_lr and text_encoder_lr, for instance to a third, "
        "or take mixed_precision bf16 instead of fp16, and begin anew."),
    ),
    "no_8bit": (
        "bad_input",
        ("AdamW8bit needs an NVIDIA card and the package bitsandbytes, and this worker lacks one of them. Take AdamW, "
        "which learns the same and needs a little more memory, or install bitsandbytes."),
    ),
    "base_not_trainable": (
        "bad_input",
        ("{checkpoint} is an inpainting, instruction or refiner checkpoint, and LoRAs are not trained on those here. "
        "Choose the ordinary checkpoint that it was made from."),
    ),
    "picture_too_narrow": (
        "bad_input",
        ("Picture {number} of {folder} has {width} x {height} pixels, which leaves nothing in buckets of "
        "{bucket_reso_steps}. Take it out, or turn bucket_no_upscale off."),
    ),
    "other_training": (
        "bad_input",
        ("The saved state in this folder belongs to another training. Give this one a folder of its own, or delete "
        "the state."),
    ),
    "no_part_trains": (
        "bad_input",
        "No module of {checkpoint} can be trained with these settings. Leave network_train_text_encoder_only out.",
    ),
    "base_changed": (
        "bad_input",
        "The checkpoint, or its VAE, is another file now than when the training began. Start a new training.",
    ),
    "in_use": ("other", "Another worker still holds this training. Wait a minute, and continue."),
    "picture_gone": ("other", "A picture of the data set is gone. Put it back, or take it out and begin anew."),
    "disk_full": ("disk_full", "There is no room to save at step {step}. Free some, and continue."),
}  # fmt: skip

REASONS = frozenset({*_SENTENCES, "training_memory"})
"""In the detail of errors whose message is a sentence for whoever trains."""


def refusal(reason: str, *, retryable: bool = False, **values: object) -> EngineError:
    kind, sentence = _SENTENCES[reason]
    return EngineError(kind, sentence.format(**values), {"reason": reason, **values}, retryable=retryable)


def out_of_memory(spec: Train) -> EngineError:
    """Names the setting that saves most for least."""
    rules = [dataset.rules for dataset in spec.datasets]
    advice = memory_setting(
        spec.parameters, max(rule.batch_size for rule in rules), max(max(rule.resolution) for rule in rules)
    )
    if advice is None:
        sentence = (
            "The training does not fit into memory, and no setting is left that would save some. Use a larger card."
        )
        return EngineError("oom", sentence, {"reason": "training_memory"})
    setting, value = advice
    sentence = f"The training does not fit into memory. Set {setting} to {value} and begin anew."
    return EngineError("oom", sentence, {"reason": "training_memory", "setting": setting, "value": value})
