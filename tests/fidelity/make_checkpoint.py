"""Makes checkpoints with random weights in the original key layout, by seed; nothing is downloaded.

    python tests/fidelity/make_checkpoint.py sd15|sd15-inpaint|sd15-pix2pix|sd21-v|sd21-base|sd21-inpaint|sdxl|
        sdxl-inpaint|sdxl-refiner [--small] [--seed 0] [--dtype fp16|bf16|fp32] --out FILE.safetensors|.ckpt

Full size has the keys and shapes of the published files; small has the same keys for fewer and narrower layers, and the
whole vocabulary. Every tensor depends on the seed and its own name alone. Norms are 1, biases 0, matrices keep the size
of what passes through; the last convolution is small, and its bias makes the v-prediction kind pass A1111's probe.
"""

from __future__ import annotations

import argparse
import json
import math
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch

WORDS = 49408
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
HEADER_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}


@dataclass(frozen=True)
class Text:
    """`open_clip` chooses the names; depth counts layers."""

    prefix: str
    width: int
    depth: int
    open_clip: bool = False


@dataclass(frozen=True)
class Kind:
    width: int
    levels: tuple[int, ...]
    """Width of each UNet level in units of `width`."""
    depths: tuple[int, ...]
    """Transformer blocks at each level; 0 does not attend."""
    middle: int
    layers: int
    context: int
    linear: bool
    label: int | None
    texts: tuple[Text, ...]
    vae_width: int = 128
    vae_levels: tuple[int, ...] = (1, 2, 4, 4)
    vae_layers: int = 2
    channels: int = 4
    out_bias: float = 0.0
    schedule: bool = True
    """Whether the file carries the training schedule's buffers."""


CLIP = "cond_stage_model.transformer.text_model."
CLIP_L = "conditioner.embedders.0.transformer.text_model."
SD15 = Kind(320, (1, 2, 4, 4), (1, 1, 1, 0), 1, 2, 768, False, None, (Text(CLIP, 768, 12),))
SD21 = replace(SD15, context=1024, linear=True, texts=(Text("cond_stage_model.model.", 1024, 24, True),))
SDXL = Kind(
    320, (1, 2, 4), (0, 2, 10), 10, 2, 2048, True, 2816,
    (Text(CLIP_L, 768, 12), Text("conditioner.embedders.1.model.", 1280, 32, True)), schedule=False,
)  # fmt: skip
REFINER = Kind(
    384, (1, 2, 4, 4), (0, 4, 4, 0), 4, 2, 1280, True, 2560,
    (Text("conditioner.embedders.0.model.", 1280, 32, True),), schedule=False,
)  # fmt: skip

FULL = {
    "sd15": SD15,
    "sd15-inpaint": replace(SD15, channels=9),
    "sd15-pix2pix": replace(SD15, channels=8),
    "sd21-base": SD21,
    "sd21-v": replace(SD21, out_bias=-1.2),
    "sd21-inpaint": replace(SD21, channels=9),
    "sdxl": SDXL,
    "sdxl-inpaint": replace(SDXL, channels=9),
    "sdxl-refiner": REFINER,
}


def small(kind: Kind) -> Kind:
    """As narrow as 8 heads (SD 1.x), heads of 64 (the others) and 32 norm groups allow."""
    width = 64 if kind.linear else 32
    texts = tuple(replace(text, width=64, depth=3) for text in kind.texts)
    return replace(
        kind,
        width=width,
        levels=tuple(min(2, level) for level in kind.levels),
        depths=tuple(min(2, depth) for depth in kind.depths),
        middle=min(2, kind.middle),
        layers=1,
        context=64 * len(texts),
        label=None if kind.label is None else kind.label - kind.texts[-1].width + 64,
        texts=texts,
        vae_width=32,
        vae_levels=(1,) * len(kind.vae_levels),
        vae_layers=1,
    )


