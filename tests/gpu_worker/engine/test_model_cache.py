"""What stays loaded: borrowing, budgets, changed files, separate VAEs, and where the memory modes keep networks."""

import json
import os
import shutil
import threading

import pytest
import torch
from make_checkpoint import weights_of, write_checkpoint
from safetensors.torch import save_file

from gpu_worker.engine.checkpoints import cache as module
from gpu_worker.engine.checkpoints.budgets import memory_budget
from gpu_worker.engine.checkpoints.cache import ModelCache
from gpu_worker.engine.checkpoints.residence import RAM, move_network
from gpu_worker.engine.checkpoints.vae_choice import choose_vae
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.engine.options import EngineOptions
from gpu_worker.language.models import ModelFile, scan_model_files
from gpu_worker.language.vaes import vae_near_checkpoint
from gpu_worker.protocol.messages import ModelFact

pytestmark = pytest.mark.slow

GIB = 1 << 30
CARD = "cpu:0"
"""A card that can be told from the machine's memory ("cpu") and is the same all the same."""


def model(path, kind="checkpoint", problem=None):
    return ModelFile(ModelFact(kind=kind, name=path.stem, problem=problem), path, path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cache")
    found = []
    for number in range(3):
        write_checkpoint(folder / f"{number}.safetensors", "sd15-small", seed=number)
        found.append(model(folder / f"{number}.safetensors"))
    return found


@pytest.fixture
def new(vocabulary):
    def make(move=move_network, **options):
        wish = EngineOptions(**({"device": "cpu"} | options))
        return ModelCache(Device.choose(wish), wish, vocabulary, move=move)

    return make


def size_of(checkpoint):
    networks = (checkpoint.unet, checkpoint.vae, *(encoder.model for encoder in checkpoint.text_encoders))
    return sum(t.numel() * t.element_size() for n in networks for t in (*n.parameters(), *n.buffers()))


def answer(checkpoint):
    with torch.inference_mode():
        checkpoint.need("text")
        text = checkpoint.text_encoders[0].model(torch.tensor([[49406, 320, 49407]])).last_hidden_state
        x = torch.linspace(-1, 1, 256).reshape(1, 4, 8, 8)
        checkpoint.need("unet")
        out = checkpoint.unet(x, 500, encoder_hidden_states=text, return_dict=False)[0]
        checkpoint.need("vae")
        return checkpoint.vae.decode(out, return_dict=False)[0].clone()


def test_a_second_use_does_not_touch_the_disk(new, tmp_path):
    path = tmp_path / "x.safetensors"
    write_checkpoint(path, "sd15-small", dtype=torch.float32)
    cache = new()
    with cache.borrow(model(path)) as first:
        before = answer(first)
    stat = path.stat()
    with path.open("r+b") as file:  # other contents, and by its stamp the same file
        file.write(os.urandom(stat.st_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert cache.holds(model(path))
    with cache.borrow(model(path)) as second:
        assert second is first
        assert torch.equal(answer(second), before)


def test_a_changed_file_is_loaded_anew_and_the_old_one_let_go(new, tmp_path):
    path = tmp_path / "x.safetensors"
    write_checkpoint(path, "sd15-small", seed=1)
    cache = new()
    with cache.borrow(model(path)) as old:
        weight = old.unet.conv_in.weight.clone()
    path.unlink()
    write_checkpoint(path, "sd15-small", seed=2)
    os.utime(path, ns=(0, 0))
    assert not cache.holds(model(path))
    with cache.borrow(model(path)) as found:
        assert not torch.equal(found.unet.conv_in.weight, weight)
    assert len(cache._shelf.items) == 2


def test_the_least_recently_used_goes_first_and_nothing_that_is_borrowed(new, files):
    with new().borrow(files[0]) as one:
        room = 2.5 * size_of(one) / GIB
    cache = new(ram_cache_gb=room)
    a, b, c = files
    for wanted in (a, b, a, c):
        with cache.borrow(wanted):
            pass
    assert [cache.holds(file) for file in files] == [True, False, True]
    with cache.borrow(a) as kept, cache.borrow(b), cache.borrow(c), cache.borrow(a) as again:
        assert kept is again
        assert [cache.holds(file) for file in files] == [True, True, True]
    assert sum(cache.holds(file) for file in files) == 2
    cache.clear()
    assert not any(cache.holds(file) for file in files)


def test_what_alone_exceeds_the_budget_stays_until_another_is_wanted(new, files):
    cache = new(ram_cache_gb=0.001)
    with cache.borrow(files[0]) as first:
        pass
    with cache.borrow(files[0]) as second:
        assert first is second
    with cache.borrow(files[1]):
        assert not cache.holds(files[0])


def test_clearing_leaves_what_is_borrowed_even_by_two(new, files):
    cache = new()
    with cache.borrow(files[0]) as one:
        with cache.borrow(files[0]):
            pass
        cache.clear()
        assert cache.holds(files[0])
        assert answer(one).isfinite().all()
    cache.clear()
    assert not cache.holds(files[0])


def test_jobs_of_several_threads_load_a_checkpoint_once(new, files, monkeypatch):
    loads, load = [], module.load_networks
    monkeypatch.setattr(module, "load_networks", lambda *a, **k: loads.append(a) or load(*a, **k))
    cache, found = new(), []

    def work():
        with cache.borrow(files[0]) as checkpoint:
            found.append(checkpoint)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert len({id(checkpoint) for checkpoint in found}) == 1


def test_out_of_memory_while_loading_drops_the_rest_and_tries_again(new, files, monkeypatch):
    cache, load = new(), module.load_networks
    with cache.borrow(files[0]):
        pass

    def short(*args):
        if cache.holds(files[0]):
            raise torch.OutOfMemoryError("full")
        return load(*args)

    monkeypatch.setattr(module, "load_networks", short)
    with cache.borrow(files[1]) as found:
        assert found.name == "1"
    monkeypatch.setattr(module, "load_networks", lambda *a: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(torch.OutOfMemoryError), cache.borrow(files[2]):
        pass
    monkeypatch.undo()
    with cache.borrow(files[2]) as found:
        assert found.name == "2"


def test_a_file_that_is_gone_is_missing(new, tmp_path):
    with pytest.raises(EngineError) as caught, new().borrow(model(tmp_path / "gone.safetensors")):
        pass
    assert (caught.value.kind, caught.value.detail) == ("missing_model", {"checkpoint": "gone"})


# --- VAEs -------------------------------------------------------------------------------------------------------------


def vae_formats(folder, cache, file):
    """One VAE as its checkpoint has it, in every format in the wild; by name."""
    own = {
        n.removeprefix("first_stage_model."): t
        for n, t in weights_of("sd15-small", seed=7).items()
        if "first_stage" in n
    }
    save_file(own, folder / "ldm.safetensors")
    save_file({f"first_stage_model.{n}": t for n, t in own.items()}, folder / "prefixed.safetensors")
    training = {"loss.logvar": torch.zeros(1), "model_ema.decay": torch.zeros(1)}
    torch.save({"state_dict": own | training, "epoch": 3}, folder / "nested.ckpt")
    torch.save(own, folder / "bare.pt", _use_new_zipfile_serialization=False)
    with cache.borrow(file, model(folder / "ldm.safetensors", "vae")) as found:
        named = {name: tensor.clone() for name, tensor in found.vae.state_dict().items()}
    save_file(named, folder / "diffusers.safetensors")
    old = {}
    for name, tensor in named.items():
        for new, before in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{before}.")
        old[name] = tensor[:, :, None, None] if "attentions.0.query.weight" in name else tensor
    save_file(old, folder / "olddiffusers.safetensors")
    return [model(path, "vae") for path in sorted(folder.iterdir())]


def test_a_separate_vae_in_every_format_and_the_networks_shared(new, files, tmp_path):
    cache = new()
    latents = torch.linspace(-1, 1, 64).reshape(1, 4, 4, 4)
    expected = weights_of("sd15-small", seed=7)["first_stage_model.decoder.conv_out.weight"]
    pictures = {}
    with cache.borrow(files[0]) as own, torch.inference_mode():
        mine = own.vae.decode(latents).sample
        for vae in vae_formats(tmp_path, cache, files[0]):
            with cache.borrow(files[0], vae) as found:
                assert found.unet is own.unet
                assert found.text_encoders is own.text_encoders
                assert found.latent_scale == own.latent_scale
                assert torch.equal(found.vae.decoder.conv_out.weight, expected), vae.path
                pictures[vae.path.name] = found.vae.decode(latents).sample
    assert len(pictures) == 6
    first = pictures.pop("ldm.safetensors")
    assert not torch.allclose(first, mine)
    assert all(torch.equal(first, picture) for picture in pictures.values())


def test_a_chosen_vae_stands_in_for_a_missing_one(new, tmp_path):
    weights = weights_of("sd15-small", dtype=torch.float16)
    vae = {n: t for n, t in weights.items() if n.startswith("first_stage_model.")}
    save_file({n: t for n, t in weights.items() if n not in vae}, tmp_path / "x.safetensors")
    save_file(vae, tmp_path / "v.safetensors")
    cache = new()
    with pytest.raises(EngineError) as caught, cache.borrow(model(tmp_path / "x.safetensors")):
        pass
    assert caught.value.detail == {"checkpoint": "x", "problem": "no_vae"}
    with cache.borrow(model(tmp_path / "x.safetensors"), model(tmp_path / "v.safetensors", "vae")) as found:
        assert answer(found).isfinite().all()
    cache.clear()
    assert cache._shelf.items == {}


@pytest.mark.parametrize(
    ("contents", "problem"),
    [
        ({"a": torch.zeros(1)}, "no_vae"),
        ({"decoder.conv_in.weight": torch.zeros(1)}, "corrupt"),
        ("wide", "unsupported"),
    ],
)
def test_a_file_that_is_no_vae_for_it(new, files, tmp_path, contents, problem):
    if contents == "wide":
        own = {
            n.removeprefix("first_stage_model."): t for n, t in weights_of("sd15-small").items() if "first_stage" in n
        }
        own["encoder.conv_out.weight"], own["encoder.conv_out.bias"] = torch.zeros(32, 32, 3, 3), torch.zeros(32)
        own["quant_conv.weight"], own["quant_conv.bias"] = torch.zeros(32, 32, 1, 1), torch.zeros(32)
        own["post_quant_conv.weight"], own["post_quant_conv.bias"] = torch.zeros(16, 16, 1, 1), torch.zeros(16)
        own["decoder.conv_in.weight"] = torch.zeros(32, 16, 3, 3)
        contents = own
    save_file(contents, tmp_path / "v.safetensors")
    with pytest.raises(EngineError) as caught, new().borrow(files[0], model(tmp_path / "v.safetensors", "vae")):
        pass
    assert caught.value.detail == {"vae": "v", "problem": problem}


def test_the_choice_of_a_vae(tmp_path):
    dream = model(tmp_path / "dream.safetensors")
    near = [model(tmp_path / name, "vae") for name in ("mse.pt", "dream10.vae.pt", "dream9.vae.pt")]
    broken = model(tmp_path / "dream.vae.pt", "vae", "corrupt")
    assert choose_vae("Automatic", dream, [*near, broken]) is near[2]
    assert choose_vae("Automatic", model(tmp_path / "other.ckpt"), near) is None
    assert choose_vae("None", dream, near) is None
    assert choose_vae("mse", dream, near) is choose_vae("mse.pt", dream, near) is near[0]
    for wish, kind in (("gone", "missing_model"), ("dream.vae", "bad_model")):
        with pytest.raises(EngineError) as caught:
            choose_vae(wish, dream, [*near, broken])
        assert (caught.value.kind, caught.value.detail["vae"]) == (kind, wish)
    assert vae_near_checkpoint("/m/model", ["/v/other.pt"]) is None


# --- memory modes -----------------------------------------------------------------------------------------------------


class Moves:
    """Moves networks, and remembers who went where."""

    def __init__(self):
        self.log = []

    def __call__(self, network, to):
        self.log.append((type(network).__name__, "ram" if to == RAM else "card"))
        move_network(network, to)

    def taken(self):
        taken, self.log = self.log, []
        return taken


UNET, TEXT, VAE = "UNet2DConditionModel", "CLIPTextModel", "AutoencoderKL"


@pytest.mark.parametrize("memory", ["auto", "high"])
def test_with_room_all_parts_go_to_the_card_once(new, files, memory):
    moves = Moves()
    cache = new(moves, device=CARD, memory=memory)
    with cache.borrow(files[0]) as found:
        assert sorted(moves.taken()) == [(VAE, "card"), (TEXT, "card"), (UNET, "card")]
        answer(found)
        assert moves.taken() == []


def test_medium_keeps_one_part_on_the_card(new, files):
    with new().borrow(files[0]) as found:
        expected = answer(found)
    moves = Moves()
    with new(moves, device=CARD, memory="medium").borrow(files[0]) as found:
        assert moves.taken() == []
        assert torch.equal(answer(found), expected)
        journeys = [(TEXT, "card"), (TEXT, "ram"), (UNET, "card"), (UNET, "ram"), (VAE, "card")]
        assert moves.taken() == journeys
        found.need("vae")
        assert moves.taken() == []


def test_low_takes_the_unet_block_by_block_and_leaves_no_hook(new, files):
    with new().borrow(files[0]) as found:
        expected = answer(found)
    moves = Moves()
    with new(moves, device=CARD, memory="low").borrow(files[0]) as found:
        assert torch.equal(answer(found), expected)
        log = moves.taken()
        assert (UNET, "card") not in log
        visits = [name for name, to in log if to == "card" and name.endswith(("Block2D", "Block", "sample2D"))]
        assert visits.count("ResnetBlock2D") == 14
        assert visits.count("BasicTransformerBlock") == 10
        assert log[-2:] == [(UNET, "ram"), (VAE, "card")]
        hooks = [m for m in found.unet.modules() if m._forward_pre_hooks or m._forward_hooks]
        assert hooks == []
        found.need("unet")
        with pytest.raises(RuntimeError):
            found.unet(torch.zeros(1, 3, 8, 8), 1, encoder_hidden_states=torch.zeros(1, 77, 64))
        assert torch.equal(answer(found), expected)


def test_auto_makes_room_within_its_budget_and_streams_what_exceeds_it(new, files):
    with new().borrow(files[0]) as found:
        expected = answer(found)
        unet = sum(t.numel() * 4 for t in found.unet.parameters()) / GIB
        text = sum(t.numel() * 4 for t in found.text_encoders[0].model.parameters()) / GIB
    moves = Moves()
    with new(moves, device=CARD, vram_cache_gb=1.1 * max(unet, text)).borrow(files[0]) as found:
        assert torch.equal(answer(found), expected)
        log = moves.taken()
        assert (UNET, "card") in log
        assert (TEXT, "ram") in log
    with new(moves, device=CARD, vram_cache_gb=unet / 2).borrow(files[0]) as found:
        assert torch.equal(answer(found), expected)
        assert (UNET, "card") not in moves.taken()


def test_what_is_not_borrowed_leaves_the_card_first_and_high_keeps_the_rest(new, files):
    with new().borrow(files[0]) as found:
        room = 1.2 * size_of(found) / GIB
    moves = Moves()
    cache = new(moves, device=CARD, memory="high", vram_cache_gb=room)
    with cache.borrow(files[0]) as first:
        with cache.borrow(files[1]):
            pass
        moves.taken()
        answer(first)
        assert moves.taken() == []
    with cache.borrow(files[1]) as second:
        answer(second)
        assert {to for name, to in moves.taken() if name == UNET} == {"ram", "card"}


def test_a_network_that_does_not_fit_is_brought_back_whole(new, files):
    full = [False]

    def move(network, to):
        move_network(network, to)
        if full[0] and to != RAM:
            raise torch.OutOfMemoryError("full")

    with new(move, device=CARD, memory="medium").borrow(files[0]) as found:
        full[0] = True
        with pytest.raises(torch.OutOfMemoryError):
            found.need("unet")
        full[0] = False
        assert answer(found).isfinite().all()


def test_parts_are_brought_under_inference_mode_as_ordinary_weights(new, files):
    cache = new(device=CARD, memory="medium")
    with torch.inference_mode(), cache.borrow(files[0]) as found:
        found.need("unet")
        assert not any(p.is_inference() for p in (*found.unet.parameters(), *found.vae.parameters()))


def test_budgets_follow_the_machine_and_the_operator():
    assert memory_budget(EngineOptions(ram_cache_gb=1.5)) == 3 * GIB // 2
    assert 0 < memory_budget(EngineOptions()) < 1 << 50


# --- diffusers folders ------------------------------------------------------------------------------------------------


def write_folder(folder, found, vocabulary, kind, prediction="epsilon"):
    """A loaded checkpoint as diffusers saves it."""
    found.unet.save_pretrained(folder / "unet")
    found.vae.save_pretrained(folder / "vae")
    index = {"_class_name": kind, "unet": ["diffusers", "UNet2DConditionModel"], "text_encoder": [None, None]}
    for encoder in found.text_encoders:
        suffix = "_2" if encoder.kind == "clip_g" else ""
        encoder.model.save_pretrained(folder / f"text_encoder{suffix}")
        shutil.copytree(vocabulary, folder / f"tokenizer{suffix}")
        index[f"text_encoder{suffix}"] = ["transformers", type(encoder.model).__name__]
    (folder / "scheduler").mkdir()
    config = {"beta_schedule": "scaled_linear", "prediction_type": prediction}
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(config))
    (folder / "model_index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("kind", "pipeline", "prediction"),
    [
        ("sd15-inpaint-small", "StableDiffusionInpaintPipeline", "epsilon"),
        ("sdxl-small", "StableDiffusionXLPipeline", "epsilon"),
        ("sdxl-refiner-small", "StableDiffusionXLImg2ImgPipeline", "v_prediction"),
    ],
)
def test_a_folder_of_diffusers_is_the_same_checkpoint(new, vocabulary, tmp_path, kind, pipeline, prediction):
    write_checkpoint(tmp_path / "x.safetensors", kind)
    root = tmp_path / "models" / "checkpoints" / "mine"
    cache = new()
    with cache.borrow(model(tmp_path / "x.safetensors")) as single:
        write_folder(root, single, vocabulary, pipeline, prediction)
        (listed,) = scan_model_files(tmp_path / "models", tmp_path)
        assert (listed.fact.family, listed.fact.problem) == (single.family, None)
        with cache.borrow(listed) as found:
            assert (found.family, found.concat, found.latent_scale) == (
                single.family,
                single.concat,
                single.latent_scale,
            )
            assert found.prediction == ("v" if prediction == "v_prediction" else "epsilon")
            for one, two in zip(found.text_encoders, single.text_encoders, strict=True):
                assert (one.kind, one.pad, one.layer, one.final_norm) == (two.kind, two.pad, two.layer, two.final_norm)
            for name, tensor in single.unet.state_dict().items():
                assert torch.equal(found.unet.state_dict()[name], tensor)
