"""What is said before a training starts."""

from __future__ import annotations

from gpu_worker.language.models import ModelFile
from gpu_worker.language.training.config import Config
from gpu_worker.protocol.specs import Train
from gpu_worker.shell.training.plan import Plan

__all__ = ["summary"]


def summary(plan: Plan, base: ModelFile, config: Config) -> str:
    spec, length = plan.spec, plan.length
    given = spec.parameters
    unet, text = given.rates
    parts = [f"UNet at {unet:g}" if unet else "", f"text encoder at {text:g}" if text else ""]
    accumulated = (
        f" of {given.gradient_accumulation_steps} batches each" if given.gradient_accumulation_steps > 1 else ""
    )
    learns = (
        f"{given.algo}, rank {given.network_dim}, alpha {given.alpha:g}; {' and '.join(filter(None, parts))}; "
        f"{given.optimizer_type}, {given.lr_scheduler}"
    )
    steps = (
        f"{length.steps_per_epoch} an epoch{accumulated}, {length.epochs} epochs, {length.total_steps} steps; "
        f"seed {spec.seed}"
    )
    lines = [
        f"Base:     {spec.checkpoint} ({base.fact.family})",
        f"Network:  {learns}",
        *_pictures(spec),
        "Sizes:    " + ", ".join(f"{w} x {h}: {count}" for (w, h), count in sorted(plan.buckets.items())),
        f"Steps:    {steps}",
    ]
    if config.passed_over:
        lines.append(f"No effect here: {', '.join(config.passed_over)}")
    return "\n".join([*lines, *(f"Note: {note}" for note in plan.notes)])


def _pictures(spec: Train) -> list[str]:
    """A line a folder."""
    lines: list[str] = []
    for dataset in spec.datasets:
        rules = dataset.rules
        batch = f"batches of {rules.batch_size}" if rules.batch_size > 1 else "one at a time"
        for subset in dataset.subsets:
            kind = ", of the class" if subset.is_reg else ""
            count, times = len(subset.images), subset.num_repeats
            said = sum(image.caption is not None for image in subset.images)
            seen = f"{count} x {times} = {count * times}{kind}"
            lines.append(f"Pictures: {subset.name}: {seen}, {said} with a caption; {batch}")
    return lines
