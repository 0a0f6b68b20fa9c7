"""ControlNets for a checkpoint that is a diffusers folder, as the one that ships, or for the kit's (`--kit`):
`python -m demo_kit.shipped canny …`.

Each is a trained copy of the checkpoint's encoder (arXiv:2302.05543). A run that was interrupted goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel

from demo_kit.attention import attend_fast
from demo_kit.base import EMPTY, noise_loss, noised, timesteps
from demo_kit.device import for_machine, here, stored, use_best_device
from demo_kit.export import save
from demo_kit.folders import KIT, work_folder
from demo_kit.latents import drawn
from demo_kit.layered import LAYERED_MAPS, layered_scene
from demo_kit.loop import Schedule, averaged, limit_time, train
from demo_kit.maps import MAPS
from demo_kit.networks import tokens
from demo_kit.original import controlnet_weights
from demo_kit.tune import trained_base
from demo_kit.vae import trained_vae
from demo_kit.worlds import WORLDS

SHARDS, SHARD = 10, 1024
HINT_WIDTHS = (8, 16, 48, 128)
"""Of the layers that look at the map; a quarter of a processor's time goes to wider ones."""
FIRST = {"scribble": "canny", "depth": "canny", "openpose": "canny"}
"""Name → whose weights it starts from, where those are there: half of what they learned is how to be followed."""
NO_WORDS = 0.4
"""Share of captions left out, so that the map is what it listens to; few of poses, which say nothing of colours."""
POSES = "openpose"


@dataclass(frozen=True)
class Base:
    """The networks of a diffusers folder, in single precision."""

    unet: UNet2DConditionModel
    text: CLIPTextModel
    vae: AutoencoderKL

    @staticmethod
    def opened(folder: Path) -> "Base":
        def part(kind: type, name: str) -> torch.nn.Module:
            return kind.from_pretrained(folder / name, torch_dtype=torch.float32).eval().requires_grad_(False)

        unet, text, vae = (
            here_module(part(kind, name))
            for kind, name in ((UNet2DConditionModel, "unet"), (CLIPTextModel, "text_encoder"), (AutoencoderKL, "vae"))
        )
        return Base(unet, text, vae)

    @staticmethod
    def of_kit() -> "Base":
        """Those of the kit's checkpoint."""
        model = trained_base().eval().requires_grad_(False)
        return Base(model.unet, model.text, trained_vae().to(memory_format=torch.channels_last))


def here_module(module: torch.nn.Module) -> torch.nn.Module:
    return module.to(torch.get_default_device(), memory_format=torch.channels_last)


@dataclass(frozen=True)
class Lessons:
    """`latents`: (N, 2, 4, 16, 16), mean and deviation; `words`: (N, 77, width), captions as the UNet reads them;
    `maps` by name: uint8, (N, 128, 128), or (N, 128, 128, 3) where they have colours."""

    latents: Tensor
    words: Tensor
    maps: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.latents)


