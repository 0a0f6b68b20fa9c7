"""The whole engine on random checkpoints of every family, 20 steps, against solvers in float64 around the same network.

The reference shares the loaded UNet and text models with the engine and nothing else: it tokenises, encodes, guides and
solves by itself. Set PINCEL_FULL_SIZE=1 to run it on checkpoints of full size (many GB and many minutes).
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import test_sampling_solvers as solvers
import test_sampling_timesteps as timesteps
import torch
from solvers import Dice, Toy, apart

from gpu_worker.engine.denoise import Driver
from gpu_worker.engine.engine import Engine
from gpu_worker.engine.options import EngineOptions
from gpu_worker.engine.sampling.schedules import schedule_sigmas
from gpu_worker.engine.sampling.sigmas import SigmaTable
from gpu_worker.protocol.messages import PreviewWish
from gpu_worker.protocol.specs import Txt2Img

pytestmark = pytest.mark.slow

FULL = os.environ.get("PINCEL_FULL_SIZE") == "1"
HERE = Path(__file__).parent
DEMO = HERE.parents[1] / "data" / "demo"
KINDS = ("sd15", "sd21-v", "sdxl")
PROMPT, NEGATIVE, SCALE, SEED = "a red apple on a table", "blurry", 6.0, 3
CELLS, STEPS = 6, 20
CLOSE = 1e-4


class Silent:
    preview = PreviewWish(hz=0)

    def progress(self, phase, step, of, preview):
        pass

    def cancelled(self):
        return False


@pytest.fixture(scope="module", params=KINDS)
def drawn_with(request, tmp_path_factory):
    """(engine, name of the checkpoint, its kind)."""
    folder = tmp_path_factory.mktemp("fidelity") / "models"
    (folder / "checkpoints").mkdir(parents=True)
    out = folder / "checkpoints" / f"{request.param}.safetensors"
    size = [] if FULL else ["--small"]
    command = [sys.executable, HERE / "make_checkpoint.py", request.param, "--seed", "5", *size, "--out", out]
    subprocess.run(command, check=True)
    engine = Engine(models_dir=folder, demo_dir=DEMO, options=EngineOptions(device="cpu"))
    yield engine, out.stem
    engine.close()
    out.unlink()


class Model(Toy):
    """The checkpoint as the references see a model: noise estimates under guidance, in float64."""

    def __init__(self, checkpoint):
        super().__init__()
        self._checkpoint = checkpoint
        self._texts = [encoded(checkpoint, text) for text in (NEGATIVE, PROMPT)]

    @torch.no_grad()
    def output(self, x, timestep):
        without, with_prompt = (self._noise(x, timestep, *text) for text in self._texts)
        return without + SCALE * (with_prompt - without)

    def _noise(self, x, timestep, context, pooled):
        added = None
        if pooled is not None:
            side = CELLS * 8.0
            ids = torch.tensor([[side, side, 0, 0, side, side]]).expand(len(x), -1)
            added = {"text_embeds": pooled.expand(len(x), -1), "time_ids": ids}
        shown = torch.from_numpy(x).float()
        answer = self._checkpoint.unet(
            shown, torch.tensor(float(timestep)), context.expand(len(x), -1, -1), added_cond_kwargs=added
        ).sample.double().numpy()  # fmt: skip
        if self._checkpoint.prediction == "epsilon":
            return answer
        # v = alpha * eps - spread * x0 and x = alpha * x0 + spread * eps, solved for eps
        sigma = np.exp(np.interp(timestep, np.arange(1000), np.log(self.sigmas)))
        return (answer + sigma * x) / np.sqrt(1 + sigma**2)


def encoded(checkpoint, text):
    """(context, pooled) of a short text without weights, straight from the text models."""
    contexts, pooled = [], None
    for encoder in checkpoint.text_encoders:
        words = encoder.tokenizer(text, add_special_tokens=False).input_ids
        start, end = 49406, 49407
        fill = end if encoder.kind == "clip_l" else 0
        ids = torch.tensor([[start, *words, end, *[fill] * (75 - len(words))]])
        with torch.no_grad():
            answer = encoder.model(input_ids=ids, output_hidden_states=True)
        inner = getattr(encoder.model, "text_model", encoder.model)
        if checkpoint.family == "sd1":
            contexts.append(answer.last_hidden_state)
        elif checkpoint.family == "sd2":
            contexts.append(inner.final_layer_norm(answer.hidden_states[-2]))
        else:
            contexts.append(answer.hidden_states[-2])
            if encoder.kind == "clip_g":
                last = answer.last_hidden_state[0, 1 + len(words)]
                pooled = (encoder.model.text_projection.weight @ last)[None]
    return torch.cat(contexts, -1), pooled


@pytest.fixture
def final_latent(monkeypatch):
    seen = []
    decoded = Driver._decoded

    def watched(driver, call):
        seen.append(call.latents.double().numpy())
        return decoded(driver, call)

    monkeypatch.setattr(Driver, "_decoded", watched)
    return lambda: seen.pop()


def draw(engine, name, sampler, schedule="Automatic"):
    spec = Txt2Img(
        prompt=PROMPT, negative_prompt=NEGATIVE, checkpoint=name, width=64, height=64, steps=STEPS, cfg_scale=SCALE,
        sampler=sampler, schedule=schedule, seed=SEED, noise_source="CPU",
    ).model_copy(update={"width": CELLS * 8, "height": CELLS * 8})  # fmt: skip
    engine.draw(spec, Silent())


class OneSeed(Dice):
    def __init__(self):
        super().__init__()
        self.first = self.first[:1]

    def next(self):
        return super().next()[:1]


@pytest.mark.parametrize("sampler", ["Euler", "Heun", "LMS", "DPM2", "DPM++ 2M", "Euler a", "DPM++ 2S a", "Restart"])
def test_samplers_on_sigmas(drawn_with, final_latent, monkeypatch, sampler):
    engine, name = drawn_with
    draw(engine, name, sampler)
    got = final_latent()
    with engine.builder.cache.borrow(engine.builder.finder.find("checkpoint", name)) as checkpoint:
        monkeypatch.setattr(solvers, "TOY", Model(checkpoint))
        table = SigmaTable.scaled_linear()
        sigmas = schedule_sigmas(sampler, "Automatic", STEPS, table, discard_penultimate=sampler == "DPM2")
        dice = OneSeed()
        expected = solvers.REFERENCES[sampler](dice.first * sigmas[0], sigmas, dice)
    assert apart(got, expected) < CLOSE


def test_ddim_on_timesteps(drawn_with, final_latent, monkeypatch):
    engine, name = drawn_with
    draw(engine, name, "DDIM")
    got = final_latent()
    with engine.builder.cache.borrow(engine.builder.finder.find("checkpoint", name)) as checkpoint:
        monkeypatch.setattr(timesteps, "TOY", Model(checkpoint))
        walked = list(range(1, 1000, 1000 // STEPS))[::-1]
        expected = timesteps.ddim(OneSeed().first, walked, None)
    assert apart(got, expected) < CLOSE
