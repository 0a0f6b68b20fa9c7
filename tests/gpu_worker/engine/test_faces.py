from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from upscaler_files import CPU, model_file

from gpu_worker.engine.errors import DrawingCancelled, EngineError
from gpu_worker.engine.faces import restore
from gpu_worker.engine.faces.align import FACE_PX, TEMPLATE, box_mask, crop, paste, placement
from gpu_worker.engine.faces.detect import RetinaFace, find_faces, load_detector
from gpu_worker.engine.faces.outline import ParseNet, load_outline, outline_mask
from gpu_worker.engine.faces.restore import FaceRestorer
from gpu_worker.engine.upscale.load import ImageModel
from gpu_worker.protocol.specs import FaceRestore


def silent():
    return None


def scene(width=320, height=280, seed=0):
    small = np.random.default_rng(seed).integers(0, 256, (14, 16, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def moved(scale, turn, shift):
    """The template's landmarks as a face of this size and angle has them in its picture."""
    angle = np.deg2rad(turn)
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return TEMPLATE @ matrix.T + shift


# --- alignment --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "turn"), [(1, 0), (0.3, 0), (0.25, 30), (0.2, -75), (2.5, 180)])
def test_landmarks_come_to_the_template(scale, turn):
    landmarks = moved(scale, turn, (60, 40))
    place = placement(landmarks)
    assert np.abs(landmarks @ place[:, :2].T + place[:, 2] - TEMPLATE).max() < 1e-3


def test_one_stray_landmark_does_not_turn_the_face():
    landmarks = moved(0.3, 10, (60, 40))
    astray = landmarks.copy()
    astray[2] += (60, -30)
    assert np.abs(placement(astray) - placement(landmarks)).max() < 0.05


def test_no_face_is_no_placement():
    assert placement(np.full((5, 2), np.nan)) is None
    assert placement(np.zeros((5, 2))) is None


def test_crop_shows_the_face_upright():
    picture, landmarks = np.zeros((280, 320, 3), np.uint8), moved(0.25, 40, (150, 60))
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0), (0, 250, 250)]
    for (x, y), colour in zip(landmarks, colours, strict=True):
        cv2.circle(picture, (round(x), round(y)), 4, colour, -1)
    face = crop(picture, placement(landmarks))
    assert face.shape == (FACE_PX, FACE_PX, 3)
    for (x, y), colour in zip(TEMPLATE, colours, strict=True):
        assert np.abs(face[round(y), round(x)].astype(int) - colour).max() < 30
    beyond = crop(picture, placement(moved(1, 0, (200, 0))))
    assert (beyond[:, -1] == (132, 133, 135)).all()


@pytest.mark.parametrize(
    ("scale", "turn", "shift"), [(0.3, 20, (90, 40)), (0.2, 0, (-30, -20)), (0.5, -15, (200, 150))]
)
def test_a_face_pasted_back_unchanged_is_where_it_was(scale, turn, shift):
    picture = scene()
    place = placement(moved(scale, turn, shift))
    back = paste(picture, crop(picture, place), place, box_mask())
    assert np.abs(back.astype(int) - picture).max() <= 20
    assert np.abs(back.astype(int) - picture).mean() < 0.5


def test_pasting_leaves_the_rest_exactly():
    picture = scene()
    place = placement(moved(0.25, 25, (150, 60)))
    pasted = paste(picture, np.full((FACE_PX, FACE_PX, 3), 255, np.uint8), place, box_mask())
    square = cv2.warpAffine(np.ones((FACE_PX, FACE_PX)), cv2.invertAffineTransform(place), (320, 280)) > 0
    assert (pasted[~square] == picture[~square]).all()
    x, y = (cv2.invertAffineTransform(place) @ (256, 256, 1)).round().astype(int)
    assert (pasted[y, x] == 255).all()
    steps = np.abs(np.diff(pasted.astype(int), axis=1) - np.diff(picture.astype(int), axis=1))
    assert steps.max() < 80, "no hard border"


