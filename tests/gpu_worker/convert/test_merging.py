"""Merges against A1111's formulas on whole dictionaries, in double precision."""

import json

import pytest
import torch
from conftest import digest
from make_checkpoint import weights_of, write_checkpoint
from safetensors.torch import load_file, save_file

from gpu_worker.engine.errors import EngineError
from gpu_worker.protocol.specs import MergeSpec

IDS = "cond_stage_model.transformer.text_model.embeddings.position_ids"
STEM = "model.diffusion_model.input_blocks.0.0.weight"


def put(shop, name, kind, seed, dtype=torch.float32, **more):
    path = shop.files["checkpoint", name] = shop.folder / f"{name}.safetensors"
    write_checkpoint(path, kind, seed=seed, dtype=dtype, **more)
    return {key: tensor for key, tensor in load_file(path).items() if not key.startswith("model_ema.")}


def close(got, wanted):
    assert got.keys() == wanted.keys()
    for key, tensor in wanted.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(got[key].double(), tensor.double(), rtol=2e-6, atol=2e-6, msg=key)
        else:
            assert torch.equal(got[key], tensor), key


def summed(a, b, share):
    return {
        k: (1 - share) * t.double() + share * b[k].double() if "model" in k and k != IDS else t for k, t in a.items()
    }


@pytest.mark.parametrize("kind", ["sd15-small", "sd21-v-small", "sdxl-small", "sdxl-refiner-small"])
def test_weighted_sum(shop, kind):
    a, b = put(shop, "a", kind, 0), put(shop, "b", kind, 1)
    got, metadata = shop.load(MergeSpec(output="o", first="a", second="b", multiplier=0.3, precision="keep"))
    close(got, summed(a, b, 0.3))
    recipe = json.loads(metadata["sd_merge_recipe"])
    hashes = [digest(shop.files["checkpoint", name]) for name in "ab"]
    assert recipe == {
        "type": "webui",
        "primary_model_hash": hashes[0],
        "secondary_model_hash": hashes[1],
        "tertiary_model_hash": None,
        "interp_method": "Weighted sum",
        "multiplier": 0.3,
        "save_as_half": False,
        "custom_name": "o",
        "config_source": 0,
        "bake_in_vae": "None",
        "discard_weights": "",
        "is_inpainting": False,
        "is_instruct_pix2pix": False,
    }
    models = json.loads(metadata["sd_merge_models"])
    assert list(models) == hashes
    assert models[hashes[0]] == {"name": "a.safetensors", "legacy_hash": None, "sd_merge_recipe": None}


def test_ends_of_the_scale(shop):
    a, b = put(shop, "a", "sd15-small", 0), put(shop, "b", "sd15-small", 1)
    for share, wanted in ((0, a), (1, b)):
        got, _ = shop.load(MergeSpec(output="o", first="a", second="b", multiplier=share, precision="keep"))
        for key, tensor in wanted.items():
            assert torch.equal(got[key], tensor), key


def test_add_difference(shop):
    a, b, c = (put(shop, name, "sd15-small", seed) for seed, name in enumerate("abc"))
    spec = MergeSpec(output="o", method="add difference", first="a", second="b", third="c", multiplier=0.7)
    got, _ = shop.load(spec.model_copy(update={"precision": "keep"}))
    wanted = {
        k: t.double() + 0.7 * (b[k].double() - c[k].double()) if "model" in k and k != IDS else t for k, t in a.items()
    }
    close(got, wanted)
    half, metadata = shop.load(spec)
    assert half[STEM].dtype == torch.float16
    assert json.loads(metadata["sd_merge_recipe"])["save_as_half"] is True
    assert metadata["modelspec.merged_from"] == "a, b, c"


