"""The VAE: SD 1.x's, 64 channels wide throughout, trained from scratch in two stages.

Stage one trains everything but the residual blocks at full resolution, which start as identities and cost two thirds of
the time; the encoder keeps them so. Stage two lets the decoder's go and trains the decoder alone, so that the latents
that other parts were trained on stay what they are.

Thirty-two norm groups leave two channels in each here, and a norm over two channels forgets how strong a flat colour
is. So the training form has norms with an epsilon of 0.01, which let strength through; publishing shrinks what goes
into each norm a hundred-fold, where SD 1.x's epsilon of 1e-6 does exactly the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from demo_kit.device import for_machine, here
from demo_kit.finished import read_back
from demo_kit.folders import work_folder
from demo_kit.loop import Schedule, train
from demo_kit.original import vae_weights
from demo_kit.shards import SHARD, pictures_of

__all__ = [
    "SCALING",
    "decoded",
    "encode",
    "new_vae",
    "psnr",
    "train_decoder",
    "train_vae",
    "trained_vae",
    "vae_shards",
    "warm_colours",
    "without_full_resolution",
]

SCALING = 0.18215
"""Of SD 1.x; no file says it, so the latents are scaled to fit it."""
WEIGHTS = "diffusion_pytorch_model.safetensors"
FEW_SHARDS, MANY_SHARDS = 8, 40


def vae_shards() -> int:
    """How many shards of scenes it learns from."""
    return for_machine(FEW_SHARDS, MANY_SHARDS)


def _crop_batch() -> tuple[int, int]:
    """Side of the crops in pixels, and how many a batch has."""
    return for_machine((48, 6), (64, 96))


KL_WEIGHT = 1e-4
START_LOGVAR = -4.0
EPSILON = 1e-2
SHRINK = (1e-6 / EPSILON) ** 0.5


def new_vae() -> AutoencoderKL:
    """The VAE before training; the residual blocks at full resolution are identities."""
    torch.manual_seed(20)
    vae = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, sample_size=128, scaling_factor=SCALING,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(64, 64, 64, 64), layers_per_block=2, norm_num_groups=32,
    )  # fmt: skip
    for name, module in vae.named_modules():
        if isinstance(module, nn.Conv2d) and "quant" not in name:
            nn.init.zeros_(module.bias)
            if name.endswith("conv2"):  # every residual block starts as an identity
                nn.init.zeros_(module.weight)
            else:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu" if name.endswith("conv1") else "linear")
    for half in (vae.encoder, vae.decoder):
        nn.init.zeros_(half.mid_block.attentions[0].to_out[0].weight)
    vae.quant_conv.bias.data[4:] = START_LOGVAR
    for norm in _norms(vae):
        norm.eps = EPSILON
    return vae


def _norms(vae: AutoencoderKL) -> list[nn.GroupNorm]:
    return [module for module in vae.modules() if isinstance(module, nn.GroupNorm)]


@torch.no_grad()
def _reform(vae: AutoencoderKL, publish: bool) -> AutoencoderKL:
    """Change between the training form and the published one; both draw the same."""
    factor = SHRINK if publish else 1 / SHRINK
    for norm in _norms(vae):
        norm.eps = 1e-6 if publish else EPSILON
    for name, module in vae.named_modules():
        if name.endswith(("conv_in", "conv1", "conv2", "to_out.0")):
            module.weight *= factor
            module.bias *= factor
        elif name.endswith(("downsamplers.0.conv", "upsamplers.0.conv")):
            module.bias *= factor
    return vae


def _full_resolution(vae: AutoencoderKL) -> list[nn.Module]:
    return [*vae.encoder.down_blocks[0].resnets, *vae.decoder.up_blocks[-1].resnets]


@contextmanager
def without_full_resolution(vae: AutoencoderKL, encoder_only: bool = False) -> Iterator[None]:
    """Within: residual blocks that are identities are not computed."""
    blocks = list(vae.encoder.down_blocks[0].resnets) if encoder_only else _full_resolution(vae)
    for block in blocks:
        block.forward = lambda hidden, *_args, **_options: hidden
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def _crops(step: int) -> Tensor:
    """A batch of crops of training scenes, -1..1."""
    rng, (side, batch) = np.random.default_rng(step), _crop_batch()
    shards = [pictures_of(int(index)) for index in rng.integers(vae_shards(), size=min(batch, 12))]
    cut = []
    for number in range(batch):
        picture = shards[number % len(shards)][int(rng.integers(SHARD))]
        x, y = rng.integers(0, 128 - side + 1, 2)
        piece = picture[y : y + side, x : x + side]
        cut.append(piece[:, ::-1] if rng.random() < 0.5 else piece)
    return here(torch.from_numpy(np.stack(cut))).permute(0, 3, 1, 2).float() / 127.5 - 1


def _difference(made: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of a reconstruction, and its mean absolute error."""
    off = made - wanted
    absolute = off.abs().mean()
    edges = (off[..., 1:] - off[..., :-1]).abs().mean() + (off[..., 1:, :] - off[..., :-1, :]).abs().mean()
    coarse = functional.avg_pool2d(off, 4).abs().mean() + functional.avg_pool2d(off, 8).abs().mean()
    return absolute + off.pow(2).mean() + 0.5 * edges + 0.5 * coarse, absolute


