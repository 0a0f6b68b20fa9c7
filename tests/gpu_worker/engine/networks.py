"""Files of LoRA-like networks, and the checkpoint with them merged in."""

import torch
from safetensors.torch import save_file

from gpu_worker.engine.adapters.merge import NetworkMerger
from gpu_worker.engine.adapters.network_file import read_network
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.language.networks import LoraRef

LINEAR = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
CONV = "down_blocks.1.resnets.0.conv1"
POINT = "down_blocks.0.attentions.0.proj_in"
MLP = "encoder.layers.0.mlp.fc1"


def dice(*shape, seed=0, size=1.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape))) * size


def kohya(module):
    return "lora_unet_" + module.replace(".", "_")


def lora(base, out, into, *, rank=2, seed=0, alpha=None):
    """`into` is the inputs, or [inputs, kh, kw]."""
    into = into if isinstance(into, tuple) else (into,)
    ones = (1,) * (len(into) - 1)
    tensors = {
        f"{base}.lora_down.weight": dice(rank, *into, seed=seed),
        f"{base}.lora_up.weight": dice(out, rank, *ones, seed=seed + 1),
    }
    return tensors | ({} if alpha is None else {f"{base}.alpha": torch.tensor(float(alpha))})


def saved(folder, tensors, name="net"):
    path = folder / f"{name}.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    return path


def network(path, te=1.0, unet=1.0, rank=None):
    stat = path.stat()
    stamp = (str(path), stat.st_size, stat.st_mtime_ns)
    return AppliedNetwork(LoraRef(path.stem, te, unet, rank), read_network(path.stem, path), stamp)


def merged(checkpoint, *networks):
    merger = NetworkMerger(checkpoint)
    merger.apply(networks)
    return merger
