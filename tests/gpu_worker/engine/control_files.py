"""Control models of random weights in the published layouts, for any UNet."""

import re

import torch
from diffusers import ControlNetModel, T2IAdapter
from diffusers.models.controlnets.controlnet_union import ControlNetUnionModel
from safetensors.torch import save_file

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_PLAIN = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0", "controlnet_cond_embedding.conv_in": "input_hint_block.0",
    "controlnet_cond_embedding.conv_out": "input_hint_block.14", "controlnet_mid_block": "middle_block_out.0",
}  # fmt: skip


def shaken(network, seed, scale=0.2):
    """Random everywhere, the convolutions that begin as zero, too."""
    dice = torch.Generator().manual_seed(seed)
    for tensor in network.parameters():
        tensor.data += torch.randn(tensor.shape, generator=dice) * scale / max(1, tensor[0].numel()) ** 0.5
    return network.eval().requires_grad_(False)


def controlnet(unet, seed=1, kind=ControlNetModel, **more):
    more |= {"conditioning_embedding_out_channels": (16, 32, 48, 64)}
    config = {**unet.config, **more}
    names = (
        "in_channels", "down_block_types", "block_out_channels", "layers_per_block", "norm_num_groups",
        "cross_attention_dim", "attention_head_dim", "transformer_layers_per_block", "use_linear_projection",
        "addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim",
        "conditioning_embedding_out_channels", *more,
    )  # fmt: skip
    made = kind(**{name: config[name] for name in names})
    made.load_state_dict(unet.state_dict(), strict=False)
    return shaken(made, seed)


def union(unet, types=8, seed=3):
    return controlnet(
        unet, seed, ControlNetUnionModel, num_control_type=types, num_trans_channel=unet.config.block_out_channels[0],
        num_trans_head=8, num_proj_channel=unet.config.block_out_channels[0],
    )  # fmt: skip


def t2i(unet, seed=5, kind="full_adapter", channels=3):
    widths = list(unet.config.block_out_channels)
    if kind == "full_adapter_xl":
        widths.append(widths[-1])
    if kind == "light_adapter":
        widths = widths[:-1]
    made = T2IAdapter(
        in_channels=channels, channels=widths, num_res_blocks=4 if kind == "light_adapter" else 2,
        downscale_factor=16 if kind == "full_adapter_xl" else 8, adapter_type=kind,
    )  # fmt: skip
    return shaken(made, seed)


def original_names(state, layers):
    """The names of lllyasviel's files, worked out the other way round."""

    def renamed(key):
        module, _, kind = key.rpartition(".")
        if module in _PLAIN:
            return f"{_PLAIN[module]}.{kind}"
        if match := re.fullmatch(r"controlnet_down_blocks\.(\d+)", module):
            return f"zero_convs.{match[1]}.0.{kind}"
        if match := re.fullmatch(r"controlnet_cond_embedding\.blocks\.(\d+)", module):
            return f"input_hint_block.{2 * int(match[1]) + 2}.{kind}"
        if match := re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", module):
            part = 1 if match[1] == "attentions" else 2 * int(match[2])
            return f"middle_block.{part}.{_RESNET.get(match[3], match[3])}.{kind}"
        if match := re.fullmatch(r"down_blocks\.(\d+)\.downsamplers\.0\.conv", module):
            return f"input_blocks.{(int(match[1]) + 1) * (layers + 1)}.0.op.{kind}"
        match = re.fullmatch(r"down_blocks\.(\d+)\.(resnets|attentions)\.(\d+)\.(.+)", module)
        at = int(match[1]) * (layers + 1) + int(match[3]) + 1
        return f"input_blocks.{at}.{'0' if match[2] == 'resnets' else '1'}.{_RESNET.get(match[4], match[4])}.{kind}"

    return {renamed(key): tensor for key, tensor in state.items()}


def original_t2i(state):
    """TencentARC's names."""
    light = any("out_conv" in key for key in state)
    found = {}
    for key, tensor in state.items():
        name = key.removeprefix("adapter.")
        if light:
            name = name.replace(".resnets.", ".body.")
        elif match := re.fullmatch(r"body\.(\d)\.resnets\.(\d)\.(.+)", name):
            name = f"body.{2 * int(match[1]) + int(match[2])}.{match[3]}"
        elif match := re.fullmatch(r"body\.(\d)\.in_conv\.(.+)", name):
            name = f"body.{2 * int(match[1])}.in_conv.{match[2]}"
        found[name] = tensor
    return found


def difference(state, unet, layers):
    """What the extraction of §17.5 writes: differences to a UNet, without those that are next to nothing."""
    base = unet.state_dict()
    found = {}
    for key, tensor in state.items():
        changed = tensor - base[key] if key in base else tensor
        if key not in base or changed.abs().max() >= 1e-6:
            found[key] = changed
    return {f"control_model.{key}": value for key, value in original_names(found, layers).items()} | {
        "difference": torch.zeros(())
    }


def control_lora(unet, seed=7, rank=4):
    """Stability's layout, and the ControlNet that it stands for."""
    network = controlnet(unet, seed)
    dice = torch.Generator().manual_seed(seed)
    base, state, parts = unet.state_dict(), network.state_dict(), {}
    for key, tensor in state.items():
        if key in base and key.endswith(".weight") and tensor.ndim in (2, 4):
            rows, columns = tensor.shape[0], tensor[0].numel()
            up, down = torch.randn(rows, rank, generator=dice) * 0.05, torch.randn(rank, columns, generator=dice) * 0.05
            state[key] = base[key] + (up @ down).reshape(tensor.shape)
            module = key.removesuffix(".weight")
            shape = (rows, rank) if tensor.ndim == 2 else (rows, rank, 1, 1)
            parts |= {f"{module}.up": up.reshape(shape), f"{module}.down": down.reshape(rank, *tensor.shape[1:])}
        elif key in base and key.endswith(".weight"):
            state[key] = base[key]
        else:
            parts[key] = tensor
    network.load_state_dict(state)
    return network, original_names(parts, unet.config.layers_per_block) | {"lora_controlnet": torch.zeros(())}


def save(tensors, path):
    save_file({key: value.contiguous().clone() for key, value in tensors.items()}, path)
    return path
