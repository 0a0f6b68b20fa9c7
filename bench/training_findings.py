"""`python -m bench.training_findings FOLDER`: what the diagnosis of a training measures, on real trainings of the demo
checkpoint that go well and badly. The thresholds of bot/domain/training/diagnosis.py come from its table.

Twenty minutes on two cores; what is in the folder already is not made again.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import random
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

import gpu_worker.engine  # noqa: F401 (its environment must stand before torch is imported)
from bot.domain.training.measures import Measured, difference, diversity, measured, nearest
from demo_kit.backgrounds import background
from gpu_worker.engine.engine import Engine
from gpu_worker.engine.options import EngineOptions
from gpu_worker.language.models import scan_model_files
from gpu_worker.language.training.parameters import DatasetRules, Parameters, SubsetRules
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import ImageRef, Train, TrainDataset, TrainImage, TrainSubset, Txt2Img
from gpu_worker.training.hooks import SavedFile, TrainingProgress, Wish
from gpu_worker.training.trainer import Base, Models, train

__all__ = ["main"]

DEMO = Path(__file__).resolve().parent.parent / "data" / "demo"
BEHIND = ("red", "blue", "green", "yellow", "purple", "orange", "white", "black")
PROMPTS = ("zorb, blue background", "zorb, yellow background", "zorb at the beach")
SEEDS = (5, 6)


@dataclass(frozen=True)
class Case:
    name: str
    steps: int
    rate: float
    dim: int = 8
    many: bool = True
    """Fifteen pictures on eight backgrounds, captioned; else five on one, with the trigger word alone."""
    saves: int = 6
    more: dict[str, Any] = field(default_factory=dict[str, Any])


CASES = (
    Case("slow", 60, 1e-4, saves=3),
    Case("good", 320, 2e-3, saves=8),
    Case("high rate", 120, 2e-2, saves=4),
    Case("one background", 200, 2e-3, many=False, saves=4),
    Case("far too long", 500, 5e-3, dim=32, saves=5),
    Case("one background, far too long", 400, 5e-3, dim=32, many=False, saves=4),
)


class _Training:
    """Hooks of a training."""

    def __init__(self, pictures: dict[str, bytes]) -> None:
        self._pictures = pictures
        self.losses: list[float] = []

    def wish(self) -> Wish:
        return "go on"

    def preparing(self, done: int, of: int) -> None: ...

    def progress(self, progress: TrainingProgress) -> None:
        self.losses.append(progress.loss)

    def saved(self, file: SavedFile) -> None: ...

    def open_image(self, ref: ImageRef) -> bytes:
        return self._pictures[ref.ref]


class _Drawing:
    """Hooks of a picture."""

    preview = PreviewWish(hz=0)

    def progress(self, phase: str, step: int, of: int, preview: bytes | None) -> None: ...

    def cancelled(self) -> bool:
        return False

    def open_image(self, ref: ImageRef) -> bytes:
        raise LookupError(ref.ref)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.training_findings")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    loras = options.folder / "models" / "loras"
    loras.mkdir(parents=True, exist_ok=True)
    cases = [case for case in CASES if case.name == options.only or not options.only]
    for case in cases:
        stem = case.name.replace(", ", "_").replace(" ", "_")
        if not (loras / f"{stem}.safetensors").exists():
            hooks = _train(case, stem, loras)
            (options.folder / f"{stem}.losses").write_text("\n".join(f"{loss:.6f}" for loss in hooks.losses))
        _measure(case, stem, options.folder)
    return 0


# --- training -------------------------------------------------------------------------------------------------------


def _pictures(case: Case) -> list[tuple[str, str, bytes]]:
    """Name, caption, file. A magenta disc with a square eye and a yellow feeler: nothing the checkpoint has a word
    for."""
    rng = random.Random(7)
    found: list[tuple[str, str, bytes]] = []
    for number in range(15 if case.many else 5):
        behind = BEHIND[number % len(BEHIND)] if case.many else "green"
        image = background(behind, rng).convert("RGB")
        draw = ImageDraw.Draw(image)
        x, y, size = 64 + rng.randint(-10, 10), 68 + rng.randint(-8, 8), rng.randint(34, 42)
        draw.line((x, y - size, x + 12, y - size - 18), fill=(250, 220, 30), width=6)
        draw.ellipse((x - size, y - size, x + size, y + size), fill=(240, 30, 190))
        draw.rectangle((x - 14, y - 16, x + 14, y + 10), fill=(20, 20, 30))
        target = io.BytesIO()
        image.save(target, "PNG")
        found.append((f"p{number}", f"zorb, {behind} background" if case.many else "zorb", target.getvalue()))
    return found


def _train(case: Case, stem: str, folder: Path) -> _Training:
    given = _pictures(case)
    hooks = _Training({name: data for name, _, data in given})
    images = tuple(
        TrainImage(
            image=ImageRef(
                ref=name, sha256=hashlib.sha256(data).hexdigest(), mime="image/png", size_bytes=len(data)
            ),
            caption=caption,
        )
        for name, caption, data in given
    )  # fmt: skip
    values: dict[str, Any] = {
        "network_dim": case.dim, "network_alpha": case.dim / 2, "unet_lr": case.rate, "text_encoder_lr": case.rate / 2,
        "max_train_steps": case.steps, "save_every_n_steps": case.steps // case.saves, "seed": 3, "cache_latents": True,
        "lr_scheduler": "constant",
    }  # fmt: skip
    spec = Train(
        checkpoint="pincel-demo",
        output_name=stem,
        parameters=Parameters.model_validate(values | case.more),
        datasets=(
            TrainDataset(
                rules=DatasetRules(resolution=(128, 128), batch_size=2),
                subsets=(TrainSubset(name="10_zorb", num_repeats=10, images=images, rules=SubsetRules()),),
            ),
        ),
    )
    found = scan_model_files(Path("/nowhere"), DEMO)
    base = next(file for file in found if file.fact.kind == "checkpoint" and file.fact.name == "pincel-demo")
    train(spec, Models(base, vocabulary=DEMO / "sd-mini" / "tokenizer"), Base(), hooks, folder, device="cpu")
    return hooks


# --- measuring ------------------------------------------------------------------------------------------------------


def _measure(case: Case, stem: str, folder: Path) -> None:
    engine = Engine(models_dir=folder / "models", demo_dir=DEMO, options=EngineOptions(device="cpu"))
    own = [measured(Image.open(io.BytesIO(data))) for _, _, data in _pictures(case)]
    every = case.steps // case.saves
    names = [(n * every, f"{stem}-step{n * every:08}") for n in range(1, case.saves)] + [(case.steps, stem)]
    try:
        base = _drawn(engine, folder / "pictures" / "base", "")
        print(f"\n{case.name}: {case}")
        print(f"base: diversity {diversity(base):.3f}, nearest {_nearest(base, own):.3f}")
        for step, name in names:
            there = _drawn(engine, folder / "pictures" / name, f"<lora:{name}:1>")
            half = _drawn(engine, folder / "pictures" / f"{name}-0.6", f"<lora:{name}:0.6>")
            print(f"{step:5} steps, {_row(base, there, own)} | 0.6: {_row(base, half, own)}")
    finally:
        engine.close()


def _row(base: list[Measured], there: list[Measured], own: list[Measured]) -> str:
    effect = statistics.fmean(difference(one, other) for one, other in zip(base, there, strict=True))
    seeds = len(SEEDS)
    mean = {
        key: statistics.fmean(getattr(one, key) for one in there) / statistics.fmean(getattr(one, key) for one in base)
        for key in ("saturation", "contrast", "sharpness")
    }
    own_mean = {
        key: statistics.fmean(getattr(one, key) for one in there) / statistics.fmean(getattr(one, key) for one in own)
        for key in mean
    }
    spread = statistics.fmean(diversity(there[at::seeds]) for at in range(seeds))
    before = statistics.fmean(diversity(base[at::seeds]) for at in range(seeds))
    return f"effect {effect:.3f}, spread {spread / before:.2f}, nearest {_nearest(there, own):.3f}, " + ", ".join(
        f"{key[:4]} {value:.2f} ({own_mean[key]:.2f})" for key, value in mean.items()
    )


def _nearest(pictures: list[Measured], own: list[Measured]) -> float:
    return statistics.fmean(nearest(one, own) or 0 for one in pictures)


def _drawn(engine: Engine, folder: Path, tag: str) -> list[Measured]:
    """By prompt, then by seed."""
    folder.mkdir(parents=True, exist_ok=True)
    found: list[Measured] = []
    for at, prompt in enumerate(PROMPTS):
        for seed in SEEDS:
            file = folder / f"{at}-{seed}.png"
            if not file.exists():
                spec = Txt2Img(
                    prompt=f"{prompt}{tag}", checkpoint="pincel-demo", width=128, height=128, steps=12, cfg_scale=5.0,
                    sampler="DPM++ 2M", schedule="Karras", seed=seed,
                )  # fmt: skip
                file.write_bytes(engine.draw(spec, _Drawing())[0].png)
            with Image.open(file) as picture:
                found.append(measured(picture))
    return found


if __name__ == "__main__":
    sys.exit(main())
