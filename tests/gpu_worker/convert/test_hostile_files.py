"""Files that are broken, lie, or mean harm end as a reason, and nothing of the result is left."""

import json
import os
import pickle

import pytest
import torch
from conftest import digest
from make_checkpoint import write_checkpoint
from safetensors.torch import load_file, save_file

from gpu_worker.engine.errors import EngineError
from gpu_worker.protocol.specs import BakedLora, BakeSpec, ConvertSpec, MergeSpec

RAN = "ran.txt"
ENTRY = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}


class Trap:
    def __reduce__(self):
        return os.system, (f"touch {RAN}",)


def header(tensors, data=b""):
    raw = json.dumps(tensors).encode()
    return len(raw).to_bytes(8, "little") + raw + data


def cut(path):
    write_checkpoint(path, "sd15-small")
    path.write_bytes(path.read_bytes()[:-1000])


def aliases(path):
    one = torch.zeros(100_000)
    torch.save({f"k{i}": one for i in range(50)}, path)


FILES = {
    "trap.ckpt": (lambda path: torch.save({"state_dict": Trap()}, path), "unsafe"),
    "bare.ckpt": (lambda path: path.write_bytes(pickle.dumps(Trap(), 2)), "unsafe"),
    "safe.safetensors": (lambda path: torch.save({"a": Trap()}, path), "unsafe"),
    "cut.safetensors": (cut, "corrupt"),
    "cut.ckpt": (cut, "corrupt"),
    "empty.safetensors": (lambda path: path.write_bytes(b""), "corrupt"),
    "huge.safetensors": (lambda path: path.write_bytes((100 << 30).to_bytes(8, "little") + b"{}"), "corrupt"),
    "long.safetensors": (
        lambda path: path.write_bytes(
            header({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4 << 40]}})
        ),
        "corrupt",
    ),
    "odd.safetensors": (
        lambda path: path.write_bytes(header({"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}, b"1")),
        "unsupported",
    ),
    "overlap.safetensors": (
        lambda path: path.write_bytes(
            header({k: {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]} for k in "ab"}, b"1234")
        ),
        "corrupt",
    ),
    "aliases.pt": (aliases, "corrupt"),
    "none.pt": (lambda path: torch.save({"a": 1}, path), "unknown_layout"),
    "text.ckpt": (lambda path: path.write_text("<html>not found</html>"), "corrupt"),
    "folder": (lambda path: path.mkdir(), "corrupt"),
}


@pytest.mark.parametrize("name", FILES)
def test_refused_with_the_reason(shop, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    make, problem = FILES[name]
    path = tmp_path / name
    make(path)
    shop.files["checkpoint", "m"] = path
    with pytest.raises(EngineError) as caught:
        shop.make(ConvertSpec(output="o", model="m"))
    assert caught.value.kind == "bad_model"
    assert caught.value.detail == {"checkpoint": "m", "problem": problem}
    assert not list(tmp_path.glob("made*"))
    assert not (tmp_path / RAN).exists()


def test_numbers_of_the_wrong_type_stay_what_they_are(shop, tmp_path):
    write_checkpoint(tmp_path / "good.safetensors", "sd15-small")
    weights = load_file(tmp_path / "good.safetensors")
    key = "model.diffusion_model.out.0.weight"
    weights[key] = torch.arange(weights[key].numel())
    save_file(weights, tmp_path / "m.safetensors")
    shop.files |= {("checkpoint", "m"): tmp_path / "m.safetensors", ("checkpoint", "g"): tmp_path / "good.safetensors"}
    got, _ = shop.load(ConvertSpec(output="o", model="m"))
    assert torch.equal(got[key], weights[key])
    got, _ = shop.load(MergeSpec(output="o", first="m", second="g"))
    assert torch.equal(got[key], weights[key])


def test_weights_that_make_no_network(shop, tmp_path):
    write_checkpoint(tmp_path / "good.safetensors", "sd15-small")
    weights = load_file(tmp_path / "good.safetensors")
    gone = [key for key in weights if "output_blocks.1." in key]
    save_file({key: tensor for key, tensor in weights.items() if key not in gone}, tmp_path / "m.safetensors")
    lora = {"lora_unet_mid_block_attentions_0_proj_in.lora_up.weight": torch.zeros(64, 1, 1, 1),
            "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight": torch.zeros(1, 64, 1, 1)}  # fmt: skip
    save_file(lora, tmp_path / "l.safetensors")
    shop.files |= {("checkpoint", "m"): tmp_path / "m.safetensors", ("lora", "l"): tmp_path / "l.safetensors"}
    with pytest.raises(EngineError) as caught:
        shop.make(BakeSpec(output="o", checkpoint="m", loras=(BakedLora(name="l"),)))
    assert (caught.value.kind, caught.value.detail["problem"]) == ("bad_model", "corrupt")


def test_metadata_of_any_kind(shop, tmp_path):
    metadata = {"sd_merge_models": "[" * 100_000, "sd_merge_recipe": "{broken", "ключ": "😀\n\x00", "": ""}
    write_checkpoint(tmp_path / "m.safetensors", "sd15-small", metadata=metadata)
    shop.files["checkpoint", "m"] = tmp_path / "m.safetensors"
    got, kept = shop.load(MergeSpec(output="o", method="no interpolation", first="m"))
    assert got
    assert kept["ключ"] == metadata["ключ"]
    models = json.loads(kept["sd_merge_models"])
    assert models == {
        digest(tmp_path / "m.safetensors"): {"name": "m.safetensors", "legacy_hash": None, "sd_merge_recipe": None}
    }
