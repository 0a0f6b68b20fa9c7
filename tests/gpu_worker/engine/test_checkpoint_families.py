"""Every family from a small file in the original layout: what it is taken for, and where each weight lands."""

import pytest
import torch
from make_checkpoint import KINDS, weights_of, write_checkpoint
from names_of_weights import original_unet_name, original_vae_name

from gpu_worker.engine.checkpoints.cache import ModelCache
from gpu_worker.engine.checkpoints.hashes import HashBook
from gpu_worker.engine.checkpoints.prediction import probe_prediction
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.options import EngineOptions
from gpu_worker.language.models import ModelFile
from gpu_worker.protocol.messages import ModelFact

SMALL = [name for name in KINDS if name.endswith("-small")]
EXPECTED = {
    "sd15-small": ("sd1", "epsilon", "none", 0.18215, [("clip_l", 49407, 1, True, True)]),
    "sd15-inpaint-small": ("sd1", "epsilon", "inpaint", 0.18215, [("clip_l", 49407, 1, True, True)]),
    "sd15-pix2pix-small": ("sd1", "epsilon", "pix2pix", 0.18215, [("clip_l", 49407, 1, True, True)]),
    "sd21-base-small": ("sd2", "epsilon", "none", 0.18215, [("open_clip", 0, 2, False, True)]),
    "sd21-v-small": ("sd2", "v", "none", 0.18215, [("open_clip", 0, 2, False, True)]),
    "sd21-inpaint-small": ("sd2", "epsilon", "inpaint", 0.18215, [("open_clip", 0, 2, False, True)]),
    "sdxl-small": ("sdxl", "epsilon", "none", 0.13025,
                   [("clip_l", 49407, 2, False, False), ("clip_g", 0, 2, False, False)]),
    "sdxl-inpaint-small": ("sdxl", "epsilon", "inpaint", 0.13025,
                           [("clip_l", 49407, 2, False, False), ("clip_g", 0, 2, False, False)]),
    "sdxl-refiner-small": ("sdxl_refiner", "epsilon", "none", 0.13025, [("clip_g", 0, 2, False, False)]),
}  # fmt: skip


def model(path, kind="checkpoint"):
    return ModelFile(ModelFact(kind=kind, name=path.stem), path, path)


def new_cache(vocabulary, options=None, **more):
    options = options or EngineOptions(device="cpu")
    return ModelCache(Device.choose(options), options, vocabulary, **more)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("families")
    for kind in SMALL:
        write_checkpoint(folder / f"{kind}.safetensors", kind)
    return {kind: model(folder / f"{kind}.safetensors") for kind in SMALL}


@pytest.fixture(scope="module")
def cache(vocabulary):
    return new_cache(vocabulary)


@pytest.mark.parametrize("kind", SMALL)
def test_what_it_is_taken_for(cache, files, kind):
    with cache.borrow(files[kind]) as found:
        encoders = [(e.kind, e.pad, e.layer, e.skips, e.final_norm) for e in found.text_encoders]
        assert (found.family, found.prediction, found.concat, found.latent_scale, encoders) == EXPECTED[kind]
        assert (found.latent_channels, found.factor, found.name) == (4, 8, kind)
        heads = found.unet.config.attention_head_dim
        assert (
            heads == 8
            if found.family == "sd1"
            else list(heads) == [w // 64 for w in found.unet.config.block_out_channels]
        )
        assert found.unet.config.use_linear_projection == (found.family != "sd1")


@pytest.mark.parametrize("kind", SMALL)
def test_every_weight_lands_where_it_belongs(cache, files, kind):
    weights = weights_of(kind, dtype=torch.float16)
    with cache.borrow(files[kind]) as found:
        landed = {original_unet_name(n, found.unet.config): t for n, t in found.unet.state_dict().items()}
        vae = found.vae.state_dict()
        landed |= {f"first_stage_model.{original_vae_name(n, 4)}": t for n, t in vae.items()}
        for part in ("model.diffusion_model.", "first_stage_model."):
            assert {n for n in landed if n.startswith(part)} == {n for n in weights if n.startswith(part)}
        for name, tensor in landed.items():
            assert tensor.dtype == torch.float32
            assert torch.equal(tensor.flatten(), weights[name].float().flatten()), name
        for encoder in found.text_encoders:
            if encoder.kind == "clip_l":
                root = next(n for n in weights if n.endswith("text_model.final_layer_norm.weight"))[
                    : -len("final_layer_norm.weight")
                ]
                for name, tensor in encoder.model.state_dict().items():
                    assert torch.equal(tensor, weights[root + name].float()), name


def open_clip(weights, prefix, ids):
    """The text model as OpenCLIP runs it: the stream before each layer, the last, and the projected end token."""
    own = {name.removeprefix(prefix): t.float() for name, t in weights.items() if name.startswith(prefix)}
    width = own["ln_final.weight"].shape[0]

    def norm(x, name):
        return torch.nn.functional.layer_norm(x, (width,), own[f"{name}.weight"], own[f"{name}.bias"])

    mask = torch.full((len(ids), len(ids)), float("-inf")).triu(1)
    x = own["token_embedding.weight"][ids] + own["positional_embedding"]
    streams = [x]
    for layer in range(3):
        at = f"transformer.resblocks.{layer}"
        attend = torch.nn.MultiheadAttention(width, width // 64)
        attend.load_state_dict({
            "in_proj_weight": own[f"{at}.attn.in_proj_weight"], "in_proj_bias": own[f"{at}.attn.in_proj_bias"],
            "out_proj.weight": own[f"{at}.attn.out_proj.weight"], "out_proj.bias": own[f"{at}.attn.out_proj.bias"],
        })  # fmt: skip
        y = norm(x, f"{at}.ln_1")
        x = x + attend(y, y, y, attn_mask=mask, need_weights=False)[0]
        y = torch.nn.functional.gelu(
            norm(x, f"{at}.ln_2") @ own[f"{at}.mlp.c_fc.weight"].T + own[f"{at}.mlp.c_fc.bias"]
        )
        x = x + y @ own[f"{at}.mlp.c_proj.weight"].T + own[f"{at}.mlp.c_proj.bias"]
        streams.append(x)
    return streams, norm(x, "ln_final")[ids.index(49407)] @ own["text_projection"]


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        ("sd21-base-small", "cond_stage_model.model."),
        ("sdxl-small", "conditioner.embedders.1.model."),
        ("sdxl-refiner-small", "conditioner.embedders.0.model."),
    ],
)
def test_open_clip_computes_what_open_clip_computes(cache, files, kind, prefix):
    ids = [49406, 320, 1125, 539, 320, 2368, 49407] + [0] * 70
    with cache.borrow(files[kind]) as found, torch.inference_mode():
        encoder = found.text_encoders[-1]
        answer = encoder.model(torch.tensor([ids]), output_hidden_states=True)
        streams, pooled = open_clip(weights_of(kind, dtype=torch.float16), prefix, ids)
        assert torch.allclose(answer.hidden_states[-encoder.layer][0], streams[-encoder.layer], atol=1e-4)
        if kind != "sd21-base-small":
            assert torch.allclose(answer.text_embeds[0], pooled, atol=1e-4)


