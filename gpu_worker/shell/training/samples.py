"""Sample prompts: read with sd-scripts' options and file names (behaviours §24.5), drawn by the engine.

It draws from a library of its own beside the training's state, which holds links to the base and to the file that was
just saved: so that nothing of the real library has the same name.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gpu_worker.engine.engine import DrawingCancelled, Engine, EngineError
from gpu_worker.engine.options import EngineOptions
from gpu_worker.language.models import ModelFile
from gpu_worker.language.names import resolve_sampler
from gpu_worker.language.training.samples import SampleLine, read_sample_lines
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import ImageRef, Txt2Img
from gpu_worker.shell.errors import BadInputError
from gpu_worker.shell.sentences import sentence

__all__ = ["Gallery", "Sample", "link_or_copy", "read_samples"]

_SAMPLERS = {
    "ddim": "DDIM", "pndm": "PLMS", "lms": "LMS", "euler": "Euler", "euler_a": "Euler a", "heun": "Heun",
    "dpm_2": "DPM2", "dpm_2_a": "DPM2 a", "dpmsolver": "DPM++ 2M", "dpmsolver++": "DPM++ 2M", "dpmsingle": "DPM++ 2S a",
}  # fmt: skip
"""sd-scripts' names."""
_SEEDS = 2**32


@dataclass(frozen=True)
class Sample:
    """`seed` is None where the line says none: it is drawn anew each time, and not part of the file's name."""

    spec: Txt2Img
    seed: int | None


def read_samples(text: str, base: ModelFile, clip_skip: int | None, sampler: str | None) -> tuple[Sample, ...]:
    """Of a file of sample prompts; `sampler` is that of lines which name none. Raises BadInputError."""
    lines = read_sample_lines(text)
    if not lines:
        raise BadInputError("The sample prompts are empty. Write one prompt a line, or leave sample_prompts out.")
    return tuple(_sample(number, line, base, clip_skip, sampler) for number, line in enumerate(lines, 1))


def _sample(number: int, line: SampleLine, base: ModelFile, clip_skip: int | None, sampler: str | None) -> Sample:
    wanted = line.sample_sampler or sampler or "ddim"
    choice = resolve_sampler(_SAMPLERS.get(wanted.removeprefix("k_").lower(), wanted))
    if choice is None:
        raise BadInputError(f"Sample prompt {number}: there is no sampler {wanted[:60]}. Take ddim, euler or euler_a.")
    side = base.fact.native_px or 512
    values: dict[str, Any] = {
        "prompt": line.prompt,
        "negative_prompt": line.negative_prompt or "",
        "width": line.width or side,
        "height": line.height or side,
        "steps": line.sample_steps or 30,
        "cfg_scale": 7.5 if line.scale is None else line.scale,
        "sampler": choice.sampler,
        "schedule": choice.schedule,
        "checkpoint": base.fact.name,
        "seed": line.seed or 0,
        "clip_skip": clip_skip or 1,
    }
    try:
        return Sample(Txt2Img.model_validate(values), line.seed)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise BadInputError(f"Sample prompt {number}: {place}: {first['msg']}. Change it in the file.") from error


def link_or_copy(source: Path, target: Path) -> None:
    """The same content at `target`, without a second copy where the system allows it. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    for way in (target.hardlink_to, target.symlink_to):
        with contextlib.suppress(OSError):
            way(source.resolve())
            return
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


@dataclass(frozen=True)
class Gallery:
    samples: Sequence[Sample]
    base: ModelFile
    vae: ModelFile | None
    library: Path
    """Of its own, removed by whoever made it."""
    target: Path
    """Where pictures go."""
    name: str | None
    demo_dir: Path
    options: EngineOptions

    def draw(self, mark: str, lora: Path | None, stopped: Callable[[], bool]) -> list[Path]:
        """One picture a prompt, with the network in `lora` at weight 1. Raises DrawingCancelled when `stopped`,
        OSError, and BadInputError with the sentence of what could not be drawn."""
        shown: list[Path] = []
        self.target.mkdir(parents=True, exist_ok=True)
        self._lay_out(lora)
        engine = Engine(models_dir=self.library, demo_dir=self.demo_dir, options=self.options)
        try:
            names = self._names(engine)
            for number, sample in enumerate(self.samples):
                seed = random.randrange(_SEEDS) if sample.seed is None else sample.seed
                prompt = sample.spec.prompt + (f" <lora:{lora.stem}:1>" if lora else "")
                spec = sample.spec.model_copy(update={**names, "seed": seed, "prompt": prompt})
                (drawn,) = engine.draw(spec, _Hooks(stopped))
                path = self.target / self._file_name(mark, number, sample.seed)
                path.write_bytes(drawn.png)
                shown.append(path)
        except EngineError as error:
            raise BadInputError(sentence(error)) from error
        finally:
            engine.close()
        return shown

    def _lay_out(self, lora: Path | None) -> None:
        shutil.rmtree(self.library / "loras", ignore_errors=True)
        if lora is not None:
            link_or_copy(lora, self.library / "loras" / lora.name)
        for kind, file in (("checkpoints", self.base), ("vae", self.vae)):
            if file is None or file.fact.shipped:
                continue
            place = self.library / kind / file.path.name
            if not place.exists():
                link_or_copy(file.path, place)

    def _names(self, engine: Engine) -> dict[str, str]:
        """What base and VAE are called in this library."""
        named = {"checkpoint": self.base, "vae": self.vae}
        names = {kind: file.fact.name for kind, file in named.items() if file is not None and file.fact.shipped}
        for fact in engine.facts():
            if not fact.shipped and named.get(fact.kind) is not None:
                names.setdefault(fact.kind, fact.name)
        return names

    def _file_name(self, mark: str, number: int, seed: int | None) -> str:
        when = time.strftime("%Y%m%d%H%M%S")
        return (
            f"{f'{self.name}_' if self.name else ''}{mark}_{number:02d}_{when}{'' if seed is None else f'_{seed}'}.png"
        )


@dataclasses.dataclass(frozen=True)
class _Hooks:
    stopped: Callable[[], bool]
    preview = PreviewWish(hz=0)

    def progress(self, phase: str, step: int, of: int, preview: bytes | None) -> None:
        pass

    def cancelled(self) -> bool:
        return self.stopped()

    def open_image(self, ref: ImageRef) -> bytes:
        raise DrawingCancelled  # no sample has a picture to start from
