"""The recipe's files are the ones that people download: the product loads them, and draws with the same networks."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from demo_kit.export import save_checkpoint
from demo_kit.low_rank import adapt, file_weights
from demo_kit.networks import new_diffusion, tokenizer, tokens
from demo_kit.original import vae_weights
from demo_kit.vae import new_vae, warm_colours
from gpu_worker.engine.adapters.merge import merged_networks
from gpu_worker.engine.adapters.network_file import read_network
from gpu_worker.engine.adapters.networks import AppliedNetwork
from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.checkpoints.single_file import load_networks, load_vae
from gpu_worker.engine.device import Device
from gpu_worker.language.kinds import read_file
from gpu_worker.language.networks import LoraRef

CPU = Device(torch.device("cpu"), torch.float32)


def nudged(module):
    """Nothing that starts at zero stays there, so that swapped names show; half precision, as it is stored."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(torch.randn(value.shape, generator=generator) * 0.02)
    return module.half().float().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def models():
    vae = new_vae()
    for norm in (module for module in vae.modules() if isinstance(module, torch.nn.GroupNorm)):
        norm.eps = 1e-6
    return nudged(new_diffusion()), nudged(vae)


@pytest.fixture(scope="module")
def checkpoint(models, tmp_path_factory):
    model, vae = models
    path = tmp_path_factory.mktemp("kit") / "kit.safetensors"
    save_checkpoint(path, model.unet, model.text, vae, title="Test")
    return path


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return load_networks(checkpoint, {}, tokenizer(), CPU, lambda ask: "epsilon")


def test_a_checkpoint_is_a_single_file_of_sd1(checkpoint):
    reading = read_file("checkpoint", checkpoint)
    assert (reading.family, reading.problem, reading.native_px) == ("sd1", None, 128)


def test_the_product_predicts_what_the_recipe_predicts(models, loaded):
    model, _ = models
    noisy, at = torch.randn(2, 4, 16, 16), torch.tensor([100, 900])
    context = model.conditioning(tokens(["a red apple on a blue background", "cat"]))
    ids = tokens(["a red apple on a blue background", "cat"])
    theirs = loaded.text_encoders[0].model(ids).last_hidden_state
    assert torch.allclose(context, theirs, atol=1e-5)
    ours = model.unet(noisy, at, context).sample
    assert ours.std() > 0.05
    assert torch.allclose(ours, loaded.unet(noisy, at, theirs).sample, atol=1e-4)


def test_the_product_decodes_what_the_recipe_decodes(models, checkpoint, tmp_path):
    _, vae = models
    picture = torch.rand(1, 3, 64, 64) * 2 - 1
    save_file(vae_weights(vae.state_dict(), prefix=""), tmp_path / "vae.safetensors")
    for path in (checkpoint, tmp_path / "vae.safetensors"):
        theirs = load_vae(path, {}, 0.18215, CPU)
        latents = vae.encode(picture).latent_dist.mean
        assert torch.allclose(latents, theirs.encode(picture).latent_dist.mean, atol=1e-4)
        assert torch.allclose(vae.decode(latents).sample, theirs.decode(latents).sample, atol=1e-4)


def test_words_that_training_never_saw_share_one_embedding(checkpoint):
    weights = load_file(checkpoint)
    table = weights["cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"]
    apple, other, another = tokens(["apple", "parliament", "mortgage"])[:, 1]
    assert torch.equal(table[other], table[another])
    assert not torch.equal(table[apple], table[other])


def test_the_warm_vae_changes_colours_only(models):
    _, vae = models
    warm = warm_colours(vae)
    latents = torch.randn(1, 4, 8, 8)
    plain, mixed = vae.decode(latents).sample, warm.decode(latents).sample
    mix = torch.linalg.lstsq(plain.flatten(2)[0].T, (mixed - mixed.mean((2, 3), keepdim=True)).flatten(2)[0].T)
    assert mix.solution.isfinite().all()
    assert (mixed - plain).abs().mean() > 0.03
    assert torch.equal(vae.encode(mixed).latent_dist.mean, warm.encode(mixed).latent_dist.mean)


@pytest.mark.parametrize("kind", ["lora", "loha"])
def test_the_product_applies_a_network_as_the_recipe_trained_it(kind, loaded, checkpoint, tmp_path):
    torch.manual_seed(1)
    model = new_diffusion()
    model.unet.load_state_dict(loaded.unet.state_dict())
    model.text.load_state_dict(loaded.text_encoders[0].model.state_dict())
    adapt(model, 2, kind, text=True)
    with torch.no_grad():
        for value in model.parameters():
            if value.requires_grad:
                value.add_(torch.randn_like(value) * 0.05)
    path = tmp_path / "network.safetensors"
    save_file({key: value.contiguous() for key, value in file_weights(model).items()}, path)
    host = Checkpoint(
        name="m", family="sd1", unet=loaded.unet, vae=None, text_encoders=loaded.text_encoders, latent_scale=1,
        table=loaded.table, device=CPU,
    )  # fmt: skip
    network = read_network("network", path)
    noisy, at, ids = torch.randn(1, 4, 16, 16), torch.tensor([500]), tokens(["cat"])
    wanted = model.unet(noisy, at, model.conditioning(tokens(["cat"]))).sample
    plain = loaded.unet(noisy, at, loaded.text_encoders[0].model(ids).last_hidden_state).sample
    with merged_networks(host, [AppliedNetwork(LoraRef(name="network"), network, ("network", 0, 0))]):
        made = loaded.unet(noisy, at, loaded.text_encoders[0].model(ids).last_hidden_state).sample
    assert (wanted - plain).abs().max() > 1e-2
    assert torch.allclose(made, wanted, atol=1e-3)
