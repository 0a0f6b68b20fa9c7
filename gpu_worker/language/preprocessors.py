"""Preprocessors by A1111's names: their sliders, what their maps show, and the weights that they look with (§17.2)."""

from __future__ import annotations

from dataclasses import dataclass

from gpu_worker.protocol.specs import ControlType

__all__ = ["CATALOGUE_KEYS", "PREPROCESSOR_TABLE", "PreprocessorEntry", "Slider", "find_preprocessor"]


@dataclass(frozen=True)
class Slider:
    """A number of a preprocessor, by A1111's label."""

    label: str
    low: float
    high: float
    default: float
    step: float = 1

    def bounded(self, value: float | None) -> float:
        return self.default if value is None else min(max(value, self.low), self.high)


@dataclass(frozen=True)
class PreprocessorEntry:
    name: str
    aliases: tuple[str, ...] = ()
    resolution: int | None = 512
    """Default of the slider, from 64 to 2048; None: it has none, and sees the picture at its own size."""
    a: Slider | None = None
    b: Slider | None = None
    files: tuple[str, ...] = ()
    """Annotators it needs, by the names of the published files without suffix."""
    tag: str = "All"
    """The group in A1111's list."""
    shows: ControlType | None = None
    """For union models."""
    sees_px: int = 0
    """Its network makes the shorter side at least as long."""


_PIDI, _HED = ("table5_pidinet",), ("ControlNetHED",)
_BODY, _HAND, _FACE = "body_pose_model", "hand_pose_model", "facenet"
_NEAR, _FAR = Slider("Remove Near %", 0, 100, 0, 0.1), Slider("Remove Background %", 0, 100, 0, 0.1)
_SAFE = Slider("Safe Steps", 0, 10, 2)
_VARIATION = Slider("Variation", 3, 32, 8)
_GAMMA = Slider("Gamma Correction", 0.1, 2, 1, 0.001)


def _pose(name: str, *files: str, aliases: tuple[str, ...] = ()) -> PreprocessorEntry:
    return PreprocessorEntry(name, aliases, files=files, tag="OpenPose", shows="OpenPose")


def _depth(
    name: str, *files: str, aliases: tuple[str, ...] = (), cut: bool = False, sees_px: int = 0
) -> PreprocessorEntry:
    near, far = (_NEAR, _FAR) if cut else (None, None)
    return PreprocessorEntry(name, aliases, a=near, b=far, files=files, tag="Depth", shows="Depth", sees_px=sees_px)


def _lines(name: str, *files: str, aliases: tuple[str, ...] = ()) -> PreprocessorEntry:
    return PreprocessorEntry(name, aliases, files=files, tag="Lineart", shows="Hard Edge")


def _soft(name: str, files: tuple[str, ...], *aliases: str) -> PreprocessorEntry:
    return PreprocessorEntry(name, aliases, files=files, tag="SoftEdge", shows="Soft Edge")


def _scribble(
    name: str, *aliases: str, files: tuple[str, ...] = (), a: Slider | None = None, tag: str = "Scribble"
) -> PreprocessorEntry:
    return PreprocessorEntry(name, aliases, a=a, files=files, tag=tag, shows="Soft Edge")


def _segments(name: str, *files: str, aliases: tuple[str, ...] = ()) -> PreprocessorEntry:
    return PreprocessorEntry(name, aliases, files=files, tag="Segmentation", shows="Segmentation")


def _inpaint(name: str, *aliases: str) -> PreprocessorEntry:
    return PreprocessorEntry(name, aliases, None, tag="Inpaint", shows="Inpaint")


