"""Scanning the models folder: names, families, and every kind of file that is no model."""

import json
import os
import pickle
import zipfile

import pytest

from gpu_worker.language.models import DEMO_NAME, default_checkpoint, scan_model_files, scan_models

SD1 = {
    "model.diffusion_model.input_blocks.0.0.weight": [320, 4, 3, 3],
    "first_stage_model.decoder.conv_out.weight": [3, 128, 3, 3],
    "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight": [77, 768],
}
KOHYA = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": [4, 768],
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight": [320, 4],
}


def write(path, shapes, *, metadata=None, missing_bytes=0):
    """A safetensors file of zeros in 8-bit integers, one byte for each: only names and shapes matter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header, at = {"__metadata__": metadata} if metadata else {}, 0
    for name, shape in shapes.items():
        header[name] = {"dtype": "U8", "shape": shape, "data_offsets": [at, at + 1]}
        at += 1
    raw = json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + b"\0" * (at - missing_bytes))


def only(models_dir, demo=None):
    (fact,) = scan_models(models_dir, demo or models_dir / "no-demo")
    return fact


def test_a_checkpoint_in_the_original_layout(tmp_path):
    write(tmp_path / "checkpoints" / "sub" / "dream.safetensors", SD1)
    fact = only(tmp_path)
    assert (fact.kind, fact.name, fact.family, fact.native_px, fact.problem) == (
        "checkpoint",
        "dream",
        "sd1",
        512,
        None,
    )


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("sdxl", {"conditioner.embedders.1.model.ln_final.weight": [1280]}, "unsupported"),
        ("sd2", {"cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight": [3072, 1024]}, "unsupported"),
        ("inpainting", {"model.diffusion_model.input_blocks.0.0.weight": [320, 9, 3, 3]}, "unsupported"),
        ("controlnet", {"control_model.input_blocks.0.0.weight": [320, 4, 3, 3]}, "unsupported"),
        ("no-vae", {"first_stage_model.decoder.conv_out.weight": None}, "unsupported"),
        ("lora", {"model.diffusion_model.input_blocks.0.0.weight": None}, "unknown_layout"),
    ],
)
def test_what_this_version_cannot_draw_with_is_listed_with_the_reason(tmp_path, name, change, problem):
    write(tmp_path / "checkpoints" / f"{name}.safetensors", {k: v for k, v in (SD1 | change).items() if v})
    assert only(tmp_path).problem == problem


def broken_files():
    zipped = b"PK\x03\x04" + b"\0" * 100
    return {
        "empty.safetensors": (b"", "corrupt"),
        "short.safetensors": (b"\1\2", "corrupt"),
        "page.safetensors": (b"<!DOCTYPE html><html>404</html>" * 9, "corrupt"),
        "renamed.safetensors": (zipped, "pickled"),
        "old.safetensors": (pickle.dumps({"state_dict": {}}, 2) * 9, "pickled"),
        "huge-header.safetensors": ((2**62).to_bytes(8, "little") + b"{}", "corrupt"),
        "over-file.safetensors": ((500).to_bytes(8, "little") + b"{}", "corrupt"),
        "no-json.safetensors": ((4).to_bytes(8, "little") + b"{{{{", "corrupt"),
        "list.safetensors": ((2).to_bytes(8, "little") + b"[]", "corrupt"),
        "deep.safetensors": ((90_000).to_bytes(8, "little") + b"[" * 90_000, "corrupt"),
        "odd.safetensors": ((9).to_bytes(8, "little") + b'{"a": []}', "corrupt"),
        "model.ckpt": (zipped, "pickled"),
        "model.pt": (b"anything", "pickled"),
    }


@pytest.mark.parametrize("name", broken_files())
@pytest.mark.parametrize("folder", ["checkpoints", "loras"])
def test_broken_files_are_listed_never_opened_further_and_never_raise(tmp_path, folder, name):
    content, problem = broken_files()[name]
    (tmp_path / folder).mkdir()
    (tmp_path / folder / name).write_bytes(content)
    assert only(tmp_path).problem == problem


def test_a_download_that_stopped_half_way(tmp_path):
    write(tmp_path / "checkpoints" / "half.safetensors", SD1, missing_bytes=1)
    assert only(tmp_path).problem == "corrupt"


def test_other_files_are_not_models(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in ("readme.txt", "dream.yaml", ".hidden.safetensors", "dream.safetensors.part"):
        (tmp_path / "checkpoints" / name).write_bytes(b"x")
    assert scan_models(tmp_path, tmp_path / "no-demo") == ()


def test_equal_stems_get_stable_different_names_and_the_usable_one_keeps_the_stem(tmp_path):
    root = tmp_path / "checkpoints"
    write(root / "b" / "dream.safetensors", SD1)
    write(root / "a" / "dream.safetensors", SD1)
    (root / "dream.ckpt").write_bytes(b"x")
    files = scan_model_files(tmp_path, tmp_path / "no-demo")
    assert {m.fact.name: m.path.relative_to(root).as_posix() for m in files} == {
        "dream": "a/dream.safetensors",
        "dream (b)": "b/dream.safetensors",
        "dream (.ckpt)": "dream.ckpt",
    }


def test_loras_and_their_families(tmp_path):
    root = tmp_path / "loras"
    write(root / "style.safetensors", KOHYA)
    write(root / "xl.safetensors", {"lora_te1_text_model_x.lora_down.weight": [4, 768]})
    write(root / "v2.safetensors", KOHYA, metadata={"ss_base_model_version": "sd_v2"})
    write(root / "loha.safetensors", {"lora_unet_x.hada_w1_a": [4, 4], "y.hada_w1_b": [4, 4]})
    facts = {fact.name: fact for fact in scan_models(tmp_path, tmp_path / "no-demo")}
    assert facts["style"].family == "sd1"
    assert facts["style"].kind == "lora"
    assert facts["xl"].problem == "unsupported"
    assert facts["v2"].problem == "unsupported"
    assert facts["loha"].problem == "unsupported"


def test_the_demo_is_listed_and_is_the_default_only_while_alone(tmp_path, demo_dir):
    alone = scan_models(tmp_path, demo_dir)
    assert [(f.name, f.native_px, f.problem) for f in alone] == [(DEMO_NAME, 128, None)]
    assert default_checkpoint(alone) == DEMO_NAME
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "a.ckpt").write_bytes(b"x")
    assert default_checkpoint(scan_models(tmp_path, demo_dir)) == DEMO_NAME
    write(tmp_path / "checkpoints" / "zebra.safetensors", SD1)
    assert default_checkpoint(scan_models(tmp_path, demo_dir)) == "zebra"
    assert default_checkpoint(()) is None


def test_a_file_named_like_the_demo_does_not_hide_it(tmp_path, demo_dir):
    write(tmp_path / "checkpoints" / "sub" / f"{DEMO_NAME}.safetensors", SD1)
    names = [fact.name for fact in scan_models(tmp_path, demo_dir)]
    assert sorted(names) == [DEMO_NAME, f"{DEMO_NAME} (sub)"]


def test_a_diffusers_folder_with_a_part_missing(tmp_path, demo_dir):
    folder = tmp_path / "checkpoints" / "mine"
    folder.mkdir(parents=True)
    (folder / "model_index.json").write_text((demo_dir / "sd-mini" / "model_index.json").read_text())
    fact = only(tmp_path)
    assert (fact.name, fact.problem) == ("mine", "corrupt")


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "checkpoints" / "dream.safetensors"
    known = {}
    write(path, {"x": [1]})
    assert scan_model_files(tmp_path, tmp_path, known)[0].fact.problem == "unknown_layout"
    write(path, SD1)
    assert scan_model_files(tmp_path, tmp_path, known)[0].fact.problem is None


def test_links_in_a_circle_end(tmp_path):
    root = tmp_path / "checkpoints"
    write(root / "a" / "dream.safetensors", SD1)
    (root / "a" / "again").symlink_to(root)
    assert only(tmp_path).name == "dream"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system here")
def test_a_pipe_is_no_model_and_is_not_waited_for(tmp_path):
    write(tmp_path / "checkpoints" / "dream.safetensors", SD1)
    os.mkfifo(tmp_path / "checkpoints" / "pipe.safetensors")
    assert only(tmp_path).name == "dream"


def test_a_zip_is_a_pickle_whatever_its_name(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with zipfile.ZipFile(tmp_path / "checkpoints" / "x.safetensors", "w") as file:
        file.writestr("archive/data.pkl", b"x" * 300)
    assert only(tmp_path).problem == "pickled"