def test_the_probe_is_asked_once_and_remembered_beside_the_hash(vocabulary, files, tmp_path, monkeypatch):
    book = HashBook(tmp_path / "hashes.json")
    with new_cache(vocabulary, book=book).borrow(files["sd21-v-small"]) as found:
        assert found.prediction == "v"
    monkeypatch.setattr("gpu_worker.engine.checkpoints.single_file.probe_prediction", pytest.fail)
    with new_cache(vocabulary, book=HashBook(tmp_path / "hashes.json")).borrow(files["sd21-v-small"]) as found:
        assert found.prediction == "v"


def test_the_probe_reads_the_mean_of_one_call():
    class Shifted(torch.nn.Module):
        config = type("Config", (), {"in_channels": 4, "cross_attention_dim": 1024})

        def __init__(self, shift):
            super().__init__()
            self.shift = shift

        def forward(self, x, t, encoder_hidden_states, return_dict):
            assert (x == 0.5).all()
            assert (encoder_hidden_states == 0.5).all()
            assert (x.shape, encoder_hidden_states.shape, t.tolist()) == ((1, 4, 8, 8), (1, 2, 1024), [999])
            return (x + self.shift,)

    assert [probe_prediction(Shifted(shift)) for shift in (-1.01, -0.99, 0.0)] == ["v", "epsilon", "epsilon"]


@pytest.mark.parametrize(
    ("kind", "metadata", "extra", "sidecar", "prediction"),
    [
        ("sdxl-small", {}, {"v_pred": torch.zeros(0)}, "", "v"),
        ("sdxl-small", {"modelspec.prediction_type": "v"}, {}, "", "v"),
        ("sd21-v-small", {"modelspec.prediction_type": "epsilon"}, {}, "", "epsilon"),
        ("sd15-small", {}, {}, 'model:\n  params:\n    parameterization: "v"\n', "v"),
        ("sd21-v-small", {}, {}, "model:\n  target: x\n", "epsilon"),
    ],
)
def test_what_a_file_says_of_its_prediction_is_believed(
    vocabulary, tmp_path, kind, metadata, extra, sidecar, prediction
):
    from safetensors.torch import save_file

    save_file(weights_of(kind, dtype=torch.float16) | extra, tmp_path / "x.safetensors", metadata=metadata)
    if sidecar:
        (tmp_path / "x.yaml").write_text(sidecar)
    with new_cache(vocabulary).borrow(model(tmp_path / "x.safetensors")) as found:
        assert found.prediction == prediction