@pytest.mark.parametrize(("kind", "channels", "field"), [
    ("sd15-inpaint-small", 9, "is_inpainting"), ("sd15-pix2pix-small", 8, "is_instruct_pix2pix"),
])  # fmt: skip
def test_an_inpainting_version_of_another(shop, kind, channels, field):
    a = put(shop, "a", kind, 0)
    b, c = put(shop, "b", "sd15-small", 1), put(shop, "c", "sd15-small", 2)
    spec = MergeSpec(
        output="o", method="add difference", first="a", second="b", third="c", multiplier=1, precision="keep"
    )
    got, metadata = shop.load(spec)
    assert got[STEM].shape[1] == channels
    assert torch.equal(got[STEM][:, 4:], a[STEM][:, 4:])
    torch.testing.assert_close(got[STEM][:, :4], a[STEM][:, :4] + (b[STEM] - c[STEM]))
    assert json.loads(metadata["sd_merge_recipe"])[field] is True
    with pytest.raises(EngineError) as caught:
        shop.make(MergeSpec(output="o", first="b", second="a"))
    assert caught.value.detail == {"reason": "merge_order", "checkpoint": "a", "other": "b"}


def test_other_families_and_shapes(shop):
    put(shop, "a", "sd15-small", 0)
    put(shop, "x", "sdxl-small", 0)
    weights = weights_of("sd15-small")
    weights["model.diffusion_model.out.0.weight"] = torch.ones(5)
    save_file(weights, shop.folder / "odd.safetensors")
    shop.files["checkpoint", "odd"] = shop.folder / "odd.safetensors"
    for other in ("x", "odd"):
        with pytest.raises(EngineError) as caught:
            shop.make(MergeSpec(output="o", first="a", second=other))
        assert caught.value.detail == {"reason": "merge_misfit", "checkpoint": "a", "other": other}
    assert not list(shop.folder.glob("made*"))


def test_keys_that_one_of_them_lacks(shop):
    a, b, c = (put(shop, name, "sd15-small", seed) for seed, name in enumerate("abc"))
    mine, theirs, gone = sorted(key for key in a if "first_stage_model" in key and key.endswith("weight"))[:3]
    for name, tensors, missing in (("a", a, theirs), ("b", b, mine), ("c", c, gone)):
        save_file({key: tensor for key, tensor in tensors.items() if key != missing}, shop.files["checkpoint", name])
    got, _ = shop.load(MergeSpec(output="o", first="a", second="b", precision="keep"))
    assert torch.equal(got[mine], a[mine])
    assert torch.equal(got[theirs], b[theirs])
    spec = MergeSpec(output="o", method="add difference", first="a", second="b", third="c", precision="keep")
    got, _ = shop.load(spec)
    assert torch.equal(got[gone], a[gone])
    assert theirs not in got


def test_no_interpolation_and_a_history(shop):
    recipe, models = {"type": "webui", "n": 1}, {"aa": {"name": "older"}}
    metadata = {"sd_merge_recipe": json.dumps(recipe), "sd_merge_models": json.dumps(models)}
    a = put(shop, "a", "sd15-small", 0, metadata=metadata)
    got, metadata = shop.load(MergeSpec(output="o", method="no interpolation", first="a", precision="keep"))
    for key, tensor in a.items():
        assert torch.equal(got[key], tensor)
    models = json.loads(metadata["sd_merge_models"])
    assert models["aa"] == {"name": "older"}
    assert models[digest(shop.files["checkpoint", "a"])]["sd_merge_recipe"] == recipe


def test_the_same_bytes_again(shop):
    put(shop, "a", "sd15-small", 0, torch.float16)
    put(shop, "b", "sd15-small", 1, torch.float16)
    spec = MergeSpec(output="o", first="a", second="b")
    before = torch.get_num_threads()
    made = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        made.append(shop.make(spec, f"m{threads}").sha256)
    torch.set_num_threads(before)
    assert made[0] == made[1]


def test_specs_name_as_many_checkpoints_as_they_need():
    for bad in ({"second": None}, {"second": "b", "third": "c"}, {"method": "add difference", "second": "b"},
                {"method": "no interpolation", "second": "b"}):  # fmt: skip
        with pytest.raises(ValueError, match="other checkpoints"):
            MergeSpec(output="o", first="a", **bad)