PREPROCESSOR_TABLE: tuple[PreprocessorEntry, ...] = (
    PreprocessorEntry("none", resolution=None),
    PreprocessorEntry("invert", ("invert (from white bg & black line)",), None, shows="Hard Edge"),
    PreprocessorEntry(
        "canny",
        a=Slider("Canny Low Threshold", 1, 255, 100),
        b=Slider("Canny High Threshold", 1, 255, 200),
        tag="Canny",
        shows="Hard Edge",
    ),
    _depth("depth_midas", "dpt_hybrid-midas-501f0c75", aliases=("depth",)),
    _depth("depth_leres", "res101", cut=True),
    _depth("depth_zoe", "ZoeD_M12_N"),
    _depth("depth_anything", "depth_anything_vitl14", sees_px=518),
    _depth("depth_anything_v2", "depth_anything_v2_vitl", sees_px=518),
    PreprocessorEntry("normal_bae", files=("scannet",), tag="NormalMap", shows="Normal Map"),
    PreprocessorEntry(
        "normal_midas",
        ("normal_map",),
        a=Slider("Normal Background Threshold", 0, 1, 0.4, 0.01),
        files=("dpt_hybrid-midas-501f0c75",),
        tag="NormalMap",
        shows="Normal Map",
    ),
    _pose("openpose", _BODY),
    _pose("openpose_face", _BODY, _FACE),
    _pose("openpose_faceonly", _BODY, _FACE),
    _pose("openpose_hand", _BODY, _HAND),
    _pose("openpose_full", _BODY, _HAND, _FACE),
    _pose("dw_openpose_full", "yolox_l", "dw-ll_ucoco_384"),
    PreprocessorEntry(
        "mlsd",
        a=Slider("MLSD Value Threshold", 0.01, 2, 0.1, 0.01),
        b=Slider("MLSD Distance Threshold", 0.01, 20, 0.1, 0.01),
        files=("mlsd_large_512_fp32",),
        tag="MLSD",
        shows="Hard Edge",
    ),
    _lines("lineart_realistic", "sk_model", aliases=("lineart",)),
    _lines("lineart_coarse", "sk_model2"),
    _lines("lineart_anime", "netG"),
    _lines("lineart_anime_denoise", "erika"),
    _lines("lineart_standard", aliases=("lineart_standard (from white bg & black line)",)),
    _soft("softedge_hed", _HED, "hed"),
    _soft("softedge_hedsafe", _HED, "hed_safe"),
    _soft("softedge_pidinet", _PIDI, "pidinet"),
    _soft("softedge_pidisafe", _PIDI, "pidinet_safe"),
    PreprocessorEntry("softedge_teed", a=_SAFE, files=("7_model",), tag="SoftEdge", shows="Soft Edge"),
    PreprocessorEntry("softedge_anyline", (), 1280, _SAFE, files=("MTEED",), tag="SoftEdge", shows="Soft Edge"),
    _scribble("scribble_hed", "fake_scribble", files=_HED),
    _scribble("scribble_pidinet", "pidinet_scribble", files=_PIDI),
    _scribble("scribble_xdog", a=Slider("XDoG Threshold", 1, 64, 32)),
    _scribble("scribble", "scribble_thr"),
    _scribble("t2ia_sketch_pidi", "pidinet_sketch", files=_PIDI, tag="T2I-Adapter"),
    _segments("seg_ofade20k", "250_16_swin_l_oneformer_ade20k_160k", aliases=("oneformer_ade20k",)),
    _segments("seg_ofcoco", "150_16_swin_l_oneformer_coco_100ep", aliases=("oneformer_coco",)),
    PreprocessorEntry("threshold", a=Slider("Binarization Threshold", 0, 255, 127), shows="Hard Edge"),
    PreprocessorEntry("binary", a=Slider("Binary Threshold", 0, 255, 0), tag="T2I-Adapter", shows="Hard Edge"),
    PreprocessorEntry("shuffle", tag="Shuffle"),
    PreprocessorEntry(
        "tile_resample", resolution=None, a=Slider("Down Sampling Rate", 1, 8, 1, 0.01), tag="Tile", shows="Tile"
    ),
    PreprocessorEntry("tile_colorfix", resolution=None, a=_VARIATION, tag="Tile", shows="Tile"),
    PreprocessorEntry(
        "tile_colorfix+sharp",
        ("tile_colorfix_sharp",),
        None,
        _VARIATION,
        Slider("Sharpness", 0, 2, 1, 0.01),
        tag="Tile",
        shows="Tile",
    ),
    PreprocessorEntry("blur_gaussian", a=Slider("Sigma", 0.01, 64, 9, 0.01), tag="Tile", shows="Tile"),
    PreprocessorEntry("recolor_luminance", resolution=None, a=_GAMMA, tag="Recolor"),
    PreprocessorEntry("recolor_intensity", resolution=None, a=_GAMMA, tag="Recolor"),
    PreprocessorEntry("t2ia_color_grid", ("color",), tag="T2I-Adapter"),
    _inpaint("inpaint_only"),
    _inpaint("inpaint_global_harmonious", "inpaint"),
)

CATALOGUE_KEYS = {
    _BODY: "annotator-openpose-body", _HAND: "annotator-openpose-hand", _FACE: "annotator-openpose-face",
    "dpt_hybrid-midas-501f0c75": "annotator-midas", "ControlNetHED": "annotator-hed",
    "table5_pidinet": "annotator-pidinet", "sk_model": "annotator-lineart", "sk_model2": "annotator-lineart-coarse",
    "netG": "annotator-lineart-anime", "mlsd_large_512_fp32": "annotator-mlsd", "scannet": "annotator-normalbae",
    "res101": "annotator-leres", "yolox_l": "annotator-dwpose-people", "dw-ll_ucoco_384": "annotator-dwpose-points",
    "depth_anything_vitl14": "annotator-depth-anything", "depth_anything_v2_vitl": "annotator-depth-anything-v2",
    "erika": "annotator-lineart-denoise", "7_model": "annotator-teed", "MTEED": "annotator-anyline",
    "250_16_swin_l_oneformer_ade20k_160k": "annotator-oneformer-ade20k",
    "150_16_swin_l_oneformer_coco_100ep": "annotator-oneformer-coco",
}  # fmt: skip
"""What `models install` calls the files; ZoE's is not in the catalogue."""

_BY_NAME = {key.casefold(): entry for entry in PREPROCESSOR_TABLE for key in (entry.name, *entry.aliases)}


def find_preprocessor(name: str) -> PreprocessorEntry | None:
    """By its name or an old one, in any case."""
    return _BY_NAME.get(name.strip().casefold())
