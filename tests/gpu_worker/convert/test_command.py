"""The command line: every way to call it, and its refusals."""

from pathlib import Path

import pytest
import torch
from make_checkpoint import write_checkpoint
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gpu_worker.convert import sentences
from gpu_worker.convert.__main__ import main
from gpu_worker.convert.sentences import failure, say
from gpu_worker.engine.errors import EngineError


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


@pytest.mark.parametrize(("wrong", "english", "spanish"), [
    (["a.ckpt", "x.ckpt"], "ends in .safetensors", "termina en .safetensors"),
    (["none.ckpt", "x.safetensors"], "no file none.ckpt", "ningún archivo none.ckpt"),
    (["a.ckpt", "x.safetensors", "--merge", "b.ckpt", "-m", "7"], "“multiplier”", "«multiplier»"),
    (["a.ckpt", "x.safetensors", "--add-difference", "b.ckpt"], "needs --merge", "necesita --merge"),
    (["a.ckpt", "x.safetensors", "--lora", "l:heavy"], "“heavy” is no weight", "«heavy» no es un peso"),
    (["a.ckpt", "x.safetensors", "--merge", "b.ckpt", "--lora", "l"], "two steps", "dos pasos"),
    (["a.ckpt", "x.safetensors", "--vae", "b.ckpt", "--no-vae"], "exclude each other", "se excluyen"),
    (["a.ckpt", "there.safetensors"], "is there already", "ya existe"),
    (["x.safetensors", "x.safetensors", "--force"], "no file", "ningún archivo"),
    (["there.safetensors", "there.safetensors", "--force"], "one of the files", "uno de los archivos"),
    (["a.ckpt"], "no conversion", "no son una conversión"),
    (["a.ckpt", "x.safetensors", "--kind", "poem"], "no conversion", "no son una conversión"),
])  # fmt: skip
def test_bad_usage(folder, capsys, monkeypatch, wrong, english, spanish):
    (folder / "there.safetensors").write_bytes(b"mine")
    for language, sentence in (("en", english), ("es", spanish), ("fr", english)):
        monkeypatch.setenv("PINCEL_LANGUAGE", language)
        assert main(wrong) == 2
        assert sentence in capsys.readouterr().err
    assert not (folder / "x.safetensors").exists()
    assert (folder / "there.safetensors").read_bytes() == b"mine"


def test_help(capsys, monkeypatch):
    assert main(["--help"]) == 0
    assert "upscaler" in capsys.readouterr().out
    monkeypatch.setenv("PINCEL_LANGUAGE", "es")
    assert main(["-h"]) == 0
    assert "integra LoRA" in capsys.readouterr().out


@pytest.mark.parametrize(("error", "sentence"), [
    (EngineError("bad_input", "x", {"reason": "merge_misfit", "checkpoint": "a", "other": "b"}), "a and b are built"),
    (EngineError("bad_model", "x", {"lora": "l\x1b[2J", "problem": "unsafe"}), "l\ufffd[2J holds more"),
    (EngineError("disk_full", "x", {"needed_bytes": 3 * 10**9, "free_bytes": 10**9}), "has 1.0 GB free"),
    (EngineError("other", "secret words"), "could not be made (other)"),
    (OSError(28, "No space left", "f"), "The disk is full"),
    (PermissionError(13, "Permission denied", "f"), "f could not be read or written (Permission denied)"),
    (OSError("secret words"), "out.safetensors could not be read or written (OSError)"),
    (MemoryError("secret words"), "out of memory"),
])  # fmt: skip
def test_failures_are_sentences(error, sentence):
    told = failure(error, Path("out.safetensors"))
    assert sentence in told
    assert "secret" not in told


def test_every_failure_has_a_sentence_in_every_language(monkeypatch):
    for language in ("en", "es"):
        monkeypatch.setenv("PINCEL_LANGUAGE", language)
        for key in (*sentences._REASONS, *sentences._PROBLEMS):
            assert say(f"failed.{key}", checkpoint="a", other="b", lora="l", file="f")


@pytest.mark.parametrize(("arguments", "words"), [
    (["a.ckpt", "x.safetensors", "--weights", "ema-only"], "no EMA"), (["broken.ckpt", "x.safetensors"], "damaged"),
    (["a.ckpt", "x.safetensors", "--vae", "broken.ckpt"], "damaged"),
])  # fmt: skip
def test_what_cannot_be_made(folder, capsys, arguments, words):
    (folder / "broken.ckpt").write_bytes(b"nothing")
    assert main(arguments) == 1
    assert words in capsys.readouterr().err
    assert not list(folder.glob("x.*"))
