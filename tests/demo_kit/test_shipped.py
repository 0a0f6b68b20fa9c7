"""ControlNets for a checkpoint that is there: their lessons, their file, and the figures that judge them."""

from random import Random

import cv2
import numpy as np
import pytest
import torch

from demo_kit.folders import KIT
from demo_kit.follow import asked, covered, edge_score, edges_of, order_seen, score
from demo_kit.layered import KNOWN, LAYERED_MAPS, layered_scene, overlapping
from demo_kit.shipped import Base, Lessons, export, lessons_of, new_network, train_network
from demo_kit.words import SHAPES
from gpu_worker.engine.checkpoints.weights import open_weights
from gpu_worker.engine.control.configs import controlnet_config
from gpu_worker.engine.control.weights import controlnet_weights
from gpu_worker.language.kinds import read_file


@pytest.fixture(scope="module")
def base():
    return Base.opened(KIT / "sd-mini")


def test_the_base_leaves_attention_as_it_was(base):
    """demo_kit's own attention is for narrower heads."""
    with torch.no_grad():
        drawn = base.unet(torch.zeros(1, 4, 16, 16), torch.tensor([500]), torch.zeros(1, 77, 96)).sample
    assert torch.isfinite(drawn).all()


def test_captions_name_only_what_the_checkpoint_knows_and_layers_hide_each_other():
    rng = Random("layered")
    scenes = [layered_scene(rng) for _ in range(60)]
    assert {len(scene.things) for scene in scenes} >= {1, 2, 3}
    assert any(not scene.caption for scene in scenes)
    for scene in scenes:
        if scene.caption:
            assert all(thing in KNOWN or thing.split()[-1] in SHAPES for thing in scene.things)
        covers = np.stack([np.asarray(layer) for layer in scene.layers]).astype(int)
        assert (covers > 127).sum(0).max() == 1, "a place that two things are seen at"
        assert "desert" not in scene.caption


@pytest.mark.parametrize("name", LAYERED_MAPS)
def test_maps_show_where_things_are(name):
    for question in asked(name, 4):
        shown, cover = question.map[..., 0], np.asarray(question.scene.cover) > 127
        around = cv2.dilate(cover.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert question.map.shape == (128, 128, 3)
        assert shown[around].mean() > 2 * shown[~around].mean()


def test_what_lies_nearer_is_brighter():
    rng = Random("nearer")
    for _ in range(8):
        scene = overlapping(rng)
        depth = LAYERED_MAPS["depth"](scene, rng)[..., 0].astype(int)
        far, near = (np.asarray(layer) > 250 for layer in scene.layers)
        assert depth[near].mean() > depth[far].mean() + 20


def test_edges_score_by_how_near_they_lie():
    ring = cv2.circle(np.zeros((128, 128), np.uint8), (64, 64), 40, 255, 1) > 0
    moved = np.roll(ring, 2, axis=1)
    assert edge_score(ring, ring) == 1.0
    assert edge_score(moved, ring) > 0.95
    assert edge_score(np.roll(ring, 12, axis=1), ring) < 0.4
    assert edge_score(np.zeros_like(ring), ring) == 0.0


def test_silhouettes_and_order_are_seen_in_rendered_scenes():
    rng = Random("seen")
    for _ in range(6):
        scene = overlapping(rng)
        picture, cover = np.asarray(scene.picture), np.asarray(scene.cover) > 127
        near, far = (np.asarray(whole) > 127 for whole in scene.wholes)
        assert edges_of(picture).any()
        assert order_seen(picture, near, far)
        assert not order_seen(picture, far, near)
        assert covered(picture, cover) > 0.7 > covered(picture, ~cover)


def test_a_new_network_leads_nowhere_and_comes_back_from_its_file(base, tmp_path):
    network = new_network(base).eval()
    with torch.no_grad():
        down, middle = network(
            torch.randn(1, 4, 16, 16), torch.tensor([500]), torch.randn(1, 77, 96), torch.rand(1, 3, 128, 128),
            return_dict=False,
        )  # fmt: skip
    assert all(not part.any() for part in (*down, middle))
    path = export("canny", network, tmp_path)
    assert path.stat().st_size < 10 << 20
    reading = read_file(None, path)
    assert (reading.kind, reading.variant, reading.problem) == ("controlnet", None, None)
    weights = controlnet_weights(open_weights(path, {}), base.unet)
    own = network.state_dict()
    assert weights.keys() == own.keys()
    assert all(torch.equal(weights[name], value.half()) for name, value in own.items())
    config = controlnet_config({name: tuple(value.shape) for name, value in weights.items()}, base.unet.config)
    for key in ("block_out_channels", "conditioning_embedding_out_channels", "down_block_types", "layers_per_block"):
        assert tuple(np.atleast_1d(config[key])) == tuple(np.atleast_1d(network.config[key]))


@pytest.mark.slow
def test_training_teaches_the_network_and_nothing_else(base, tmp_path, monkeypatch):
    monkeypatch.setenv("PINCEL_TRAINING", str(tmp_path))
    torch.manual_seed(1)
    lessons = Lessons(
        torch.rand(4, 2, 4, 16, 16).half(),
        torch.randn(4, 77, 96).half(),
        {"canny": (torch.rand(4, 128, 128) * 255).byte()},
    )
    before = {name: value.clone() for name, value in base.unet.state_dict().items()}
    fresh = new_network(base).state_dict()
    trained = train_network("canny", base, lessons, 2).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in base.unet.state_dict().items())
    assert not torch.equal(trained["controlnet_mid_block.weight"], fresh["controlnet_mid_block.weight"])


def test_lessons_of_poses_have_coloured_maps(base, tmp_path, monkeypatch):
    monkeypatch.setenv("PINCEL_TRAINING", str(tmp_path))
    monkeypatch.setattr("demo_kit.shipped.SHARD", 3)
    lessons = lessons_of(0, base, poses=True)
    assert lessons.maps["openpose"].shape == (3, 128, 128, 3)
    assert (lessons.maps["openpose"].float().std(-1) > 20).any()
    fresh = new_network(base).state_dict()
    trained = train_network("openpose", base, lessons, 1).state_dict()
    assert not torch.equal(trained["controlnet_mid_block.weight"], fresh["controlnet_mid_block.weight"])


def test_a_drawn_person_covers_where_its_pose_is():
    for question in asked("openpose", 4):
        cover = np.asarray(question.scene.cover) > 127
        assert question.prompt.startswith("person in a ")
        assert cover[question.map.max(2) > 60].mean() > 0.8
        assert score("openpose", question, np.asarray(question.scene.picture)) > 0.8
