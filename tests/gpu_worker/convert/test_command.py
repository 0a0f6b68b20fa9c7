"""The command line: every way to call it, and its refusals."""

import pytest
import torch
from make_checkpoint import write_checkpoint
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gpu_worker.convert.__main__ import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, seed in (("a", 0), ("b", 1), ("c", 2)):
        write_checkpoint(tmp_path / f"{name}.ckpt", "sd15-small", seed=seed, dtype=torch.float32)
    return tmp_path


@pytest.mark.slow
def test_converts_merges_and_bakes(folder, capsys):
    assert main(["a.ckpt", "out/half.safetensors"]) == 0
    assert "sha256 " in capsys.readouterr().out
    assert load_file("out/half.safetensors")["model.diffusion_model.out.2.weight"].dtype == torch.float16
    assert main(["a.ckpt", "slim.safetensors", "--no-vae", "--precision", "keep"]) == 0
    assert not [key for key in load_file("slim.safetensors") if key.startswith("first_stage_model.")]
    assert main(["a.ckpt", "m.safetensors", "--merge", "b.ckpt", "--add-difference", "c.ckpt", "-m", "1"]) == 0
    with safe_open("m.safetensors", "pt") as file:
        assert "Add difference" in file.metadata()["sd_merge_recipe"]
    at = "lora_unet_mid_block_attentions_0_proj_in"
    lora = {f"{at}.lora_up.weight": torch.ones(64, 1, 1, 1), f"{at}.lora_down.weight": torch.ones(1, 64, 1, 1)}
    save_file(lora, "l.safetensors")
    assert main(["a.ckpt", "baked.safetensors", "--lora", "l.safetensors:0.5", "--precision", "fp32"]) == 0
    key = "model.diffusion_model.middle_block.1.proj_in.weight"
    plain = torch.load("a.ckpt")["state_dict"][key]
    torch.testing.assert_close(load_file("baked.safetensors")[key], plain + 0.5)


@pytest.mark.parametrize("wrong", [
    ["a.ckpt", "x.ckpt"], ["none.ckpt", "x.safetensors"], ["a.ckpt", "x.safetensors", "--merge", "b.ckpt", "-m", "7"],
    ["a.ckpt", "x.safetensors", "--add-difference", "b.ckpt"], ["a.ckpt", "x.safetensors", "--lora", "l:heavy"],
    ["a.ckpt", "x.safetensors", "--merge", "b.ckpt", "--lora", "l"], ["a.ckpt", "there.safetensors"],
])  # fmt: skip
def test_bad_usage(folder, capsys, wrong):
    (folder / "there.safetensors").write_bytes(b"mine")
    with pytest.raises(SystemExit) as caught:
        main(wrong)
    assert caught.value.code == 2
    assert not (folder / "x.safetensors").exists()
    assert (folder / "there.safetensors").read_bytes() == b"mine"


@pytest.mark.parametrize(("arguments", "words"), [
    (["a.ckpt", "x.safetensors", "--weights", "ema-only"], "no EMA"), (["broken.ckpt", "x.safetensors"], "damaged"),
    (["a.ckpt", "x.safetensors", "--vae", "broken.ckpt"], "damaged"),
])  # fmt: skip
def test_what_cannot_be_made(folder, capsys, arguments, words):
    (folder / "broken.ckpt").write_bytes(b"nothing")
    assert main(arguments) == 1
    assert words in capsys.readouterr().err
    assert not list(folder.glob("x.*"))
