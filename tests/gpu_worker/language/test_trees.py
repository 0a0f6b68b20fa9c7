"""Folders of other programs: recognised by the names of their folders, mapped, and left as they are."""

import pytest

from gpu_worker.language.models import scan_model_files
from gpu_worker.language.trees import find_tree, model_roots
from tests.gpu_worker.language.test_models import KOHYA, SD1, VAE, write

DETECTOR = {name: [8, 3, 3, 3] for name in (
    "model.0.conv.weight", "model.9.cv2.conv.weight", "model.22.cv3.0.2.weight",
)}  # fmt: skip
A1111 = {
    "models/Stable-diffusion/sub/dream.safetensors": ("checkpoint", SD1),
    "models/VAE/mse.safetensors": ("vae", VAE),
    "models/Lora/style.safetensors": ("lora", KOHYA),
    "models/LyCORIS/loha.safetensors": ("lora", KOHYA),
    "models/ControlNet/canny.safetensors": ("controlnet", {"input_hint_block.0.weight": [4, 4]}),
    "extensions/sd-webui-controlnet/models/depth.safetensors": ("controlnet", {"zero_convs.0.0.weight": [4]}),
    "extensions/sd-webui-controlnet/annotator/downloads/hed/net.safetensors": ("annotator", {"a": [1]}),
    "models/ESRGAN/4x.safetensors": ("upscaler", {"a": [1]}),
    "models/LDSR/model.safetensors": ("upscaler", {"a": [1]}),
    "models/adetailer/face_yolov8n.safetensors": ("detector", DETECTOR),
    "models/Codeformer/codeformer.safetensors": ("face", {"a": [1]}),
    "embeddings/easy.safetensors": ("embedding", {"emb_params": [8, 768]}),
}
COMFYUI = {
    "models/checkpoints/dream.safetensors": ("checkpoint", SD1),
    "models/vae/mse.safetensors": ("vae", VAE),
    "models/loras/style.safetensors": ("lora", KOHYA),
    "models/controlnet/canny.safetensors": ("controlnet", {"input_hint_block.0.weight": [4, 4]}),
    "models/upscale_models/4x.safetensors": ("upscaler", {"a": [1]}),
    "models/embeddings/easy.safetensors": ("embedding", {"emb_params": [8, 768]}),
    "models/ultralytics/bbox/face_yolov8n.safetensors": ("detector", DETECTOR),
    "custom_nodes/comfyui_controlnet_aux/ckpts/deep/net.safetensors": ("annotator", {"a": [1]}),
}
HEAP = {
    "a/dream.safetensors": ("checkpoint", SD1),
    "style.safetensors": ("lora", KOHYA),
    "b/mse.safetensors": ("vae", VAE),
    "c/hand.safetensors": ("detector", DETECTOR),
    "easy.safetensors": ("embedding", {"emb_params": [8, 768]}),
}


@pytest.mark.parametrize(("layout", "files"), [("a1111", A1111), ("comfyui", COMFYUI), ("plain", HEAP)])
def test_a_tree_is_recognised_and_every_file_has_its_kind(tmp_path, layout, files):
    tree = tmp_path / "theirs"
    for place, (_, shapes) in files.items():
        write(tree / place, shapes)
    write(tree / "readme.safetensors", {"odd": [3, 3, 3]})
    before = {path: path.stat().st_mtime_ns for path in tree.rglob("*")}
    assert find_tree(tree).layout == layout
    found = scan_model_files(tmp_path / "none", tmp_path / "none", extra_folders=[tree])
    assert {m.path.relative_to(tree).as_posix(): m.fact.kind for m in found} == {p: k for p, (k, _) in files.items()}
    assert all(m.root.extra for m in found)
    assert {path: path.stat().st_mtime_ns for path in tree.rglob("*")} == before


@pytest.mark.parametrize(("layout", "files"), [("a1111", A1111), ("comfyui", COMFYUI)])
def test_its_models_folder_alone_will_do_and_what_lies_around_it_is_found(tmp_path, layout, files):
    for place, (_, shapes) in files.items():
        write(tmp_path / place, shapes)
    assert find_tree(tmp_path / "models").layout == layout
    found = scan_model_files(tmp_path / "none", tmp_path / "none", extra_folders=[tmp_path / "models"])
    assert {m.path.relative_to(tmp_path).as_posix() for m in found} == set(files)


def test_ldsr_is_called_after_its_folder_and_not_model(tmp_path):
    for place in ("models/LDSR/model.safetensors", "models/Stable-diffusion/dream.safetensors"):
        write(tmp_path / place, SD1)
    found = scan_model_files(tmp_path / "none", tmp_path / "none", extra_folders=[tmp_path])
    assert [m.fact.name for m in found if m.fact.kind == "upscaler"] == ["LDSR"]


def test_a_folder_laid_out_as_ours(tmp_path):
    write(tmp_path / "more" / "loras" / "style.safetensors", KOHYA)
    assert find_tree(tmp_path / "more").layout == "pincel"
    assert [root.kind for root in model_roots(tmp_path / "none", [tmp_path / "more"])] == ["lora"]


def test_a_disk_that_is_not_there_is_no_trouble(tmp_path):
    assert find_tree(tmp_path / "gone").layout == "missing"
    assert scan_model_files(tmp_path, tmp_path, extra_folders=[tmp_path / "gone"]) == ()


def test_a_folder_around_ours_does_not_list_ours_twice(tmp_path):
    write(tmp_path / "data" / "models" / "loras" / "style.safetensors", KOHYA)
    found = scan_model_files(tmp_path / "data" / "models", tmp_path, extra_folders=[tmp_path])
    assert [(m.fact.name, m.root.extra) for m in found] == [("style", False)]