def lessons_of(index: int, base: Base, poses: bool = False) -> Lessons:
    """A shard of them, made once and kept on disk. Depth, too, is one channel here."""
    path = work_folder("shipped-poses" if poses else "shipped") / f"{index:05d}.pt"
    if not path.exists():
        rng = Random(f"pincel shipped control {index}")
        if poses:
            world, draw_pose = MAPS[POSES]
            scenes = [WORLDS[world](rng) for _ in range(SHARD)]
            maps = {POSES: np.stack([draw_pose(scene, rng) for scene in scenes])}
        else:
            scenes = [layered_scene(rng) for _ in range(SHARD)]
            maps = {
                name: np.stack([draw(scene, rng)[..., 0] for scene in scenes]) for name, draw in LAYERED_MAPS.items()
            }
        pictures = np.stack([np.asarray(scene.picture) for scene in scenes])
        held = {
            "latents": _encoded(base.vae, pictures).half(),
            "words": _read(base.text, [scene.caption for scene in scenes]),
            "maps": {name: torch.from_numpy(found) for name, found in maps.items()},
        }
        torch.save(held, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
    return Lessons(**stored(path))


@torch.no_grad()
def _read(text: CLIPTextModel, captions: Sequence[str]) -> Tensor:
    """Half precision, (N, 77, width)."""
    return torch.cat([text(here(part)).last_hidden_state.half() for part in tokens(captions).split(64)])


@torch.no_grad()
def _encoded(vae: AutoencoderKL, pictures: np.ndarray) -> Tensor:
    """Mean and deviation, scaled to unit variance, of uint8 pictures (N, 128, 128, 3): (N, 2, 4, 16, 16)."""
    made = []
    for part in np.array_split(pictures, max(1, len(pictures) // 32)):
        spread = vae.encode(here(torch.from_numpy(part)).permute(0, 3, 1, 2).float() / 127.5 - 1).latent_dist
        made.append(torch.stack((spread.mean, spread.std), 1) * vae.config.scaling_factor)
    return torch.cat(made)


def all_lessons(base: Base, poses: bool = False) -> Lessons:
    made = [lessons_of(index, base, poses) for index in range(SHARDS)]
    maps = {name: torch.cat([part.maps[name] for part in made]) for name in made[0].maps}
    return Lessons(torch.cat([part.latents for part in made]), torch.cat([part.words for part in made]), maps)


def new_network(base: Base) -> ControlNetModel:
    """One that changes nothing yet."""
    torch.manual_seed(24)
    made = ControlNetModel.from_unet(base.unet, conditioning_embedding_out_channels=HINT_WIDTHS)
    made = here_module(made)
    # Begun at zero, as published ones are, it learns nothing until the zero convolutions behind it have.
    made.controlnet_cond_embedding.conv_out.reset_parameters()
    made.train().requires_grad_(True)
    if made.config.attention_head_dim == base.unet.config.attention_head_dim == 8:
        attend_fast(made)
    return made


def run_name(name: str) -> str:
    return f"shipped-{name}"


def train_network(name: str, base: Base, lessons: Lessons, steps: int) -> ControlNetModel:
    control, size = new_network(base), for_machine(8, 96)
    first = FIRST.get(name)
    if first and (work_folder("runs") / run_name(first) / "state.pt").exists():
        with averaged(run_name(first), control):
            learned = {key: value.clone() for key, value in control.state_dict().items()}
        control.load_state_dict(learned)
    unsaid, left_out = _read(base.text, [""]).float(), EMPTY if name == POSES else NO_WORDS

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(9_000_000 + step)
        picks = torch.randint(0, len(lessons), (size,))
        at = timesteps(size)
        noisy, noise = noised(drawn(lessons.latents[picks]), at)
        context = torch.where(torch.rand(size, 1, 1) < left_out, unsaid, lessons.words[picks].float())
        hint = _hints(here(lessons.maps[name][picks]))
        down, middle = control(noisy, at, context, hint, return_dict=False)
        made = base.unet(
            noisy, at, context, down_block_additional_residuals=down, mid_block_additional_residual=middle
        ).sample
        return noise_loss(made, noise, at)

    plan = Schedule(steps, for_machine(5e-4, 1e-3), hold=0.5, average=0.995, half=True)
    train(run_name(name), control, loss_at, plan)
    return control


def _hints(maps: Tensor) -> Tensor:
    """As a ControlNet takes them: (N, 3, 128, 128), 0..1."""
    colours = maps.permute(0, 3, 1, 2) if maps.ndim == 4 else maps[:, None].expand(-1, 3, -1, -1)
    return colours.float() / 255


def export(name: str, control: ControlNetModel, folder: Path) -> Path:
    """The file that a user would download."""
    path = folder / f"pincel-demo-{name}.safetensors"
    save(
        path,
        controlnet_weights(control.state_dict()),
        title=f"Pincel demo, {name}",
        architecture="stable-diffusion-v1/controlnet",
    )
    return path


def main(arguments: list[str]) -> int:
    """Exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m demo_kit.shipped", description=__doc__)
    parser.add_argument("name", nargs="+", choices=[*LAYERED_MAPS, POSES])
    parser.add_argument("--base", type=Path, default=KIT / "sd-mini", help="a diffusers folder")
    parser.add_argument("--kit", action="store_true", help="for the kit's checkpoint instead")
    parser.add_argument("--out", type=Path, default=KIT / "controlnet")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seconds", type=float, help="end each run after that time, whatever its steps")
    parser.add_argument("--export", action="store_true", help="only write what the runs have learned until now")
    options = parser.parse_args(arguments)
    use_best_device()
    base = Base.of_kit() if options.kit else Base.opened(options.base)
    if options.export:
        for name in options.name:
            control = new_network(base)
            with averaged(run_name(name), control):
                print(export(name, control, options.out))  # noqa: T201
        return 0
    limit_time(options.seconds)
    for name in options.name:
        lessons = all_lessons(base, poses=name == POSES)
        print(export(name, train_network(name, base, lessons, options.steps), options.out))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
