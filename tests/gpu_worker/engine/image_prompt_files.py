"""IP-Adapters and image encoders of random weights in the published layouts, small enough for the demo checkpoint."""

import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

PATCHES, EMBEDDING, CONTEXT, TOKENS = 64, 48, 96, 4


def dice(seed, *shape, scale=0.2):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


def encoder(seed=5, width=PATCHES):
    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=width, intermediate_size=96, projection_dim=EMBEDDING, num_hidden_layers=2,
        num_attention_heads=max(1, width // 64), image_size=32, patch_size=8, hidden_act="gelu",
    )  # fmt: skip
    return CLIPVisionModelWithProjection(config).eval()


def write_encoder(path, **more):
    save_file({key: value.contiguous() for key, value in encoder(**more).state_dict().items()}, path)


def plain_projection():
    return {
        "proj.weight": dice(1, TOKENS * CONTEXT, EMBEDDING), "proj.bias": dice(2, TOKENS * CONTEXT),
        "norm.weight": torch.ones(CONTEXT), "norm.bias": torch.zeros(CONTEXT),
    }  # fmt: skip


def plus_projection():
    """A resampler of four layers, as published: latents read the patches."""
    found = {
        "latents": dice(3, 1, TOKENS, 64), "proj_in.weight": dice(4, 64, PATCHES), "proj_in.bias": dice(5, 64),
        "proj_out.weight": dice(6, CONTEXT, 64), "proj_out.bias": dice(7, CONTEXT),
        "norm_out.weight": torch.ones(CONTEXT), "norm_out.bias": torch.zeros(CONTEXT),
    }  # fmt: skip
    for layer in range(4):
        at = f"layers.{layer}"
        found |= {
            f"{at}.0.norm1.weight": torch.ones(64), f"{at}.0.norm1.bias": torch.zeros(64),
            f"{at}.0.norm2.weight": torch.ones(64), f"{at}.0.norm2.bias": torch.zeros(64),
            f"{at}.0.to_q.weight": dice(8 + layer, 64, 64), f"{at}.0.to_kv.weight": dice(18 + layer, 128, 64),
            f"{at}.0.to_out.weight": dice(28 + layer, 64, 64),
            f"{at}.1.0.weight": torch.ones(64), f"{at}.1.0.bias": torch.zeros(64),
            f"{at}.1.1.weight": dice(38 + layer, 256, 64), f"{at}.1.3.weight": dice(48 + layer, 64, 256),
        }  # fmt: skip
    return found


def full_projection():
    return {
        "proj.0.weight": dice(60, PATCHES, PATCHES), "proj.0.bias": dice(61, PATCHES),
        "proj.2.weight": dice(62, CONTEXT, PATCHES), "proj.2.bias": dice(63, CONTEXT),
        "proj.3.weight": torch.ones(CONTEXT), "proj.3.bias": torch.zeros(CONTEXT),
    }  # fmt: skip


PROJECTIONS = {"plain": plain_projection, "plus": plus_projection, "full": full_projection}


def attention(unet, context=CONTEXT):
    """Numbered as published: every attention counts, those that read text have weights."""
    crossing = [name for name in unet.attn_processors if name.endswith("attn2.processor")]
    found = {}
    for at, name in enumerate(crossing):
        width = unet.get_submodule(name.removesuffix(".processor")).to_k.weight.shape[0]
        found[f"{2 * at + 1}.to_k_ip.weight"] = dice(100 + at, width, context)
        found[f"{2 * at + 1}.to_v_ip.weight"] = dice(200 + at, width, context)
    return found


def write_adapter(path, unet, kind="plain", **more):
    found = {f"image_proj.{key}": value for key, value in PROJECTIONS[kind]().items()}
    found |= {f"ip_adapter.{key}": value for key, value in attention(unet, **more).items()}
    if path.suffix == ".bin":
        torch.save({"image_proj": PROJECTIONS[kind](), "ip_adapter": attention(unet, **more)}, path)
        return
    save_file({key: value.contiguous() for key, value in found.items()}, path)