def test_a_face_outside_the_picture_changes_nothing():
    picture = scene()
    place = placement(moved(0.2, 0, (1000, 1000)))
    assert (paste(picture, crop(picture, place), place, box_mask()) == picture).all()


# --- detection --------------------------------------------------------------------------------------------------------


class Answers(nn.Module):
    """In the detector's place: certain answers at certain anchors (number: score, box offsets, landmark offsets)."""

    def __init__(self, answers):
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(1))
        self.answers = answers
        self.seen = None

    def forward(self, pixels):
        self.seen = pixels
        count = sum(2 * -(-pixels.shape[2] // step) * -(-pixels.shape[3] // step) for step in (8, 16, 32))
        scores, boxes, landmarks = torch.zeros(count), torch.zeros(count, 4), torch.zeros(count, 10)
        for number, (score, box, points) in self.answers.items():
            scores[number], boxes[number], landmarks[number] = score, torch.tensor(box), torch.tensor(points).flatten()
        return scores, boxes, landmarks


POINTS = [[-1.0, -1.0], [1.0, -1.0], [0.0, 0.0], [-1.0, 1.0], [1.0, 1.0]]
STILL = [0.0] * 4


def anchor_number(level, row, column, size, width=640, height=640):
    before = sum(2 * (height // step) * (width // step) for step in (8, 16, 32)[:level])
    return before + 2 * (row * (width // (8, 16, 32)[level]) + column) + size


def test_answers_are_read_from_their_anchors():
    """Level 1, row 3, column 5, second size: middle (88, 56), 128 pixels; offsets count a tenth of that."""
    network = Answers({anchor_number(1, 3, 5, 1): (0.99, STILL, POINTS)})
    (face,) = find_faces(network, np.zeros((640, 640, 3), np.uint8))
    wanted = np.array([88, 56]) + np.array(POINTS) * 12.8
    assert np.abs(face.landmarks - wanted).max() < 1e-3
    assert face.score == pytest.approx(0.99)


def test_landmarks_are_in_the_pictures_own_pixels():
    network = Answers({anchor_number(2, 3, 5, 1, width=1280): (0.99, STILL, POINTS)})
    (face,) = find_faces(network, np.zeros((160, 320, 3), np.uint8))
    assert network.seen.shape == (1, 3, 640, 1280)
    assert np.abs(face.landmarks[2] - np.array([176, 112]) / 4).max() < 1e-3


def test_channels_and_mean():
    network = Answers({})
    picture = np.zeros((640, 640, 3), np.uint8)
    picture[:] = (10, 20, 30)
    assert find_faces(network, picture) == []
    assert network.seen[0, :, 0, 0].tolist() == [30 - 104, 20 - 117, 10 - 123]


def test_the_surest_of_overlapping_answers_stays():
    first, second = anchor_number(2, 5, 5, 1), anchor_number(2, 5, 6, 1)
    far, unsure = anchor_number(2, 15, 15, 0), anchor_number(2, 10, 2, 0)
    answers = {number: (score, STILL, POINTS) for number, score in
               ((first, 0.98), (second, 0.995), (far, 0.985), (unsure, 0.9))}  # fmt: skip
    faces = find_faces(Answers(answers), np.zeros((640, 640, 3), np.uint8))
    assert [round(face.score, 3) for face in faces] == [0.995, 0.985]
    apart = {first: (0.98, [0.0, 0.0, -16.0, -16.0], POINTS), second: (0.99, [0.0, 0.0, -16.0, -16.0], POINTS)}
    assert len(find_faces(Answers(apart), np.zeros((640, 640, 3), np.uint8))) == 2


def test_faces_with_close_eyes_are_left_out():
    points = [[-0.5, -1.0], [0.5, -1.0], [0.0, 0.0], [-1.0, 1.0], [1.0, 1.0]]
    answers = {anchor_number(0, 10, 10, 1): (0.99, STILL, points)}
    assert find_faces(Answers(answers), np.zeros((640, 640, 3), np.uint8)) == []
    assert len(find_faces(Answers(answers), np.zeros((1280, 1280, 3), np.uint8))) == 1


def test_long_pictures_stay_within_memory():
    network = Answers({})
    find_faces(network, np.zeros((64, 2048, 3), np.uint8))
    assert network.seen.shape == (1, 3, 80, 2560)


@pytest.mark.slow
def test_the_detectors_file_and_a_picture(tmp_path):
    torch.manual_seed(0)
    weights = RetinaFace().state_dict()
    assert sum(value.numel() for value in weights.values()) == 27_351_657
    assert weights["body.layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    assert weights["fpn.output3.0.weight"].shape == (256, 2048, 1, 1)
    assert weights["ssh2.conv7x7_3.1.running_mean"].shape == (64,)
    assert weights["LandmarkHead.1.conv1x1.bias"].shape == (20,)
    path = tmp_path / "detection_Resnet50_Final.pth"
    torch.save({f"module.{key}": value for key, value in weights.items()}, path)
    network = load_detector(path)
    scores, boxes, landmarks = network(torch.zeros(1, 3, 64, 96))
    count = 2 * (8 * 12 + 4 * 6 + 2 * 3)
    assert (scores.shape, boxes.shape, landmarks.shape) == ((count,), (count, 4), (count, 10))
    assert ((scores > 0) & (scores < 1)).all()
    for face in find_faces(network, scene(64, 48)):
        assert face.landmarks.shape == (5, 2)


# --- outline ----------------------------------------------------------------------------------------------------------


class Classes(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.classes = nn.Parameter(nn.functional.one_hot(classes, 19).permute(2, 0, 1)[None].float())

    def forward(self, x):
        return self.classes


def test_outline_takes_the_face_and_not_the_hair():
    classes = torch.zeros(FACE_PX, FACE_PX, dtype=torch.long)
    classes[:, 128:384] = 1
    classes[:200] = 17
    mask = outline_mask(Classes(classes), np.zeros((FACE_PX, FACE_PX, 3), np.uint8))
    assert mask[350, 256] == pytest.approx(1, abs=1e-3)
    assert mask[100, 256] < 0.01
    assert mask[350, 40] < 0.01
    assert 0.2 < mask[350, 128] < 0.8
    assert (mask[-10:] == 0).all()


@pytest.mark.slow
def test_the_outlines_file(tmp_path):
    torch.manual_seed(0)
    weights = ParseNet().state_dict()
    assert sum(value.numel() for value in weights.values()) == 21_318_199
    assert weights["encoder.1.shortcut_func.conv2d.bias"].shape == (128,)
    assert weights["body.9.conv2.norm.norm.running_var"].shape == (256,)
    end = {"out_img_conv.conv2d.weight": torch.zeros(3, 64, 3, 3), "out_img_conv.conv2d.bias": torch.zeros(3)}
    torch.save(weights | end, tmp_path / "parsing_parsenet.pth")
    mask = outline_mask(load_outline(tmp_path / "parsing_parsenet.pth"), scene(FACE_PX, FACE_PX))
    assert mask.shape == (FACE_PX, FACE_PX)
    assert 0 <= mask.min() <= mask.max() <= 1.001


# --- the whole path ---------------------------------------------------------------------------------------------------


class Darker(nn.Module):
    """In the restorer's place: notes its options and halves the brightness."""

    def __init__(self):
        super().__init__()
        self.none = nn.Parameter(torch.zeros(1))
        self.options = []

    def forward(self, x, **options):
        assert x.shape == (1, 3, FACE_PX, FACE_PX)
        assert -1 <= x.min() <= x.max() <= 1
        self.options.append(options)
        return (x + 1) * 0.5 - 1, None


@pytest.fixture
def darker(tmp_path, monkeypatch):
    """Face models whose files hold a name; loading one gives `Darker`."""
    network = Darker()

    def load(path, what, name):
        arch = SimpleNamespace(id="CodeFormer" if "codeformer" in name.lower() else "GFPGAN")
        return ImageModel(SimpleNamespace(model=network, architecture=arch), torch.float32)

    monkeypatch.setattr(restore, "load_image_model", load)
    for name in ("GFPGANv1.3.pth", "GFPGANv1.4.pth", "codeformer-v0.1.0.pth"):
        (tmp_path / name).write_bytes(b"x")
    return network


def restorer(folder, *faces):
    files = [model_file(path, kind="face") for path in sorted(folder.iterdir())]
    return FaceRestorer(lambda: files, CPU, finder=lambda picture: faces)


def test_every_face_is_restored_and_the_rest_kept(tmp_path, darker):
    picture = scene()
    faces = moved(0.15, 0, (10, 10)), moved(0.2, 20, (200, 100))
    (out,) = restorer(tmp_path, *faces).restore([picture], FaceRestore(model="GFPGAN"), silent)
    assert darker.options == [{"randomize_noise": False}] * 2
    for face in faces:
        x, y = face[2].round().astype(int)
        assert np.abs(out[y, x] - picture[y, x] * 0.5).max() < 6
    assert (out[150:, :100] == picture[150:, :100]).all()


def test_codeformer_gets_its_weight(tmp_path, darker):
    restorer(tmp_path, moved(0.2, 0, (50, 50))).restore([scene()], FaceRestore(model="CodeFormer", weight=0.3), silent)
    assert darker.options == [{"weight": 0.3}]


def test_visibility_blends(tmp_path, darker):
    picture, face = scene(), moved(0.3, 0, (50, 50))
    faces = restorer(tmp_path, face)
    (full,) = faces.restore([picture], FaceRestore(model="GFPGAN"), silent)
    (half,) = faces.restore([picture], FaceRestore(model="GFPGAN", visibility=0.5), silent)
    assert np.abs(half - (picture * 0.5 + full * 0.5)).max() <= 1
    (none,) = faces.restore([picture], FaceRestore(model="GFPGAN", visibility=0.0), silent)
    assert (none == picture).all()
    assert len(darker.options) == 2


def test_no_face_no_change(tmp_path, darker):
    picture = scene()
    (out,) = restorer(tmp_path).restore([picture], FaceRestore(model="GFPGAN", visibility=0.7), silent)
    assert (out == picture).all()
    (out,) = restorer(tmp_path, np.zeros((5, 2))).restore([picture], FaceRestore(model="GFPGAN"), silent)
    assert (out == picture).all()


def test_cancelling_before_a_face(tmp_path, darker):
    checks = []

    def check():
        checks.append(1)
        if len(checks) == 3:
            raise DrawingCancelled

    faces = restorer(tmp_path, moved(0.2, 0, (50, 50)), moved(0.2, 0, (150, 50)))
    with pytest.raises(DrawingCancelled):
        faces.restore([scene()], FaceRestore(model="GFPGAN"), check)
    assert len(darker.options) == 1


def test_a_face_that_is_no_number_is_left_alone(tmp_path, darker, monkeypatch):
    monkeypatch.setattr(Darker, "forward", lambda self, x, **_: (x * float("nan"), None))
    picture = scene()
    (out,) = restorer(tmp_path, moved(0.2, 0, (50, 50))).restore([picture], FaceRestore(model="GFPGAN"), silent)
    assert (out == picture).all()


def test_out_of_memory_is_said_plainly(tmp_path, darker, monkeypatch):
    def full(self, x, **_):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(Darker, "forward", full)
    with pytest.raises(EngineError) as caught:
        restorer(tmp_path, moved(0.2, 0, (50, 50))).restore([scene()], FaceRestore(model="GFPGAN"), silent)
    assert caught.value.kind == "oom"
    assert caught.value.detail == {"face": "GFPGAN"}


def test_the_newest_usable_file_is_taken(tmp_path, darker):
    files = [model_file(path, kind="face") for path in tmp_path.iterdir()]
    faces = FaceRestorer(lambda: files, CPU)
    assert faces._file("gfpgan", "").fact.name == "GFPGANv1.4"
    files.append(model_file(tmp_path / "GFPGANv1.5.pth", kind="face", problem="corrupt"))
    files.append(model_file(tmp_path / "GFPGANv1.6.pth", kind="upscaler"))
    assert faces._file("gfpgan", "").fact.name == "GFPGANv1.4"


def test_what_is_not_installed_is_named(tmp_path, darker, monkeypatch):
    def failing(files, model="GFPGAN"):
        with pytest.raises(EngineError) as caught:
            FaceRestorer(lambda: files, CPU).restore([scene()], FaceRestore(model=model), silent)
        return caught.value.kind, caught.value.detail

    assert failing([]) == ("missing_model", {"face": "detection_Resnet50_Final.pth"})
    damaged = tmp_path / "detection_Resnet50_Final.pth"
    torch.save({"module.body.conv1.weight": torch.zeros(3)}, damaged)
    detail = {"face": "detection_Resnet50_Final", "problem": "unknown_layout"}
    assert failing([model_file(damaged, "face")]) == ("bad_model", detail)

    def with_finder(files, model):
        with pytest.raises(EngineError) as caught:
            FaceRestorer(lambda: files, CPU, finder=lambda _: []).restore([scene()], FaceRestore(model=model), silent)
        return caught.value.kind, caught.value.detail

    assert with_finder([], "GFPGAN") == ("missing_model", {"face": "GFPGANv1.4.pth"})
    assert with_finder([], "CodeFormer") == ("missing_model", {"face": "codeformer-v0.1.0.pth"})
    broken = [model_file(tmp_path / "GFPGANv1.4.pth", "face", problem="corrupt")]
    assert with_finder(broken, "GFPGAN") == ("bad_model", {"face": "GFPGANv1.4", "problem": "corrupt"})
    monkeypatch.setattr(restore, "find_spec", lambda name: None)
    files = [model_file(tmp_path / "codeformer-v0.1.0.pth", "face")]
    wanted = {"face": "CodeFormer", "problem": "needs_extra", "extra": "codeformer"}
    assert with_finder(files, "CodeFormer") == ("bad_model", wanted)


def gfpgan():
    from spandrel.architectures.GFPGAN import GFPGAN

    return GFPGAN(
        out_size=512, num_style_feat=512, channel_multiplier=2, decoder_load_path=None, fix_decoder=False, num_mlp=8,
        input_is_latent=True, different_w=True, narrow=1, sft_half=True,
    )  # fmt: skip


def codeformer():
    from spandrel_extra_arches.architectures.CodeFormer import CodeFormer

    return CodeFormer()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:FutureWarning")
@pytest.mark.parametrize(("name", "file", "network"), [
    ("GFPGAN", "GFPGANv1.4", gfpgan), ("CodeFormer", "codeformer-v0.1.0", codeformer),
])  # fmt: skip
def test_a_real_networks_file(tmp_path, name, file, network):
    """Random weights, of full size because the layout has one size: no face comes out, but it lies where one was."""
    torch.manual_seed(0)
    path = tmp_path / f"{file}.safetensors"
    save_file({key: value.contiguous() for key, value in network().state_dict().items()}, path)
    picture, face = scene(), moved(0.25, 15, (120, 60))
    (out,) = restorer(tmp_path, face).restore([picture], FaceRestore(model=name, weight=0.2), silent)
    x, y = face[2].round().astype(int)
    assert (out[y - 20 : y + 20, x - 20 : x + 20] != picture[y - 20 : y + 20, x - 20 : x + 20]).mean() > 0.9
    assert (out[:, :60] == picture[:, :60]).all()