def test_zero_terminal_snr_rescales_the_levels(vocabulary, tmp_path):
    from safetensors.torch import save_file

    save_file(weights_of("sdxl-small", dtype=torch.float16) | {"ztsnr": torch.zeros(0)}, tmp_path / "x.safetensors")
    with new_cache(vocabulary).borrow(model(tmp_path / "x.safetensors")) as found:
        bars = 1 / (1 + found.table.sigmas**2)
        usual = torch.cumprod(1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2, 0)
        assert bars[0] == pytest.approx(float(usual[0]), rel=1e-5)
        assert bars[-1] == pytest.approx(4.8973451890853435e-08)
        assert found.table.high > 4000
        middle = ((usual[500].sqrt() - usual[-1].sqrt()) * usual[0].sqrt() / (usual[0].sqrt() - usual[-1].sqrt())) ** 2
        assert bars[500] == pytest.approx(float(middle), rel=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_files_of_other_precision(vocabulary, tmp_path, dtype):
    write_checkpoint(tmp_path / "x.safetensors", "sd15-small", dtype=dtype)
    expected = weights_of("sd15-small", dtype=dtype)["model.diffusion_model.out.2.weight"].float()
    with new_cache(vocabulary).borrow(model(tmp_path / "x.safetensors")) as found:
        assert torch.equal(found.unet.conv_out.weight, expected)


def test_half_precision_on_request_and_a_vae_kept_whole(vocabulary, files):
    options = EngineOptions(device="cpu", precision="bf16", no_half_vae=True)
    with new_cache(vocabulary, options).borrow(files["sdxl-small"]) as found:
        dtypes = {found.unet.dtype, *(encoder.model.dtype for encoder in found.text_encoders)}
        assert (dtypes, found.vae.dtype) == ({torch.bfloat16}, torch.float32)


def test_split_attention_gives_the_same_numbers(cache, vocabulary, files):
    x, context = torch.randn(1, 4, 8, 8), torch.randn(1, 77, 64)
    sliced = new_cache(vocabulary, EngineOptions(device="cpu", attention="split"))
    with cache.borrow(files["sd15-small"]) as a, sliced.borrow(files["sd15-small"]) as b, torch.inference_mode():
        kinds = {type(processor).__name__ for processor in b.unet.attn_processors.values()}
        assert kinds == {"SlicedAttnProcessor"}
        one, two = (found.unet(x, 10, encoder_hidden_states=context).sample for found in (a, b))
        assert torch.allclose(one, two, atol=1e-5)


def test_channels_last_on_request(vocabulary, files):
    options = EngineOptions(device="cpu", channels_last="on")
    with new_cache(vocabulary, options).borrow(files["sd15-small"]) as found:
        assert found.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last)
        assert not found.unet.conv_in.weight.is_contiguous()


@pytest.mark.parametrize(
    ("options", "reason"), [({"attention": "xformers"}, "no_xformers"), ({"device": "warp:3"}, "no_such_device")]
)
def test_what_the_machine_cannot_do_is_said_at_the_start(options, reason):
    with pytest.raises(EngineError) as caught:
        Device.choose(EngineOptions(**({"device": "cpu"} | options)))
    assert caught.value.detail["reason"] == reason


@pytest.mark.parametrize(
    ("kind", "lost", "problem"),
    [
        ("sd15-small", "cond_stage_model.", "no_text_encoder"),
        ("sdxl-small", "conditioner.embedders.0.", "no_text_encoder"),
        ("sd15-small", "first_stage_model.", "no_vae"),
        ("sd15-small", "model.diffusion_model.", "unknown_layout"),
        ("sd21-base-small", "model.diffusion_model.out.2.weight", "corrupt"),
        ("sd15-small", "first_stage_model.quant_conv.bias", "corrupt"),
        ("sdxl-small", "conditioner.embedders.1.model.transformer.resblocks.1.attn.in_proj_weight", "corrupt"),
    ],
)
def test_what_is_missing_is_named(vocabulary, tmp_path, kind, lost, problem):
    from safetensors.torch import save_file

    kept = {n: t for n, t in weights_of(kind, dtype=torch.float16).items() if not n.startswith(lost)}
    save_file(kept, tmp_path / "x.safetensors")
    with pytest.raises(EngineError) as caught, new_cache(vocabulary).borrow(model(tmp_path / "x.safetensors")):
        pass
    assert (caught.value.kind, caught.value.detail) == ("bad_model", {"checkpoint": "x", "problem": problem})


def test_names_from_before_the_text_models_prefix(cache, vocabulary, files, tmp_path):
    from safetensors.torch import save_file

    weights = weights_of("sd15-small", dtype=torch.float16)
    old = {name.replace("transformer.text_model.", "transformer."): tensor for name, tensor in weights.items()}
    save_file(old, tmp_path / "x.safetensors")
    with (
        cache.borrow(files["sd15-small"]) as newer,
        new_cache(vocabulary).borrow(model(tmp_path / "x.safetensors")) as older,
    ):
        one, two = (found.text_encoders[0].model.state_dict() for found in (newer, older))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)


def test_without_a_vocabulary_a_single_file_cannot_be_used(files):
    with pytest.raises(EngineError) as caught, new_cache(None).borrow(files["sd15-small"]):
        pass
    assert caught.value.detail["problem"] == "no_tokenizer"
