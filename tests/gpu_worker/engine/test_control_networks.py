"""Control models of every published layout compute what diffusers' own networks compute."""

import numpy as np
import pytest
import torch
from control_files import (
    control_lora,
    controlnet,
    difference,
    original_names,
    original_t2i,
    save,
    shaken,
    t2i,
    union,
)
from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint
from network_checkpoints import unet as random_unet

from gpu_worker.engine.checkpoints.checkpoint import Checkpoint
from gpu_worker.engine.checkpoints.residence import Card, Resident
from gpu_worker.engine.control.network import ControlModel, check_fit, load_control
from gpu_worker.engine.control.residuals import Inputs, residuals
from gpu_worker.engine.control.units import ControlMap, OpenedUnit
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.sampling.sigmas import SigmaTable
from gpu_worker.language.kinds import read_file
from gpu_worker.protocol.specs import ControlUnit

CPU = Device.choose("cpu")


def checkpoint(family):
    torch.manual_seed(0)
    unet = shaken(random_unet(family), 0)
    return Checkpoint("dreamy", family, unet, None, (), 1.0, SigmaTable.scaled_linear(), CPU)


@pytest.fixture(scope="module")
def families():
    return {family: checkpoint(family) for family in ("sd1", "sd2", "sdxl")}


def inputs(unet, rows=2, side=16):
    dice = torch.Generator().manual_seed(9)
    added = {}
    if unet.config.addition_embed_type:
        width = unet.config.projection_class_embeddings_input_dim - 6 * unet.config.addition_time_embed_dim
        added = {
            "text_embeds": torch.randn(rows, width, generator=dice),
            "time_ids": torch.full((rows, 6), 64.0),
        }
    return Inputs(
        torch.randn(rows, 4, side, side, generator=dice),
        torch.full((rows,), 500.0),
        torch.randn(rows, 77, unet.config.cross_attention_dim, generator=dice),
        added,
    )


def picture(seed=0, side=128, channels=3):
    return torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(seed))


def unit_map(path, found, pixels=None, type_index=0, **wish):
    model = ControlModel(path.stem, load_control(path, path.stem, found, CPU))
    check_fit(model, found)
    opened = OpenedUnit(ControlUnit(model=path.stem, **wish), model, None, None)
    return ControlMap(opened, picture() if pixels is None else pixels, None, type_index)


def ours(found, maps, rows=2):
    with torch.no_grad():
        return residuals(found, inputs(found.unet, rows), [tuple(maps)] * rows)


def theirs(found, network, pixels=None, weight=1.0, **more):
    given = inputs(found.unet)
    pixels = picture() if pixels is None else pixels
    with torch.no_grad():
        return network(
            given.sample, given.timesteps, encoder_hidden_states=given.context,
            controlnet_cond=pixels.expand(2, -1, -1, -1), conditioning_scale=weight,
            added_cond_kwargs=given.added or None, return_dict=False, **more,
        )  # fmt: skip


def same(got, wanted):
    down, middle = wanted
    tensors = (*got["down_block_additional_residuals"], got["mid_block_additional_residual"])
    assert len(tensors) == len(down) + 1
    for mine, other in zip(tensors, (*down, middle), strict=True):
        assert torch.allclose(mine, other, atol=1e-5)
        assert other.abs().max() > 1e-3, "a test that compares nothing"


