"""An independent reading of where diffusers keeps the tensors of a file in the original layout."""

import re

_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_TOP = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def original_unet_name(name, config):
    """diffusers' name → the file's, by counting: a level has its layers and one sampler."""
    module, _, kind = name.rpartition(".")
    layers = config.layers_per_block
    if module in _TOP:
        return f"model.diffusion_model.{_TOP[module]}.{kind}"
    side, level, part, number, rest = re.fullmatch(
        r"(down_blocks|mid_block|up_blocks)\.(?:(\d+)\.)?(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.?(.*)",
        module,
    ).groups()
    level, number = int(level or 0), int(number)
    if part == "resnets":
        rest = _RESNET[rest]
    if side == "mid_block":
        place = f"middle_block.{2 * number if part == 'resnets' else 1}"
    elif part == "downsamplers":
        place, rest = f"input_blocks.{(layers + 1) * (level + 1)}.0", "op"
    elif part == "upsamplers":
        attends = "CrossAttn" in config.up_block_types[level]
        place = f"output_blocks.{(layers + 1) * level + layers}.{2 if attends else 1}"
    else:
        index = (layers + 1) * level + number + (1 if side == "down_blocks" else 0)
        place = f"{'input' if side == 'down_blocks' else 'output'}_blocks.{index}.{0 if part == 'resnets' else 1}"
    return f"model.diffusion_model.{place}.{rest}.{kind}"


def original_vae_name(name, levels):
    """diffusers' name → the file's without prefix."""
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"up_blocks\.(\d+)", lambda m: f"up.{levels - 1 - int(m[1])}", name).replace("down_blocks.", "down.")
    name = name.replace("downsamplers.0", "downsample").replace("upsamplers.0", "upsample")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = name.replace(".resnets.", ".block.")
    if match := re.fullmatch(r"(.*)mid_block\.attentions\.0\.(.*)\.(weight|bias)", name):
        return f"{match[1]}mid.attn_1.{_VAE_ATTENTION[match[2]]}.{match[3]}"
    return name