KINDS = FULL | {f"{name}-small": small(kind) for name, kind in FULL.items()}


@dataclass(frozen=True)
class Spec:
    """One tensor: a constant, or normal with this deviation."""

    shape: tuple[int, ...]
    deviation: float = 0.0
    constant: float = 0.0


class _Plan(dict):
    """Names and specs, in the order of the networks."""

    def matrix(self, name, *shape, scale=1.0):
        self[name] = Spec(shape, scale * math.prod(shape[1:]) ** -0.5)

    def conv(self, name, out, into, size=3, *, scale=1.0, bias=0.0):
        self.matrix(f"{name}.weight", out, into, size, size, scale=scale)
        self[f"{name}.bias"] = Spec((out,), constant=bias)

    def linear(self, name, out, into, *, bias=True):
        self.matrix(f"{name}.weight", out, into)
        if bias:
            self[f"{name}.bias"] = Spec((out,))

    def norm(self, name, width):
        self[f"{name}.weight"] = Spec((width,), constant=1.0)
        self[f"{name}.bias"] = Spec((width,))

    def unet(self, kind):
        root = "model.diffusion_model."
        time, widths = 4 * kind.width, [kind.width * level for level in kind.levels]
        self.linear(f"{root}time_embed.0", time, kind.width)
        self.linear(f"{root}time_embed.2", time, time)
        if kind.label is not None:
            self.linear(f"{root}label_emb.0.0", time, kind.label)
            self.linear(f"{root}label_emb.0.2", time, time)
        self.conv(f"{root}input_blocks.0.0", widths[0], kind.channels)
        skips, index, now = [widths[0]], 0, widths[0]
        for level, (width, depth) in enumerate(zip(widths, kind.depths, strict=True)):
            for _ in range(kind.layers):
                index += 1
                self.resnet(f"{root}input_blocks.{index}.0", now, width, time)
                self.attention(f"{root}input_blocks.{index}.1", width, depth, kind)
                now = width
                skips.append(now)
            if level < len(widths) - 1:
                index += 1
                self.conv(f"{root}input_blocks.{index}.0.op", now, now)
                skips.append(now)
        self.resnet(f"{root}middle_block.0", now, now, time)
        self.attention(f"{root}middle_block.1", now, kind.middle, kind)
        self.resnet(f"{root}middle_block.2", now, now, time)
        index = 0
        for level, width, depth in reversed(list(zip(range(len(widths)), widths, kind.depths, strict=True))):
            for layer in range(kind.layers + 1):
                self.resnet(f"{root}output_blocks.{index}.0", now + skips.pop(), width, time)
                self.attention(f"{root}output_blocks.{index}.1", width, depth, kind)
                if level and layer == kind.layers:
                    self.conv(f"{root}output_blocks.{index}.{2 if depth else 1}.conv", width, width)
                now = width
                index += 1
        self.norm(f"{root}out.0", widths[0])
        self.conv(f"{root}out.2", 4, widths[0], scale=0.5, bias=kind.out_bias)

    def resnet(self, at, into, out, time):
        self.norm(f"{at}.in_layers.0", into)
        self.conv(f"{at}.in_layers.2", out, into)
        self.linear(f"{at}.emb_layers.1", out, time)
        self.norm(f"{at}.out_layers.0", out)
        self.conv(f"{at}.out_layers.3", out, out)
        if into != out:
            self.conv(f"{at}.skip_connection", out, into, 1)

    def attention(self, at, width, depth, kind):
        if not depth:
            return
        project = self.linear if kind.linear else lambda name, out, into: self.conv(name, out, into, 1)
        self.norm(f"{at}.norm", width)
        project(f"{at}.proj_in", width, width)
        for number in range(depth):
            block = f"{at}.transformer_blocks.{number}"
            for name, context in (("attn1", width), ("attn2", kind.context)):
                self.linear(f"{block}.{name}.to_q", width, width, bias=False)
                self.linear(f"{block}.{name}.to_k", width, context, bias=False)
                self.linear(f"{block}.{name}.to_v", width, context, bias=False)
                self.linear(f"{block}.{name}.to_out.0", width, width)
            self.linear(f"{block}.ff.net.0.proj", 8 * width, width)
            self.linear(f"{block}.ff.net.2", width, 4 * width)
            for norm in ("norm1", "norm2", "norm3"):
                self.norm(f"{block}.{norm}", width)
        project(f"{at}.proj_out", width, width)

    def vae(self, kind, root="first_stage_model."):
        widths = [kind.vae_width * level for level in kind.vae_levels]
        last = len(widths) - 1
        self.conv(f"{root}encoder.conv_in", widths[0], 3)
        now = widths[0]
        for level, width in enumerate(widths):
            for layer in range(kind.vae_layers):
                self.vae_resnet(f"{root}encoder.down.{level}.block.{layer}", now, width)
                now = width
            if level < last:
                self.conv(f"{root}encoder.down.{level}.downsample.conv", now, now)
        self.vae_end(f"{root}encoder", now, now)
        self.conv(f"{root}encoder.conv_out", 8, now)
        self.conv(f"{root}quant_conv", 8, 8, 1)
        self.conv(f"{root}post_quant_conv", 4, 4, 1)
        self.conv(f"{root}decoder.conv_in", now, 4)
        for level in range(last, -1, -1):
            for layer in range(kind.vae_layers + 1):
                self.vae_resnet(f"{root}decoder.up.{level}.block.{layer}", now, widths[level])
                now = widths[level]
            if level:
                self.conv(f"{root}decoder.up.{level}.upsample.conv", now, now)
        self.vae_end(f"{root}decoder", widths[-1], widths[0])
        self.conv(f"{root}decoder.conv_out", 3, widths[0], scale=0.5)

    def vae_resnet(self, at, into, out):
        self.norm(f"{at}.norm1", into)
        self.conv(f"{at}.conv1", out, into)
        self.norm(f"{at}.norm2", out)
        self.conv(f"{at}.conv2", out, out)
        if into != out:
            self.conv(f"{at}.nin_shortcut", out, into, 1)

    def vae_end(self, at, width, out):
        self.vae_resnet(f"{at}.mid.block_1", width, width)
        self.norm(f"{at}.mid.attn_1.norm", width)
        for name in ("q", "k", "v", "proj_out"):
            self.conv(f"{at}.mid.attn_1.{name}", width, width, 1)
        self.vae_resnet(f"{at}.mid.block_2", width, width)
        self.norm(f"{at}.norm_out", out)

    def text(self, text):
        if text.open_clip:
            return self.open_clip(text)
        at, width = text.prefix, text.width
        self[f"{at}embeddings.position_ids"] = Spec((1, 77))
        self[f"{at}embeddings.token_embedding.weight"] = Spec((WORDS, width), 0.1)
        self[f"{at}embeddings.position_embedding.weight"] = Spec((77, width), 0.1)
        for number in range(text.depth):
            layer = f"{at}encoder.layers.{number}"
            for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
                self.linear(f"{layer}.self_attn.{name}", width, width)
            self.linear(f"{layer}.mlp.fc1", 4 * width, width)
            self.linear(f"{layer}.mlp.fc2", width, 4 * width)
            self.norm(f"{layer}.layer_norm1", width)
            self.norm(f"{layer}.layer_norm2", width)
        self.norm(f"{at}final_layer_norm", width)
        return None

    def open_clip(self, text):
        at, width = text.prefix, text.width
        self[f"{at}positional_embedding"] = Spec((77, width), 0.1)
        self.matrix(f"{at}text_projection", width, width)
        self[f"{at}logit_scale"] = Spec((), constant=4.6052)
        self[f"{at}token_embedding.weight"] = Spec((WORDS, width), 0.1)
        for number in range(text.depth):
            layer = f"{at}transformer.resblocks.{number}"
            self.norm(f"{layer}.ln_1", width)
            self.matrix(f"{layer}.attn.in_proj_weight", 3 * width, width)
            self[f"{layer}.attn.in_proj_bias"] = Spec((3 * width,))
            self.linear(f"{layer}.attn.out_proj", width, width)
            self.norm(f"{layer}.ln_2", width)
            self.linear(f"{layer}.mlp.c_fc", 4 * width, width)
            self.linear(f"{layer}.mlp.c_proj", width, 4 * width)
        self.norm(f"{at}ln_final", width)


