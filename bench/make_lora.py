"""`python -m bench.make_lora CHECKPOINT --seed 0 --out FILE`: a LoRA of random weights for every attention layer of a
checkpoint's UNet, in kohya's naming, at the usual rank."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from gpu_worker.language.headers import read_header

__all__ = ["main"]

RANK = 16
UNET = "model.diffusion_model."
LAYERS = ("to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.make_lora")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    dice = torch.Generator().manual_seed(options.seed)
    weights: dict[str, torch.Tensor] = {}
    for key, shape in read_header(options.checkpoint).shapes.items():
        if key.startswith(UNET) and key.endswith(LAYERS):
            name = "lora_unet_" + key.removeprefix(UNET).removesuffix(".weight").replace(".", "_")
            weights[f"{name}.lora_down.weight"] = torch.randn(RANK, shape[1], generator=dice).half()
            weights[f"{name}.lora_up.weight"] = (torch.randn(shape[0], RANK, generator=dice) * 1e-3).half()
            weights[f"{name}.alpha"] = torch.tensor(float(RANK))
    save_file(weights, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
