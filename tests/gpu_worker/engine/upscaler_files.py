"""Upscaler models of known effect in the layout of real ones (ESRGAN's RRDBNet as BasicSR names it)."""

import torch

from gpu_worker.engine.device import Device
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.messages import ModelFact

CPU = Device(torch.device("cpu"), torch.float32)
FEATURES, GROWTH = 8, 32  # readers of the layout take the growth for granted


def rrdb_weights(*, blocks=1, factor=4, seed=None, blue_bias=0.0):
    """Without a seed the network only repeats each pixel `factor` times each way; with one it has random weights.

    `blue_bias` goes onto the first output channel, A1111's blue."""
    generator = torch.Generator().manual_seed(seed or 0)
    weights = {}

    def conv(name, inputs, outputs, *, passes):
        weight = torch.zeros(outputs, inputs, 3, 3)
        if seed is not None:
            weight = torch.randn(weight.shape, generator=generator) * 0.1
        elif passes:
            for channel in range(min(inputs, outputs)):
                weight[channel, channel, 1, 1] = 1
        weights[f"{name}.weight"] = weight
        weights[f"{name}.bias"] = torch.zeros(outputs)

    conv("conv_first", 3, FEATURES, passes=True)
    for block in range(blocks):
        for dense in (1, 2, 3):
            for layer in (1, 2, 3, 4, 5):
                inputs, outputs = FEATURES + (layer - 1) * GROWTH, GROWTH if layer < 5 else FEATURES
                conv(f"body.{block}.rdb{dense}.conv{layer}", inputs, outputs, passes=False)
    conv("conv_body", FEATURES, FEATURES, passes=False)
    for up in range(1, {2: 1, 4: 2}[factor] + 1):
        conv(f"conv_up{up}", FEATURES, FEATURES, passes=True)
    conv("conv_hr", FEATURES, FEATURES, passes=True)
    conv("conv_last", FEATURES, 3, passes=True)
    weights["conv_last.bias"][0] = blue_bias
    return weights


def model_file(path, kind="upscaler", problem=None):
    fact = ModelFact(kind=kind, name=path.stem, problem=problem)
    return ModelFile(fact, path, path)
