"""The two networks that are trained on captions: SD 1.x's text encoder and UNet, small."""

from collections.abc import Sequence
from functools import cache

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from demo_kit.device import on_gpu
from demo_kit.folders import TOKENIZER

__all__ = ["TEXT_WIDTH", "Diffusion", "new_diffusion", "tokenizer", "tokens"]

TEXT_WIDTH, TEXT_LAYERS = 128, 3
WIDTHS = (64, 96, 128, 128)


@cache
def tokenizer() -> CLIPTokenizer:
    """CLIP's, from the kit."""
    return CLIPTokenizer.from_pretrained(TOKENIZER)


@cache
def _ids(text: str) -> tuple[int, ...]:
    return tuple(tokenizer()(text, padding="max_length", max_length=77, truncation=True).input_ids)


def tokens(texts: Sequence[str]) -> Tensor:
    """Token ids as A1111 pads them: int64, (N, 77)."""
    return torch.tensor([_ids(text) for text in texts])


class Diffusion(nn.Module):
    """Text encoder and UNet together, so that one run trains both."""

    def __init__(self, unet: UNet2DConditionModel, text: CLIPTextModel) -> None:
        super().__init__()
        self.unet, self.text = unet, text

    def conditioning(self, ids: Tensor, skip: bool = False) -> Tensor:
        """Text embeddings, (N, 77, 128), of token ids; `skip` leaves out the last layer, as clip skip 2 does."""
        if not skip:
            return self.text(ids).last_hidden_state
        hidden = self.text(ids, output_hidden_states=True).hidden_states[-2]
        return getattr(self.text, "text_model", self.text).final_layer_norm(hidden)


def new_diffusion(in_channels: int = 4) -> Diffusion:
    """The networks before training."""
    torch.manual_seed(21)
    unet = UNet2DConditionModel(
        sample_size=16, in_channels=in_channels, out_channels=4, block_out_channels=WIDTHS, layers_per_block=2,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=TEXT_WIDTH, attention_head_dim=8, norm_num_groups=32,
    )  # fmt: skip
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=49408,
            hidden_size=TEXT_WIDTH,
            intermediate_size=4 * TEXT_WIDTH,
            num_hidden_layers=TEXT_LAYERS,
            num_attention_heads=TEXT_WIDTH // 64,
            projection_dim=TEXT_WIDTH,
            max_position_embeddings=77,
            hidden_act="quick_gelu",
            bos_token_id=49406,
            eos_token_id=49407,
            pad_token_id=49407,
        )
    )
    for name, module in unet.named_modules():  # as the original code starts: each block adds nothing at first
        if name.endswith(("conv2", "proj_out", "conv_out")):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    if on_gpu():
        unet = unet.to(memory_format=torch.channels_last)
    return Diffusion(unet, text).to(torch.get_default_device())
