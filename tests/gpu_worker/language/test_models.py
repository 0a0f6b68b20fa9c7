"""Scanning the models folder: names, families, and every kind of file that is no model."""

import base64
import json
import math
import os
import pickle
import zipfile
import zlib

import pytest

from gpu_worker.language.models import DEMO_NAME, default_checkpoint, offered, scan_model_files

SD1 = {
    "model.diffusion_model.input_blocks.0.0.weight": [320, 4, 3, 3],
    "first_stage_model.decoder.conv_out.weight": [3, 128, 3, 3],
    "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight": [77, 768],
}
VAE = {"encoder.conv_in.weight": [128, 3, 3, 3], "decoder.conv_in.weight": [512, 4, 3, 3]}
KOHYA = {
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": [4, 768],
    "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_up.weight": [320, 4],
}


def write(path, shapes, *, metadata=None, missing_bytes=0):
    """A safetensors file of zeros in 8-bit integers, with a hole for its data: only names and shapes matter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header, at = {"__metadata__": metadata} if metadata else {}, 0
    for name, shape in shapes.items():
        size = math.prod(shape)
        header[name] = {"dtype": "U8", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        file.truncate(8 + len(raw) + at - missing_bytes)


def scan_models(models_dir, demo_dir, extra_folders=()):
    return tuple(model.fact for model in scan_model_files(models_dir, demo_dir, extra_folders=extra_folders))


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


IN = "model.diffusion_model.input_blocks.0.0.weight"


@pytest.mark.parametrize(
    ("change", "family", "variant", "native_px"),
    [
        ({IN: [320, 9, 3, 3]}, "sd1", "inpaint", 512),
        ({IN: [320, 8, 3, 3]}, "sd1", "pix2pix", 512),
        ({"cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight": [3072, 1024]}, "sd2", None, 768),
        ({"conditioner.embedders.1.model.ln_final.weight": [1280]}, "sdxl", None, 1024),
        ({"conditioner.embedders.1.model.ln_final.weight": [1280], IN: [320, 9, 3, 3]}, "sdxl", "inpaint", 1024),
        ({"conditioner.embedders.0.model.ln_final.weight": [1280]}, "sdxl_refiner", None, 1024),
        ({"conditioner.embedders.0.model.ln_final.weight": [1024]}, "sd2", None, 768),
    ],
)
def test_families_and_variants(tmp_path, change, family, variant, native_px):
    write(tmp_path / "checkpoints" / "x.safetensors", SD1 | change)
    fact = only(tmp_path)
    assert (fact.family, fact.variant, fact.native_px, fact.problem) == (family, variant, native_px, None)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"embedder.model.ln_final.weight": [768]}, "unsupported"),
        ({"depth_model.model.pretrained.act_postprocess3.0.project.0.bias": [1], IN: [320, 5, 3, 3]}, "unsupported"),
        ({IN: [320, 7, 3, 3]}, "unsupported"),
        ({"cond_stage_model.transformer.text_model.embeddings.position_embedding.weight": None}, "no_text_encoder"),
        ({"first_stage_model.decoder.conv_out.weight": None}, "no_vae"),
        ({IN: None}, "unknown_layout"),
    ],
)
def test_what_cannot_be_drawn_with_is_listed_with_the_reason(tmp_path, change, problem):
    write(tmp_path / "checkpoints" / "x.safetensors", {k: v for k, v in (SD1 | change).items() if v})
    assert only(tmp_path).problem == problem


def test_a_checkpoint_without_a_vae_is_usable_where_there_is_one_to_choose(tmp_path):
    lone = {key: shape for key, shape in SD1.items() if not key.startswith("first_stage_model")}
    write(tmp_path / "checkpoints" / "x.safetensors", lone)
    write(tmp_path / "vae" / "bad.safetensors", {"a": [1]})
    assert [(f.name, f.problem) for f in scan_models(tmp_path, tmp_path)] == [
        ("x", "no_vae"),
        ("bad", "unknown_layout"),
    ]
    write(tmp_path / "checkpoints" / "x.vae.safetensors", VAE)
    assert [f.problem for f in scan_models(tmp_path, tmp_path) if f.kind == "checkpoint"] == [None]


def test_the_width_of_the_text_that_a_model_reads_is_told(tmp_path):
    write(tmp_path / "loras" / "kohya.safetensors", KOHYA)
    write(tmp_path / "loras" / "of-text.safetensors", {"lora_te_text_model_x.lora_down.weight": [4, 768]})
    write(tmp_path / "embeddings" / "narrow.safetensors", {"emb_params": [2, 128]})
    assert {fact.name: (fact.family, fact.context) for fact in scan_models(tmp_path, tmp_path)} == {
        "kohya": ("sd1", 768),
        "of-text": (None, None),
        "narrow": (None, 128),
    }


def broken_files():
    zipped = b"PK\x03\x04" + b"\0" * 100
    trap = pickle.dumps({"state_dict": os.system}, 2)
    return {
        "empty.safetensors": (b"", "corrupt"),
        "short.safetensors": (b"\1\2", "corrupt"),
        "page.safetensors": (b"<!DOCTYPE html><html>404</html>" * 9, "corrupt"),
        "renamed.safetensors": (zipped, "corrupt"),
        "old.safetensors": (pickle.dumps({"state_dict": {}}, 2) * 9, "corrupt"),
        "huge-header.safetensors": ((2**62).to_bytes(8, "little") + b"{}", "corrupt"),
        "over-file.safetensors": ((500).to_bytes(8, "little") + b"{}", "corrupt"),
        "no-json.safetensors": ((4).to_bytes(8, "little") + b"{{{{", "corrupt"),
        "list.safetensors": ((2).to_bytes(8, "little") + b"[]", "corrupt"),
        "deep.safetensors": ((90_000).to_bytes(8, "little") + b"[" * 90_000, "corrupt"),
        "odd.safetensors": ((9).to_bytes(8, "little") + b'{"a": []}', "corrupt"),
        "model.ckpt": (zipped, "corrupt"),
        "model.pt": (b"anything", "corrupt"),
        "trap.pt": (trap, "unsafe"),
        "trap.ckpt": (trap, "unsafe"),
        "trap.safetensors": (trap, "unsafe"),
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
    write(root / "v2.safetensors", KOHYA, metadata={"ss_base_model_version": "sd_v2", "ss_output_name": "Two"})
    write(root / "loha.safetensors", {"lora_unet_x.hada_w1_a": [4, 4], "y.hada_w1_b": [4, 4]})
    write(root / "peft.safetensors", {"unet.down_blocks.1.attentions.0.attn2.to_k.lora_A.weight": [4, 2048]})
    write(root / "ldm.safetensors", {"lora_unet_input_blocks_4_1_proj_in.lora_down.weight": [4, 640]})
    write(root / "foreign.safetensors", {"layers.0.weight": [4, 4]})
    write(root / "checkpoint.safetensors", SD1)
    facts = {fact.name: fact for fact in scan_models(tmp_path, tmp_path / "no-demo")}
    assert {fact.name for fact in facts.values() if fact.kind != "lora"} == {"checkpoint"}
    assert {name: (fact.family, fact.alias, fact.problem) for name, fact in facts.items()} == {
        "style": ("sd1", None, None),
        "xl": ("sdxl", None, None),
        "v2": ("sd2", "Two", None),
        "loha": (None, None, None),
        "peft": ("sdxl", None, None),
        "ldm": ("sdxl", None, None),
        "foreign": (None, None, "unknown_layout"),
        "checkpoint": ("sd1", None, None),
    }


def test_the_demo_is_listed_and_is_the_default_only_while_alone(tmp_path, demo_dir):
    demo_dir = demo_dir / "sd-mini"
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
    names = [fact.name for fact in scan_models(tmp_path, demo_dir / "sd-mini")]
    assert sorted(names) == [DEMO_NAME, f"{DEMO_NAME} (sub)"]


def test_what_ships_beside_the_demo_is_for_the_demo_alone(tmp_path, demo_dir):
    shipped = tmp_path / "shipped"
    (shipped / "sd-mini").parent.mkdir()
    (shipped / "sd-mini").symlink_to(demo_dir / "sd-mini")
    narrow = {
        "control_model.zero_convs.0.0.weight": [64, 64, 1, 1],
        "control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [64, 96],
    }
    write(shipped / "controlnet" / "pincel-demo-canny.safetensors", narrow)
    write(tmp_path / "models" / "controlnet" / "pincel-demo-canny.safetensors", narrow)
    read = {"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [320, 768]}
    write(tmp_path / "models" / "checkpoints" / "real.safetensors", SD1 | read)
    facts = scan_models(tmp_path / "models", shipped)
    assert [(fact.name, fact.family, fact.context) for fact in facts[2:]] == [
        ("pincel-demo-canny (.safetensors)", None, 96),
        ("pincel-demo-canny", "sd1", 96),
    ]
    assert [(fact.name, fact.context) for fact in facts[:2]] == [("real", 768), (DEMO_NAME, 96)]


def test_whatever_ships_is_found_and_what_knows_its_world_alone_steps_back(tmp_path, demo_dir):
    shipped, own = tmp_path / "shipped", tmp_path / "models"
    shipped.mkdir()
    (shipped / "sd-mini").symlink_to(demo_dir / "sd-mini")
    narrow = SD1 | {"model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": [64, 96]}
    write(shipped / "checkpoints" / "toy-comic.safetensors", narrow, metadata={"modelspec.resolution": "128x128"})
    write(shipped / "vae" / "warm.safetensors", VAE)
    write(shipped / "loras" / "style.safetensors", {next(iter(KOHYA)): [4, 96]})
    write(shipped / "embeddings" / "bad.safetensors", {"emb_params": [2, 96]})
    write(shipped / "upscalers" / "four.safetensors", {"conv_first.weight": [32, 3, 3, 3]})
    (shipped / "taggers" / "tags").mkdir(parents=True)
    (shipped / "taggers" / "tags" / "model.onnx").write_bytes(b"onnx")
    files = scan_model_files(own, shipped)
    assert offered(files) == files
    assert {fact.name: (fact.kind, fact.family, fact.context) for fact in (file.fact for file in files)} == {
        DEMO_NAME: ("checkpoint", "sd1", 96),
        "toy-comic": ("checkpoint", "sd1", 96),
        "warm": ("vae", "sd1", 96),
        "style": ("lora", "sd1", 96),
        "bad": ("embedding", "sd1", 96),
        "four": ("upscaler", None, None),
        "tags": ("tagger", None, None),
    }
    assert all(file.fact.shipped and file.root is None for file in files)
    comic = next(file.fact for file in files if file.fact.name == "toy-comic")
    assert (comic.native_px, comic.defaults["width"]) == (128, 128)
    assert default_checkpoint([file.fact for file in files]) == DEMO_NAME
    write(own / "checkpoints" / "broken.safetensors", {"a": [1]})
    assert "four" in {file.fact.name for file in offered(scan_model_files(own, shipped))}
    write(own / "checkpoints" / "zebra.safetensors", SD1)
    write(own / "upscalers" / "four.safetensors", {"conv_first.weight": [64, 3, 3, 3]})
    files = scan_model_files(own, shipped)
    assert default_checkpoint([file.fact for file in files]) == "zebra"
    assert [file.fact.name for file in files if file not in offered(files)] == ["four", "tags"]
    assert "four (.safetensors)" in {file.fact.name for file in offered(files)}


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
        file.writestr("archive/data.pkl", pickle.dumps(os.system))
    assert only(tmp_path).problem == "unsafe"


def test_the_default_draws_from_words_alone(tmp_path, demo_dir):
    write(tmp_path / "checkpoints" / "a.safetensors", SD1 | {IN: [320, 9, 3, 3]})
    assert default_checkpoint(scan_models(tmp_path, demo_dir)) == "a"
    write(tmp_path / "checkpoints" / "b.safetensors", SD1)
    assert default_checkpoint(scan_models(tmp_path, demo_dir)) == "b"


def png(*chunks):
    parts = [
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big") for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_every_kind_of_model_in_its_folder_in_a_stable_order(tmp_path, demo_dir):
    write(tmp_path / "checkpoints" / "dream.safetensors", SD1)
    write(tmp_path / "checkpoints" / "dream.vae.safetensors", {f"first_stage_model.{k}": v for k, v in VAE.items()})
    write(tmp_path / "vae" / "mse.safetensors", VAE)
    write(tmp_path / "vae" / "wide.safetensors", VAE | {"decoder.conv_in.weight": [512, 16, 3, 3]})
    write(tmp_path / "loras" / "style.safetensors", KOHYA)
    write(tmp_path / "embeddings" / "sub" / "easy.safetensors", {"emb_params": [8, 768]})
    write(tmp_path / "embeddings" / "two.safetensors", {"emb_params": [8, 1024]})
    write(tmp_path / "embeddings" / "xl.safetensors", {"clip_l": [2, 768], "clip_g": [2, 1280]})
    write(tmp_path / "embeddings" / "odd.safetensors", {"emb_params": [8, 640]})
    write(tmp_path / "embeddings" / "none.safetensors", KOHYA)
    text = png((b"IHDR", b"x" * 13), (b"tEXt", b"sd-ti-embedding\0" + base64.b64encode(b"{}")))
    (tmp_path / "embeddings" / "drawn.png").write_bytes(text)
    for name in ("easy.preview.png", "two.png"):
        (tmp_path / "embeddings" / name).write_bytes(text)
    (tmp_path / "embeddings" / "holiday.png").write_bytes(png((b"IHDR", b"x" * 13), (b"IDAT", b"")))
    for folder, name in (("upscalers", "4x.pth"), ("upscalers", "empty.pth"), ("faces", "GFPGANv1.4.pth")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(b"" if name == "empty.pth" else b"x")
    found = [(f.kind, f.name, f.family, f.problem) for f in scan_models(tmp_path, demo_dir / "sd-mini")]
    assert found == [
        ("checkpoint", "dream", "sd1", None),
        ("checkpoint", DEMO_NAME, "sd1", None),
        ("vae", "dream.vae", None, None),
        ("vae", "mse", None, None),
        ("vae", "wide", None, "unsupported"),
        ("lora", "none", "sd1", None),
        ("lora", "style", "sd1", None),
        ("embedding", "drawn", None, None),
        ("embedding", "easy", "sd1", None),
        ("embedding", "odd", None, None),
        ("embedding", "two", "sd2", None),
        ("embedding", "xl", "sdxl", None),
        ("upscaler", "4x", None, None),
        ("upscaler", "empty", None, "corrupt"),
        ("face", "GFPGANv1.4", None, None),
    ]


CONTROL = {"control_model.input_hint_block.0.weight": [16, 3, 3, 3], "control_model.a.attn2.to_k.weight": [320, 768]}


@pytest.mark.parametrize(
    ("folder", "shapes", "kind", "family", "problem"),
    [
        ("checkpoints", KOHYA, "lora", "sd1", None),
        ("checkpoints", SD1 | CONTROL, "controlnet", "sd1", None),
        ("loras", CONTROL, "controlnet", "sd1", None),
        ("vae", SD1, "checkpoint", "sd1", None),
        ("controlnet", {"lllite_unet_x_attn2_to_k.down.0.weight": [32, 2048]}, "controlnet", "sdxl", None),
        ("controlnet", {"controlnet_cond_embedding.conv_in.weight": [16, 3, 3, 3]}, "controlnet", None, None),
        ("controlnet", {"ip_adapter.1.to_k_ip.weight": [320, 768]}, "controlnet", "sd1", None),
        ("controlnet", {"something.weight": [4, 4]}, "controlnet", None, "unknown_layout"),
        ("annotators", {"something.weight": [4, 4]}, "annotator", None, None),
    ],
)
def test_tensors_say_the_kind_where_the_folder_is_wrong(tmp_path, folder, shapes, kind, family, problem):
    write(tmp_path / folder / "x.safetensors", shapes)
    fact = only(tmp_path)
    assert (fact.kind, fact.name, fact.family, fact.problem) == (kind, "x", family, problem)


def test_a_tagger_has_the_name_of_its_folder(tmp_path):
    for folder in ("wd-vit", "wd-swin"):
        (tmp_path / "taggers" / folder).mkdir(parents=True)
        (tmp_path / "taggers" / folder / "model.onnx").write_bytes(b"\x08\x07")
    assert [(f.kind, f.name) for f in scan_models(tmp_path, tmp_path)] == [("tagger", "wd-swin"), ("tagger", "wd-vit")]


def test_names_differ_over_all_folders_and_ours_keep_theirs(tmp_path):
    ours, first, second = (tmp_path / name for name in ("models", "first", "second"))
    for folder in (ours, first, second):
        write(folder / "loras" / "style.safetensors", KOHYA)
    extra = [first, second, first, ours, first / "loras"]
    files = scan_model_files(ours, tmp_path, extra_folders=extra)
    assert {file.fact.name: file.path.parent.parent.name for file in files} == {
        "style": "models",
        "style (.safetensors)": "first",
        "style (style.safetensors)": "second",
    }
    assert [file.root.extra for file in files] == [False, True, True]


def test_a_file_without_leave_to_read_is_tried_again(tmp_path, monkeypatch):
    path = tmp_path / "checkpoints" / "dream.safetensors"
    write(path, SD1)
    known = {}
    real = type(path).open
    monkeypatch.setattr(type(path), "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError()))
    assert scan_model_files(tmp_path, tmp_path, known)[0].fact.problem == "corrupt"
    monkeypatch.setattr(type(path), "open", real)
    assert scan_model_files(tmp_path, tmp_path, known)[0].fact.problem is None


def test_a_file_that_takes_anothers_place_with_its_size_and_time_is_read_again(tmp_path):
    path, other = tmp_path / "loras" / "a.safetensors", tmp_path / "b.safetensors"
    write(path, KOHYA)
    size = path.stat().st_size
    other.write_bytes(b"x" * size)
    for file in (path, other):
        os.utime(file, (1, 1))
    known = {}
    assert scan_model_files(tmp_path, tmp_path, known)[0].fact.problem is None
    other.replace(path)
    assert scan_model_files(tmp_path, tmp_path, known)[0].fact.problem == "corrupt"