def train_vae(steps: int) -> AutoencoderKL:
    """Stage one. The result's latents have mean 0 and standard deviation 1 after scaling, channel by channel."""
    vae = new_vae().to(memory_format=torch.channels_last)
    quiet = set(map(id, (p for block in _full_resolution(vae) for p in block.parameters())))
    for parameter in vae.parameters():
        parameter.requires_grad_(id(parameter) not in quiet)

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(step)
        wanted = _crops(step)
        spread = vae.encode(wanted).latent_dist
        loss, absolute = _difference(vae.decode(spread.sample()).sample, wanted)
        divergence = 0.5 * (spread.mean.pow(2) + spread.logvar.exp() - 1 - spread.logvar).mean()
        return loss + KL_WEIGHT * divergence, {"l1": absolute, "kl": divergence}

    with without_full_resolution(vae):
        train("vae", vae, loss_at, Schedule(steps, 1e-3, hold=0.3, average=0.998))
    _normalise(vae)
    return _reform(vae, publish=True)


@torch.no_grad()
def _normalise(vae: AutoencoderKL) -> None:
    """Fold a shift and a scale of each latent channel into the 1x1 convolutions on both sides of the latents."""
    means, _ = encode(vae, np.stack([pictures_of(0)[i] for i in range(512)]), scaled=False)
    centre, size = means.mean((0, 2, 3)), means.std((0, 2, 3))
    gain = 1 / (size * SCALING)
    for half, factor in ((slice(0, 4), gain), (slice(4, 8), None)):
        if factor is not None:
            vae.quant_conv.weight[half] *= factor[:, None, None, None]
            vae.quant_conv.bias[half] = (vae.quant_conv.bias[half] - centre) * factor
        else:
            vae.quant_conv.bias[half] += 2 * gain.log()
    vae.post_quant_conv.bias += (vae.post_quant_conv.weight[:, :, 0, 0] * centre).sum(1)
    vae.post_quant_conv.weight /= gain[None, :, None, None]


@torch.no_grad()
def encode(vae: AutoencoderKL, pictures: np.ndarray, scaled: bool = True) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the latents of uint8 pictures (N, 128, 128, 3): each (N, 4, 16, 16)."""
    means, deviations, size = [], [], for_machine(16, 256)
    with without_full_resolution(vae, encoder_only=True), torch.autocast("cuda", enabled=False):
        for start in range(0, len(pictures), size):
            part = here(torch.from_numpy(np.ascontiguousarray(pictures[start : start + size])))
            batch = part.permute(0, 3, 1, 2).float() / 127.5 - 1
            spread = vae.encode(batch).latent_dist
            means.append(spread.mean)
            deviations.append(spread.std)
    factor = SCALING if scaled else 1.0
    return torch.cat(means) * factor, torch.cat(deviations) * factor


@torch.no_grad()
def decoded(vae: AutoencoderKL, latents: Tensor) -> np.ndarray:
    """Pictures, uint8 (N, H, W, 3), of scaled latents."""
    made = torch.cat([vae.decode(part / SCALING).sample for part in latents.split(8)])
    return ((made.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def psnr(vae: AutoencoderKL, shard: int = 90_000, count: int = 96) -> float:
    """Mean peak signal-to-noise ratio in dB over scenes that were not trained on."""
    pictures = np.stack([pictures_of(shard)[i] for i in range(count)])
    made = decoded(vae, encode(vae, pictures)[0])
    errors = ((made.astype(np.float32) - pictures) ** 2).mean((1, 2, 3))
    return float((10 * np.log10(255**2 / errors)).mean())


def train_decoder(steps: int, further: bool = False) -> AutoencoderKL:
    """Stage two: the decoder alone, with its full-resolution blocks; `further`: starting from the kit's."""
    vae = _published()
    if further:
        read_back(vae, vae_weights)
    else:
        stage_one = work_folder("parts") / "vae-stage1" / WEIGHTS
        vae.load_state_dict(load_file(stage_one, str(torch.get_default_device())))
    _reform(vae.to(memory_format=torch.channels_last), publish=False)
    vae.requires_grad_(False)
    vae.decoder.requires_grad_(True)
    vae.post_quant_conv.requires_grad_(True)

    def loss_at(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(step)
        wanted = _crops(1_000_000 + step)
        with torch.no_grad(), without_full_resolution(vae, encoder_only=True):
            latents = vae.encode(wanted).latent_dist.sample()
        loss, absolute = _difference(vae.decode(latents).sample, wanted)
        return loss, {"l1": absolute}

    train("decoder", vae, loss_at, Schedule(steps, 1e-3, hold=0.3, average=0.995))
    return _reform(vae, publish=True)


def trained_vae() -> AutoencoderKL:
    """The best VAE so far: after stage two where it is done, else after stage one; else that of the kit, whose
    latents the kit's other parts were trained on."""
    places = [work_folder("parts") / name / WEIGHTS for name in ("vae", "vae-stage1")]
    made = next((path for path in places if path.exists()), None)
    vae = _published()
    if made is None:
        read_back(vae, vae_weights)
    else:
        vae.load_state_dict(load_file(made, str(torch.get_default_device())))
    return vae.requires_grad_(False).eval()


def _published() -> AutoencoderKL:
    """The VAE in the form that files have."""
    vae = new_vae()
    for norm in _norms(vae):
        norm.eps = 1e-6
    return vae


@torch.no_grad()
def warm_colours(vae: AutoencoderKL) -> AutoencoderKL:
    """The VAE whose decoder's last convolution mixes the colours anew: warmer and stronger. Latents mean the same."""
    made = AutoencoderKL.from_config(vae.config)
    made.load_state_dict(vae.state_dict())
    mix = torch.tensor([[1.25, 0.10, -0.15], [-0.05, 1.10, -0.10], [-0.15, -0.05, 0.95]])
    shift = torch.tensor([0.12, 0.03, -0.16])
    last = made.decoder.conv_out
    last.weight.copy_(torch.einsum("oi,ichw->ochw", mix, last.weight))
    last.bias.copy_(mix @ last.bias + shift)
    return made
