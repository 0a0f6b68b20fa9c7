"""Preprocessors whose networks are transformers' or ours, with weights in the layouts that their authors published."""

import numpy as np
import pytest
import torch

from gpu_worker.engine.control.preprocessors import depth_anything, segments
from gpu_worker.engine.control.preprocessors.book import NETWORK_MAX_PIXELS, Preprocessors
from gpu_worker.engine.control.preprocessors.manga_lines import MangaNet
from gpu_worker.engine.control.preprocessors.networks import Third, aux, built
from gpu_worker.engine.control.preprocessors.palettes import ade20k_palette, coco_palette
from gpu_worker.engine.control.preprocessors.plain import standard_lines
from gpu_worker.engine.device import Device
from gpu_worker.engine.errors import EngineError
from gpu_worker.protocol.specs import ControlUnit
from tests.gpu_worker.engine.control.annotator_files import annotator

CPU = Device(torch.device("cpu"), torch.float32)
ADE, COCO = "250_16_swin_l_oneformer_ade20k_160k", "150_16_swin_l_oneformer_coco_100ep"


def published(network, names):
    """By the keys of the file, each with small numbers of its own."""
    random = torch.Generator().manual_seed(5)
    found = {}
    for key, value in network.state_dict().items():
        tensor = value
        if value.is_floating_point():
            spread = (3.0 / value[0].numel()) ** 0.5 if value.ndim > 1 else 0.1
            tensor = (torch.rand(value.shape, generator=random) * 2 - 1) * spread
        if value.ndim == 1 and key.endswith(("running_var", "weight", "lambda1")):
            tensor = tensor.abs() + 0.5
        if key == "head.conv3.bias":
            tensor = torch.ones_like(value)  # a depth below zero is none
        place = names(key)
        if isinstance(place, Third):
            found.setdefault(place.key, [None] * 3)[place.n] = tensor
        else:
            assert place not in found, place
            found[place] = tensor
    return {key: torch.cat(value) if isinstance(value, list) else value for key, value in found.items()}


def tiny_depth():
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        hidden_size=64, num_hidden_layers=4, num_attention_heads=1, image_size=518, patch_size=14,
        out_indices=[1, 2, 3, 4], apply_layernorm=True, reshape_hidden_states=False,
    )  # fmt: skip
    return DepthAnythingForDepthEstimation(
        DepthAnythingConfig(
            backbone_config=backbone, patch_size=14, reassemble_hidden_size=64, neck_hidden_sizes=[8, 8, 8, 8],
            fusion_hidden_size=16, head_hidden_size=8,
        )
    )  # fmt: skip


def tiny_segments(labels):
    from transformers import OneFormerConfig, OneFormerForUniversalSegmentation, SwinConfig

    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = SwinConfig(
        embed_dim=24, depths=[1, 1, 2, 1], num_heads=[1, 2, 4, 8], window_size=4, image_size=384, out_features=stages
    )
    made = OneFormerForUniversalSegmentation(
        OneFormerConfig(
            backbone_config=backbone, num_queries=30, num_labels=labels, is_training=False, decoder_layers=3,
            query_dec_layers=1, encoder_layers=1, dim_feedforward=64, encoder_feedforward_dim=64,
        )
    )  # fmt: skip
    del made.criterion
    made.model.pixel_level_module.encoder.swin.layernorm = torch.nn.Identity()
    return made


def own(key):
    return key


MADE = {
    "depth_anything": (".pth", "depth_anything_vitl14", tiny_depth, depth_anything._published, None),
    "depth_anything_v2": (".pth", "depth_anything_v2_vitl", tiny_depth, depth_anything._published, None),
    "softedge_teed": (".pth", "7_model", lambda: aux("teed.ted").TED(), own, None),
    "softedge_anyline": (".pth", "MTEED", lambda: aux("teed.ted").TED(), own, None),
    "lineart_anime_denoise": (".pth", "erika", MangaNet, lambda key: f"module.{key}", None),
    "seg_ofade20k": (".pth", ADE, lambda: tiny_segments(150), segments._published, "model"),
    "seg_ofcoco": (".pth", COCO, lambda: tiny_segments(133), segments._published, "model"),
}


@pytest.fixture
def picture():
    return np.random.default_rng(3).integers(0, 256, (90, 140, 3), dtype=np.uint8)


def written(folder, name, change=None):
    suffix, stem, make, names, below = MADE[name]
    weights = published(built(make), names)
    if change is not None:
        change(weights)
    path = folder / f"{stem}{suffix}"
    torch.save({below: weights} if below else weights, path)
    return path


def made(name, picture, path, **wish):
    files = [annotator(path)]
    unit = ControlUnit(model="any", **{"processor_resolution": 64, **wish})
    return Preprocessors(lambda: files, CPU).preprocess(name, picture, unit)


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_with_weights_in_the_published_layout(name, picture, tmp_path):
    path = written(tmp_path, name)
    before = torch.get_rng_state()
    first = made(name, picture, path)
    assert (first.shape, first.dtype) == ((64, 100, 3), np.uint8)
    assert np.array_equal(first, made(name, picture, path))
    assert torch.equal(before, torch.get_rng_state())
    if name.startswith("depth"):
        assert (int(first.min()), int(first.max())) == (0, 255)
    if name.startswith("seg"):
        palette = {tuple(row) for row in (ade20k_palette() if name == "seg_ofade20k" else coco_palette()).tolist()}
        assert {tuple(row) for row in first.reshape(-1, 3).tolist()} <= palette


