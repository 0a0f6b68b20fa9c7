"""A random-weight SD 1.x checkpoint in the original key layout, as small as 8 heads and 32 norm groups allow."""

import torch
from safetensors.torch import save_file

WIDTH, CONTEXT, WORDS = 32, 64, 49408
LEVELS = (1, 2, 2, 2)
"""Width of each UNet level in units of WIDTH; all but the last attend."""
LAYERS = 1


class _Weights(dict):
    def __init__(self, seed):
        super().__init__()
        self._dice = torch.Generator().manual_seed(seed)

    def random(self, name, *shape, scale=None):
        fan_in = max(1, torch.Size(shape[1:]).numel())
        self[name] = torch.randn(shape, generator=self._dice) * (scale or fan_in**-0.5)

    def conv(self, name, out, into, size=3):
        self.random(f"{name}.weight", out, into, size, size)
        self[f"{name}.bias"] = torch.zeros(out)

    def linear(self, name, out, into, *, bias=True):
        self.random(f"{name}.weight", out, into)
        if bias:
            self[f"{name}.bias"] = torch.zeros(out)

    def norm(self, name, width):
        self[f"{name}.weight"] = torch.ones(width)
        self[f"{name}.bias"] = torch.zeros(width)

    def unet_resnet(self, at, into, out):
        self.norm(f"{at}.in_layers.0", into)
        self.conv(f"{at}.in_layers.2", out, into)
        self.linear(f"{at}.emb_layers.1", out, 4 * WIDTH)
        self.norm(f"{at}.out_layers.0", out)
        self.conv(f"{at}.out_layers.3", out, out)
        if into != out:
            self.conv(f"{at}.skip_connection", out, into, 1)

    def unet_attention(self, at, width):
        self.norm(f"{at}.norm", width)
        self.conv(f"{at}.proj_in", width, width, 1)
        block = f"{at}.transformer_blocks.0"
        for name, context in (("attn1", width), ("attn2", CONTEXT)):
            self.linear(f"{block}.{name}.to_q", width, width, bias=False)
            self.linear(f"{block}.{name}.to_k", width, context, bias=False)
            self.linear(f"{block}.{name}.to_v", width, context, bias=False)
            self.linear(f"{block}.{name}.to_out.0", width, width)
        self.linear(f"{block}.ff.net.0.proj", 8 * width, width)
        self.linear(f"{block}.ff.net.2", width, 4 * width)
        for number in (1, 2, 3):
            self.norm(f"{block}.norm{number}", width)
        self.conv(f"{at}.proj_out", width, width, 1)

    def unet(self):
        root = "model.diffusion_model."
        self.linear(f"{root}time_embed.0", 4 * WIDTH, WIDTH)
        self.linear(f"{root}time_embed.2", 4 * WIDTH, 4 * WIDTH)
        self.conv(f"{root}input_blocks.0.0", WIDTH, 4)
        widths, skips, index, now = [WIDTH * level for level in LEVELS], [WIDTH], 0, WIDTH
        for level, width in enumerate(widths):
            for _ in range(LAYERS):
                index += 1
                self.unet_resnet(f"{root}input_blocks.{index}.0", now, width)
                if level < len(widths) - 1:
                    self.unet_attention(f"{root}input_blocks.{index}.1", width)
                now = width
                skips.append(now)
            if level < len(widths) - 1:
                index += 1
                self.conv(f"{root}input_blocks.{index}.0.op", now, now)
                skips.append(now)
        self.unet_resnet(f"{root}middle_block.0", now, now)
        self.unet_attention(f"{root}middle_block.1", now)
        self.unet_resnet(f"{root}middle_block.2", now, now)
        index = 0
        for level, width in reversed(list(enumerate(widths))):
            for layer in range(LAYERS + 1):
                self.unet_resnet(f"{root}output_blocks.{index}.0", now + skips.pop(), width)
                attends = level < len(widths) - 1
                if attends:
                    self.unet_attention(f"{root}output_blocks.{index}.1", width)
                if level and layer == LAYERS:
                    self.conv(f"{root}output_blocks.{index}.{2 if attends else 1}.conv", width, width)
                now = width
                index += 1
        self.norm(f"{root}out.0", WIDTH)
        self.conv(f"{root}out.2", 4, WIDTH)

    def vae_resnet(self, at, into, out):
        self.norm(f"{at}.norm1", into)
        self.conv(f"{at}.conv1", out, into)
        self.norm(f"{at}.norm2", out)
        self.conv(f"{at}.conv2", out, out)
        if into != out:
            self.conv(f"{at}.nin_shortcut", out, into, 1)

    def vae_half(self, at, level_name, sampler, layers):
        self.vae_resnet(f"{at}.mid.block_1", WIDTH, WIDTH)
        self.norm(f"{at}.mid.attn_1.norm", WIDTH)
        for name in ("q", "k", "v", "proj_out"):
            self.conv(f"{at}.mid.attn_1.{name}", WIDTH, WIDTH, 1)
        self.vae_resnet(f"{at}.mid.block_2", WIDTH, WIDTH)
        self.norm(f"{at}.norm_out", WIDTH)
        for level in range(4):
            for layer in range(layers):
                self.vae_resnet(f"{at}.{level_name}.{level}.block.{layer}", WIDTH, WIDTH)
            if level < 3 if level_name == "down" else level:
                self.conv(f"{at}.{level_name}.{level}.{sampler}.conv", WIDTH, WIDTH)

    def vae(self):
        root = "first_stage_model"
        self.conv(f"{root}.encoder.conv_in", WIDTH, 3)
        self.vae_half(f"{root}.encoder", "down", "downsample", 1)
        self.conv(f"{root}.encoder.conv_out", 8, WIDTH)
        self.conv(f"{root}.quant_conv", 8, 8, 1)
        self.conv(f"{root}.post_quant_conv", 4, 4, 1)
        self.conv(f"{root}.decoder.conv_in", WIDTH, 4)
        self.vae_half(f"{root}.decoder", "up", "upsample", 2)
        self.conv(f"{root}.decoder.conv_out", 3, WIDTH)

    def text(self, root):
        self.random(f"{root}embeddings.token_embedding.weight", WORDS, CONTEXT, scale=0.1)
        self.random(f"{root}embeddings.position_embedding.weight", 77, CONTEXT, scale=0.1)
        self[f"{root}embeddings.position_ids"] = torch.arange(77)[None]
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            self.linear(f"{root}encoder.layers.0.self_attn.{name}", CONTEXT, CONTEXT)
        self.linear(f"{root}encoder.layers.0.mlp.fc1", 4 * CONTEXT, CONTEXT)
        self.linear(f"{root}encoder.layers.0.mlp.fc2", CONTEXT, 4 * CONTEXT)
        for name in ("encoder.layers.0.layer_norm1", "encoder.layers.0.layer_norm2", "final_layer_norm"):
            self.norm(f"{root}{name}", CONTEXT)


def small_weights(*, old_text_names=False, seed=0):
    """Tensors by key; `old_text_names` leaves out `text_model.`, as the first SD 1.x files did."""
    weights = _Weights(seed)
    weights.unet()
    weights.vae()
    weights.text("cond_stage_model.transformer." + ("" if old_text_names else "text_model."))
    weights["model_ema.decay"] = torch.tensor(0.9999)
    return dict(weights)


def save_small_checkpoint(path, **options):
    weights = small_weights(**options)
    save_file({key: t.half() if t.is_floating_point() else t for key, t in weights.items()}, path)
    return weights