def plan(kind):
    """Every tensor of a checkpoint of this kind (a name of KINDS), by key."""
    found = _Plan()
    kind = KINDS[kind]
    found.unet(kind)
    found.vae(kind)
    for text in kind.texts:
        found.text(text)
    if kind.schedule:
        for name in _schedule():
            found[name] = Spec((1000,))
        found["model_ema.decay"] = found["model_ema.num_updates"] = Spec(())
    return dict(found)


def _schedule():
    """The buffers that training leaves in SD 1.x and 2.x files."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    bars = torch.cumprod(1 - betas, 0)
    before = torch.cat([torch.ones(1, dtype=torch.float64), bars[:-1]])
    variance = betas * (1 - before) / (1 - bars)
    return {
        "betas": betas,
        "alphas_cumprod": bars,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": bars.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - bars).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - bars).log(),
        "sqrt_recip_alphas_cumprod": (1 / bars).sqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / bars - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - bars),
        "posterior_mean_coef2": (1 - before) * (1 - betas).sqrt() / (1 - bars),
    }


def tensor_of(name, spec, seed, dtype=torch.float32):
    """One tensor, the same whatever else is made beside it."""
    if name.endswith("position_ids"):
        return torch.arange(77)[None]
    if name in (schedule := _schedule() if len(spec.shape) == 1 and "." not in name else {}):
        return schedule[name].float()
    if name == "model_ema.num_updates":
        return torch.tensor(0)
    if name == "model_ema.decay":
        return torch.tensor(0.9999)
    if not spec.deviation:
        return torch.full(spec.shape, spec.constant, dtype=dtype)
    dice = torch.Generator().manual_seed(zlib.crc32(f"{seed} {name}".encode()))
    return (torch.randn(spec.shape, generator=dice) * spec.deviation).to(dtype)


def weights_of(kind, seed=0, dtype=torch.float32):
    """All tensors of a checkpoint by key; meant for the small kinds."""
    return {name: tensor_of(name, spec, seed, dtype) for name, spec in plan(kind).items()}


def write_checkpoint(path, kind, seed=0, dtype=torch.float16, metadata=None):
    """A `.safetensors` file written tensor by tensor, so that any size needs little memory; else torch.save's."""
    path = Path(path)
    if path.suffix != ".safetensors":
        torch.save({"state_dict": weights_of(kind, seed, dtype), "global_step": 0}, path)
        return
    header, at, specs = {"__metadata__": metadata} if metadata else {}, 0, plan(kind)
    empty = {name: tensor_of(name, replace(spec, deviation=0), 0, dtype).dtype for name, spec in specs.items()}
    for name, spec in specs.items():
        size = math.prod(spec.shape) * empty[name].itemsize
        header[name] = {
            "dtype": HEADER_NAMES[empty[name]],
            "shape": list(spec.shape),
            "data_offsets": [at, at + size],
        }
        at += size
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    with path.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        for name, spec in specs.items():
            tensor = tensor_of(name, spec, seed, dtype).contiguous()
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=FULL)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", choices=DTYPES, default="fp16")
    parser.add_argument("--out", required=True, type=Path)
    wish = parser.parse_args()
    write_checkpoint(wish.out, wish.kind + ("-small" if wish.small else ""), wish.seed, DTYPES[wish.dtype])


if __name__ == "__main__":
    main()