@pytest.mark.parametrize(
    ("names", "key", "place"),
    [
        (depth_anything._published, "backbone.encoder.layer.7.mlp.fc1.weight", "pretrained.blocks.7.mlp.fc1.weight"),
        (
            depth_anything._published,
            "neck.fusion_stage.layers.0.residual_layer2.convolution1.bias",
            "depth_head.scratch.refinenet4.resConfUnit2.conv1.bias",
        ),
        (depth_anything._published, "head.conv3.weight", "depth_head.scratch.output_conv2.2.weight"),
        (
            segments._published,
            "model.pixel_level_module.encoder.hidden_states_norms.stage4.weight",
            "backbone.norm3.weight",
        ),
        (
            segments._published,
            "model.pixel_level_module.decoder.encoder.layers.2.final_layer_norm.bias",
            "sem_seg_head.pixel_decoder.transformer.encoder.layers.2.norm2.bias",
        ),
        (
            segments._published,
            "model.transformer_module.decoder.layers.3.self_attn.self_attn.v_proj.weight",
            Third("sem_seg_head.predictor.transformer_self_attention_layers.3.self_attn.in_proj_weight", 2),
        ),
        (segments._published, "model.task_encoder.task_mlp.layers.1.0.bias", "task_mlp.layers.1.bias"),
    ],
)
def test_names_are_the_authors(names, key, place):
    assert names(key) == place


def test_the_task_is_told_in_clips_tokens():
    from transformers import CLIPTokenizer

    from tests.gpu_worker.engine.conftest import DEMO

    tokenizer = CLIPTokenizer.from_pretrained(DEMO / "sd-mini" / "tokenizer")
    assert tokenizer("the task is semantic")["input_ids"] == list(segments._TASK)


def test_palettes_tell_classes_apart():
    for palette, classes in ((ade20k_palette(), 150), (coco_palette(), 133)):
        assert palette.shape == (classes, 3)
    assert len({tuple(row) for row in coco_palette().tolist()}) == 133
    assert tuple(coco_palette()[0]) == (220, 20, 60)
    assert tuple(ade20k_palette()[2]) == (6, 230, 230)


def test_what_segments_are_drawn_from(picture, tmp_path):
    """A network that is sure of one class everywhere gives its colour everywhere."""
    bias = "sem_seg_head.predictor.class_embed.bias"

    def sky(weights):
        weights["sem_seg_head.predictor.class_embed.weight"].zero_()
        weights[bias].fill_(-9.0)
        weights[bias][2] = 9.0

    found = made("seg_ofade20k", picture, written(tmp_path, "seg_ofade20k", sky))
    assert (found == (6, 230, 230)).all()


def test_safe_steps_are_steps(picture, tmp_path):
    path = written(tmp_path, "softedge_teed")
    assert len(np.unique(made("softedge_teed", picture, path, threshold_a=1))) <= 3
    smooth = made("softedge_teed", picture, path, threshold_a=0)
    assert len(np.unique(smooth)) > len(np.unique(made("softedge_teed", picture, path)))


def test_anyline_adds_lines_and_leaves_specks_out(tmp_path):
    drawing = np.full((128, 128, 3), 255, np.uint8)
    drawing[60:62] = 252
    edges = made("softedge_teed", drawing, written(tmp_path, "softedge_teed"), processor_resolution=128)
    both = made("softedge_anyline", drawing, written(tmp_path, "softedge_anyline"), processor_resolution=128)
    lines = standard_lines(drawing) == 1
    assert (both[~lines] == edges[~lines]).all()


@pytest.mark.parametrize("name", ["depth_anything", "seg_ofade20k"])
def test_a_file_of_something_else(name, picture, tmp_path):
    path = tmp_path / f"{MADE[name][1]}.pth"
    torch.save({"anything": torch.zeros(3)}, path)
    with pytest.raises(EngineError) as caught:
        made(name, picture, path)
    assert caught.value.detail == {"annotator": MADE[name][1], "problem": "unknown_layout"}


def test_damaged_weights(picture, tmp_path):
    def nothing(weights):
        weights["pretrained.blocks.1.attn.qkv.bias"][3] = float("nan")

    with pytest.raises(EngineError) as caught:
        made("depth_anything", picture, written(tmp_path, "depth_anything", nothing))
    assert caught.value.detail == {"annotator": "depth_anything_vitl14", "problem": "corrupt"}


def test_a_network_that_looks_larger_refuses_earlier(tmp_path):
    path = tmp_path / "depth_anything_vitl14.pth"
    path.touch()
    with pytest.raises(EngineError) as caught:
        made("depth_anything", np.zeros((10, 400, 3), np.uint8), path)
    assert caught.value.detail == {"reason": "source_picture", "limit_px": NETWORK_MAX_PIXELS}
