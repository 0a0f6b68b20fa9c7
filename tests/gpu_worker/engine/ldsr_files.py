"""LDSR's checkpoint in its published layout, narrower: every tensor has a name and a shape of CompVis' code."""

from __future__ import annotations

import torch

UNET = "model.diffusion_model."
STAGE = "first_stage_model."
WIDTHS = (32, 32, 64)
"""Of three levels, the last of which attends; the published model has four, 160 to 640 wide."""
LAYERS = 2
CODEC = (32, 32, 64)
CODES = 64


def ldsr_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    shapes = {**_unet(), **_codec()}
    made = {}
    for key, shape in shapes.items():
        value = torch.randn(shape, generator=random)
        if len(shape) > 1:
            made[key] = value / max(1, value[0].numel()) ** 0.5
        else:
            made[key] = 1 + value / 10 if key.endswith("weight") else value / 10
    return made


def averaged(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """By the names that Lightning's average gives the UNet's weights."""
    return {
        "model_ema." + key.removeprefix("model.").replace(".", ""): value
        for key, value in weights.items()
        if key.startswith(UNET)
    }


def _conv(name: str, inputs: int, outputs: int, side: int = 3) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs, side, side), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _residual(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    found = {**_norm(f"{name}.in_layers.0", inputs), **_conv(f"{name}.in_layers.2", inputs, outputs)}
    found |= _linear(f"{name}.emb_layers.1", 4 * WIDTHS[0], outputs)
    found |= {**_norm(f"{name}.out_layers.0", outputs), **_conv(f"{name}.out_layers.3", outputs, outputs)}
    return found | (_conv(f"{name}.skip_connection", inputs, outputs, 1) if inputs != outputs else {})


def _attention(name: str, width: int) -> dict[str, tuple[int, ...]]:
    found = _norm(f"{name}.norm", width)
    found |= {f"{name}.qkv.weight": (3 * width, width, 1), f"{name}.qkv.bias": (3 * width,)}
    return found | {f"{name}.proj_out.weight": (width, width, 1), f"{name}.proj_out.bias": (width,)}


def _unet() -> dict[str, tuple[int, ...]]:
    found = {
        **_linear("time_embed.0", WIDTHS[0], 4 * WIDTHS[0]),
        **_linear("time_embed.2", 4 * WIDTHS[0], 4 * WIDTHS[0]),
    }
    found |= _conv("input_blocks.0.0", 6, WIDTHS[0])
    widths, now, number = [WIDTHS[0]], WIDTHS[0], 1
    last = len(WIDTHS) - 1
    for level, width in enumerate(WIDTHS):
        for _ in range(LAYERS):
            found |= _residual(f"input_blocks.{number}.0", now, width)
            found |= _attention(f"input_blocks.{number}.1", width) if level == last else {}
            now, number = width, number + 1
            widths.append(now)
        if level != last:
            found |= _conv(f"input_blocks.{number}.0.op", now, now)
            widths.append(now)
            number += 1
    found |= {**_residual("middle_block.0", now, now), **_attention("middle_block.1", now)}
    found |= _residual("middle_block.2", now, now)
    number = 0
    for level in reversed(range(len(WIDTHS))):
        for layer in range(LAYERS + 1):
            found |= _residual(f"output_blocks.{number}.0", now + widths.pop(), WIDTHS[level])
            now, place = WIDTHS[level], 1
            if level == last:
                found |= _attention(f"output_blocks.{number}.1", now)
                place = 2
            if level and layer == LAYERS:
                found |= _conv(f"output_blocks.{number}.{place}.conv", now, now)
            number += 1
    found |= {**_norm("out.0", now), **_conv("out.2", now, 3)}
    return {UNET + key: shape for key, shape in found.items()}


def _block(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    found = {**_norm(f"{name}.norm1", inputs), **_conv(f"{name}.conv1", inputs, outputs)}
    found |= {**_norm(f"{name}.norm2", outputs), **_conv(f"{name}.conv2", outputs, outputs)}
    return found | (_conv(f"{name}.nin_shortcut", inputs, outputs, 1) if inputs != outputs else {})


def _middle(name: str, width: int) -> dict[str, tuple[int, ...]]:
    found = {**_block(f"{name}.mid.block_1", width, width), **_block(f"{name}.mid.block_2", width, width)}
    found |= _norm(f"{name}.mid.attn_1.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        found |= _conv(f"{name}.mid.attn_1.{part}", width, width, 1)
    return found


def _codec() -> dict[str, tuple[int, ...]]:
    found, now = _conv("encoder.conv_in", 3, CODEC[0]), CODEC[0]
    for level, width in enumerate(CODEC):
        for layer in range(LAYERS):
            found |= _block(f"encoder.down.{level}.block.{layer}", now, width)
            now = width
        if level != len(CODEC) - 1:
            found |= _conv(f"encoder.down.{level}.downsample.conv", now, now)
    found |= {**_middle("encoder", now), **_norm("encoder.norm_out", now), **_conv("encoder.conv_out", now, 3)}
    found |= {**_conv("decoder.conv_in", 3, now), **_middle("decoder", now)}
    for level in reversed(range(len(CODEC))):
        for layer in range(LAYERS + 1):
            found |= _block(f"decoder.up.{level}.block.{layer}", now, CODEC[level])
            now = CODEC[level]
        if level:
            found |= _conv(f"decoder.up.{level}.upsample.conv", now, now)
    found |= {**_norm("decoder.norm_out", now), **_conv("decoder.conv_out", now, 3)}
    found |= {
        "quantize.embedding.weight": (CODES, 3),
        **_conv("quant_conv", 3, 3, 1),
        **_conv("post_quant_conv", 3, 3, 1),
    }
    return {STAGE + key: shape for key, shape in found.items()}
