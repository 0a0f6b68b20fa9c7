"""What the smaller parts do, in figures: embedding, LoRAs, ControlNets, upscaler, inpainting."""

from collections.abc import Sequence
from random import Random

import cv2
import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DPMSolverMultistepScheduler,
    StableDiffusionControlNetPipeline,
)
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt

from demo_kit.judge import LARGE, nearest_things, sharpness
from demo_kit.maps import MAPS
from demo_kit.networks import Diffusion, tokenizer
from demo_kit.scenes import Scene, stream
from demo_kit.studio import Studio
from demo_kit.words import CHARACTER, COLOURS, OBJECTS
from demo_kit.worlds import WORLDS

__all__ = ["character_likeness", "control_agreement", "negative_gain", "style_distance"]

Pixels = NDArray[np.uint8]
FIRST_SEED = 6_000_000


def _prompts(count: int) -> list[str]:
    rng = Random("pincel demo more questions")
    return [f"{rng.choice(list(OBJECTS))}, {rng.choice(list(COLOURS))} background" for _ in range(count)]


def negative_gain(studio: Studio, embedding: str, count: int = 24) -> float:
    """Median ratio of sharpness with the embedding as the negative prompt to that without."""
    prompts, seeds = _prompts(count), list(range(FIRST_SEED, FIRST_SEED + count))
    with_it = studio.draw(prompts, seeds, negative_prompt=embedding)
    without = studio.draw(prompts, seeds)
    return float(np.median([sharpness(a) / sharpness(b) for a, b in zip(with_it, without, strict=True)]))


def character_likeness(studio: Studio, lora: str, weights: Sequence[float], count: int = 12) -> list[float]:
    """For each weight of the LoRA, the share of pictures in which its character is nearest to what is drawn."""
    shares = []
    for weight in weights:
        tag = f"<lora:{lora}:{weight}>, " if weight else ""
        prompts = [f"{tag}{CHARACTER}, {colour} background" for colour in list(COLOURS)[:count]]
        pictures = studio.draw(prompts, list(range(FIRST_SEED, FIRST_SEED + len(prompts))))
        shares.append(
            float(np.mean([nearest_things(p, *LARGE, others=(CHARACTER,))[0] == CHARACTER for p in pictures]))
        )
    return shares


def style_distance(studio: Studio, lora: str, weights: Sequence[float], count: int = 12) -> list[float]:
    """For each weight, the mean absolute difference, 0..255, to the pictures without the LoRA."""
    prompts, seeds = _prompts(count), list(range(FIRST_SEED, FIRST_SEED + count))
    plain = np.stack(studio.draw(prompts, seeds)).astype(np.float32)
    tags = [f"<lora:{lora}:{weight}>" for weight in weights]
    made = [np.stack(studio.draw([f"{prompt} {tag}" for prompt in prompts], seeds)) for tag in tags]
    return [float(np.abs(pictures - plain).mean()) for pictures in made]


def control_agreement(
    name: str, model: Diffusion, vae: AutoencoderKL, control: ControlNetModel, count: int = 16
) -> tuple[float, float]:
    """How far, in pixels, outlines of drawn pictures are from those of the scenes whose maps they follow: with the
    ControlNet, and without it (at strength 0). The prompt names what the scene shows."""
    pipeline = StableDiffusionControlNetPipeline(
        vae=vae, text_encoder=model.text, tokenizer=tokenizer(), unet=model.unet, controlnet=control,
        scheduler=DPMSolverMultistepScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", use_karras_sigmas=True
        ),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    world, draw = MAPS[name]
    rng = stream(95_000)
    scenes = [WORLDS[world](rng) for _ in range(count)]
    maps = [Image.fromarray(draw(scene, rng)) for scene in scenes]
    found = []
    for strength in (1.0, 0.0):
        made = pipeline(
            [scene.caption for scene in scenes], image=maps, num_inference_steps=20, guidance_scale=5.0,
            controlnet_conditioning_scale=strength, output_type="np", height=128, width=128,
            generator=[torch.Generator().manual_seed(FIRST_SEED + place) for place in range(count)],
        ).images  # fmt: skip
        pictures = (np.asarray(made) * 255).round().astype(np.uint8)
        found.append(float(np.median([_outline_distance(s, p) for s, p in zip(scenes, pictures, strict=True)])))
    return found[0], found[1]


def _outline_distance(scene: Scene, picture: Pixels) -> float:
    """Mean distance, both ways, between the outlines of the scene's things and the picture's edges."""
    outline = cv2.morphologyEx(np.asarray(scene.cover), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 100
    edges = cv2.Canny(cv2.GaussianBlur(picture, (0, 0), 1.0), 50, 120) > 0
    if not edges.any():
        return 64.0
    to_edges, to_outline = distance_transform_edt(~edges), distance_transform_edt(~outline)
    outside = edges & (np.asarray(scene.cover) < 128)  # inner details of a thing are no outline
    return float(to_edges[outline].mean() + (to_outline[outside].mean() if outside.any() else 0.0)) / 2