LAYOUTS = {
    "diffusers": lambda state, layers: state,
    "original": lambda state, layers: {f"control_model.{k}": v for k, v in original_names(state, layers).items()},
    "bare": original_names,
    "beside": lambda state, layers: {
        **{f"control_model.{k}": v for k, v in original_names(state, layers).items()},
        "model.diffusion_model.input_blocks.0.0.weight": torch.ones(1),
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("family", ["sd1", "sd2", "sdxl"])
def test_every_layout_of_every_family_computes_the_same(families, tmp_path, family, layout):
    found = families[family]
    network = controlnet(found.unet)
    path = save(LAYOUTS[layout](network.state_dict(), 2), tmp_path / "canny.safetensors")
    same(ours(found, [unit_map(path, found)]), theirs(found, network))
    reading = read_file("controlnet", path)
    assert (reading.problem, reading.variant) == (None, None)


def test_half_precision_and_pickles_are_read(families, tmp_path):
    found = families["sd1"]
    network = controlnet(found.unet)
    state = {key: value.half() for key, value in original_names(network.state_dict(), 2).items()}
    torch.save({"state_dict": {f"control_model.{key}": value for key, value in state.items()}}, tmp_path / "canny.pth")
    got = ours(found, [unit_map(tmp_path / "canny.pth", found)])
    down, _ = theirs(found, network)
    assert torch.allclose(got["down_block_additional_residuals"][3], down[3], atol=1e-2)


def test_names_are_translated_as_diffusers_does(families):
    state = controlnet(families["sd1"].unet).state_dict()
    converted = convert_controlnet_checkpoint(
        {f"control_model.{key}": value for key, value in original_names(state, 2).items()}, {"layers_per_block": 2}
    )
    assert set(converted) == set(state)
    assert all(torch.equal(converted[key], state[key]) for key in state)


def test_a_difference_is_transferred_to_the_checkpoint(families, tmp_path):
    first, second = families["sd1"], checkpoint("sd1")
    second.unet.conv_in.weight.data += 0.3
    network = controlnet(first.unet)
    state = network.state_dict()
    state["down_blocks.0.resnets.0.conv1.weight"] = first.unet.down_blocks[0].resnets[0].conv1.weight.clone()
    network.load_state_dict(state)
    tensors = difference(state, first.unet, 2)
    assert "control_model.input_blocks.1.0.in_layers.2.weight" not in tensors
    path = save(tensors, tmp_path / "canny_diff.safetensors")
    assert read_file("controlnet", path).variant == "control_difference"
    same(ours(first, [unit_map(path, first)]), theirs(first, network))
    moved = controlnet(first.unet)
    moved.load_state_dict(state | {"conv_in.weight": state["conv_in.weight"] + 0.3})
    same(ours(second, [unit_map(path, second)]), theirs(second, moved))


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_control_lora_is_completed_by_the_checkpoint(families, tmp_path, family):
    found = families[family]
    network, tensors = control_lora(found.unet)
    path = save(tensors, tmp_path / "lora.safetensors")
    assert read_file("controlnet", path).variant == "control_lora"
    same(ours(found, [unit_map(path, found)]), theirs(found, network))


@pytest.mark.parametrize("types", [6, 8])
def test_a_union_model_is_told_what_its_map_shows(families, tmp_path, types):
    found = families["sdxl"]
    network = union(found.unet, types)
    path = save(network.state_dict(), tmp_path / "union.safetensors")
    assert read_file("controlnet", path).variant == "control_union"
    given = inputs(found.unet)
    kind = torch.zeros(2, types)
    kind[:, 3] = 1
    with torch.no_grad():
        wanted = network(
            given.sample, given.timesteps, encoder_hidden_states=given.context,
            controlnet_cond=[picture().expand(2, -1, -1, -1)], control_type=kind, control_type_idx=[3],
            added_cond_kwargs=given.added, return_dict=False,
        )  # fmt: skip
    canny = unit_map(path, found, type_index=3)
    same(ours(found, [canny]), wanted)
    tile = OpenedUnit(ControlUnit(model="union", control_type="Tile"), canny.opened.model, None, None)
    none = OpenedUnit(ControlUnit(model="union"), canny.opened.model, None, None)
    assert OpenedUnit(ControlUnit(model="union", preprocessor="canny"), tile.model, None, None).type_index() == 3
    with pytest.raises(EngineError, match="which type"):
        none.type_index()
    if types == 8:
        assert tile.type_index() == 6
    else:
        with pytest.raises(EngineError) as caught:
            tile.type_index()
        assert caught.value.detail["reason"] == "control_type_absent"


@pytest.mark.parametrize("layout", ["diffusers", "original"])
@pytest.mark.parametrize(
    ("family", "kind", "channels"),
    [
        ("sd1", "full_adapter", 3),
        ("sd1", "full_adapter", 1),
        ("sd1", "light_adapter", 3),
        ("sdxl", "full_adapter_xl", 3),
    ],
)
def test_a_t2i_adapter_adds_its_features(families, tmp_path, layout, family, kind, channels):
    found = families[family]
    network = t2i(found.unet, kind=kind, channels=channels)
    state = network.state_dict()
    path = save(original_t2i(state) if layout == "original" else state, tmp_path / "t2i.safetensors")
    reading = read_file("controlnet", path)
    assert (reading.variant, reading.family) == ("t2i_adapter", "sdxl" if family == "sdxl" else None)
    got = ours(found, [unit_map(path, found, weight=0.6)])
    given = inputs(found.unet)

    def answer(**more):
        with torch.no_grad():
            return found.unet(
                given.sample, given.timesteps, given.context, added_cond_kwargs=given.added or None, **more
            )[0]

    with torch.no_grad():
        features = [feature.expand(2, -1, -1, -1) * 0.6 for feature in network(picture()[:, :channels])]
    assert torch.allclose(answer(**got), answer(down_intrablock_additional_residuals=features), atol=1e-5)
    assert not torch.allclose(answer(), answer(**ours(found, [unit_map(path, found, weight=0.6)])), atol=1e-2)


def test_units_are_summed_and_rows_keep_their_own(families, tmp_path):
    found = families["sd1"]
    networks = [controlnet(found.unet, seed) for seed in (1, 2)]
    paths = [save(n.state_dict(), tmp_path / f"{at}.safetensors") for at, n in enumerate(networks)]
    first = unit_map(paths[0], found, weight=0.7)
    second = unit_map(paths[1], found, picture(5), weight=0.3)
    (one, one_mid), (other, other_mid) = (
        theirs(found, networks[0], weight=0.7),
        theirs(found, networks[1], picture(5), weight=0.3),
    )
    same(ours(found, [first, second]), ([a + b for a, b in zip(one, other, strict=True)], one_mid + other_mid))
    with torch.no_grad():
        mixed = residuals(found, inputs(found.unet), [(), (first,)])
    assert not mixed["mid_block_additional_residual"][0].any()
    assert torch.allclose(mixed["mid_block_additional_residual"][1], one_mid[1], atol=1e-5)
    with torch.no_grad():
        twice = residuals(found, inputs(found.unet), [(first, first), (second, first)])
    assert torch.allclose(twice["mid_block_additional_residual"][0], 2 * one_mid[0], atol=1e-5)
    assert torch.allclose(twice["mid_block_additional_residual"][1], (one_mid + other_mid)[1], atol=1e-5)


def test_shuffle_models_say_what_and_not_where(families, tmp_path):
    found = families["sd1"]
    network = controlnet(found.unet)
    path = save(network.state_dict(), tmp_path / "control_v11e_sd15_shuffle.safetensors")
    each = unit_map(path, found)
    assert each.opened.on_cond_alone
    down, middle = theirs(found, network)

    def averaged(tensor):
        return tensor.mean((2, 3), keepdim=True).expand_as(tensor)

    same(ours(found, [each]), ([averaged(d) for d in down], averaged(middle)))


def test_a_mask_bounds_where_it_leads(families, tmp_path):
    found = families["sd1"]
    network = controlnet(found.unet)
    each = unit_map(save(network.state_dict(), tmp_path / "canny.safetensors"), found)
    where = torch.zeros(1, 1, 128, 128)
    where[..., :64] = 1
    got = ours(found, [ControlMap(each.opened, each.pixels, where)])["down_block_additional_residuals"][0]
    assert torch.allclose(got[..., :8], theirs(found, network)[0][0][..., :8], atol=1e-5)
    assert not got[..., 8:].any()


@pytest.mark.parametrize("made_for", ["sd2", "sdxl"])
def test_another_family_is_refused(families, tmp_path, made_for):
    unet = families[made_for].unet
    files = {
        "net": controlnet(unet).state_dict(),
        "diff": difference(controlnet(unet).state_dict(), unet, 2),
        "lora": control_lora(unet)[1],
    }
    if made_for == "sdxl":
        files |= {"t2i": t2i(unet, kind="full_adapter_xl").state_dict(), "union": union(unet).state_dict()}
    for name, tensors in files.items():
        path = save(tensors, tmp_path / f"{name}.safetensors")
        with pytest.raises(EngineError) as caught:
            unit_map(path, families["sd1"])
        assert (caught.value.kind, caught.value.detail.get("reason")) == ("bad_input", "control_misfit"), name


def test_damaged_and_foreign_files_are_told(families, tmp_path):
    found = families["sd1"]
    state = controlnet(found.unet).state_dict()
    del state["controlnet_down_blocks.2.weight"]
    cases = {
        "corrupt": state,
        "unsupported": {"image_proj.proj.weight": torch.ones(1), "ip_adapter.1.to_k_ip.weight": torch.ones(1)},
        "unknown_layout": {"lora_unet_x.lora_up.weight": torch.ones(1)},
    }
    for problem, tensors in cases.items():
        with pytest.raises(EngineError) as caught:
            load_control(save(tensors, tmp_path / "x.safetensors"), "x", found, CPU)
        assert (caught.value.kind, caught.value.detail) == ("bad_model", {"controlnet": "x", "problem": problem})
    (tmp_path / "x.safetensors").write_bytes(np.random.default_rng(1).bytes(99))
    with pytest.raises(EngineError):
        load_control(tmp_path / "x.safetensors", "x", found, CPU)


@pytest.mark.parametrize("memory", ["medium", "low"])
def test_it_stays_beside_the_unet_where_one_part_at_a_time_is_on_the_card(memory):
    device = Device(torch.device("cpu"), torch.float32, memory=memory)
    card = Card(device, None, lambda network, to: None)
    text, unet, first, second, vae = (
        Resident(part, [torch.nn.Linear(2, 2)]) for part in ("text", "unet", "control", "control", "vae")
    )

    def there(needed):
        card.need(needed)
        return [each for each in (text, unet, first, second, vae) if card.holds(each)]

    assert there(text) == [text]
    assert there(unet) == [unet]
    assert there(first) == [unet, first]
    assert there(second) == [unet, first, second]
    assert there(unet) == [unet, first, second]
    assert there(vae) == [vae]
    assert there(first) == [first]
    assert there(unet) == [unet, first]
