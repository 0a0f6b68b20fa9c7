"""What a job asks the worker for: `TaskSpec`, the part of an `Assign` that the engine reads; mostly a drawing.

Specs are frozen and complete: every default is resolved and the seed drawn before a job is stored, so the same spec
renders the same picture after a crash, on another worker, and years later from the database.
Unknown fields are ignored on the wire (a newer bot may talk to an older worker); ranges are refused, never clamped.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "DRAW_TASKS", "FILE_TASKS", "LOOK_TASKS", "BakeSpec", "BakedLora", "ControlMode", "ControlResize", "ControlType",
    "ControlUnit", "ConvertSpec", "Describe", "DrawTask", "Drawing", "Extend", "FaceRestore", "FileSpec", "FileTask",
    "Hires", "ImageRef", "Img2Img", "JobSpec", "Mask", "MergeSpec", "Parts", "PictureTask", "Refiner",
    "RenderedSource", "Source", "StoredSource", "TaskSpec", "Template", "Texts", "Txt2Img", "Upscale", "Variation",
]  # fmt: skip

SEED_MAX = 2**64 - 1
SIZE_MIN_PX, SIZE_MAX_PX = 64, 2048
OUTPUT_MAX_PX = 4096

Share = Annotated[float, Field(ge=0, le=1)]
Steps = Annotated[int, Field(ge=1, le=150)]
NoiseSide = Annotated[int, Field(ge=8, le=SIZE_MAX_PX)]
CfgScale = Annotated[float, Field(ge=1, le=30)]


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Variation(Wire):
    """One step away from the seed's noise: slerp towards the noise of `seed` by `strength` (behaviours §6)."""

    seed: int = Field(ge=0, le=SEED_MAX)
    strength: float = Field(gt=0, le=1)


class Texts(Wire):
    """What one picture of a job is drawn from, where its pictures differ."""

    prompt: str
    negative_prompt: str = ""


class Template(Wire):
    """The dynamic prompt that texts were drawn from (behaviours §19): a record, and what a reroll draws from."""

    prompt: str
    negative_prompt: str = ""
    combinatorial: bool = False
    """Every combination was asked for, not a random one for each picture."""


class ImageRef(Wire):
    """An input picture the bot put where the worker can read it; `ref` is an address of the transport, never a URL."""

    ref: str
    sha256: str
    mime: str
    size_bytes: int = Field(ge=1)


class StoredSource(Wire):
    """The second pass starts from this stored picture."""

    type: Literal["stored"] = "stored"
    image: ImageRef


class RenderedSource(Wire):
    """The stored picture is gone: the worker draws it again from its recorded spec, then goes on."""

    type: Literal["rendered"] = "rendered"
    spec: Txt2Img


Source = Annotated[StoredSource | RenderedSource, Field(discriminator="type")]


class FaceRestore(Wire):
    """Restore faces (behaviours §21)."""

    model: Literal["GFPGAN", "CodeFormer"] = "CodeFormer"
    visibility: Share = 1.0
    weight: Share = 0.5
    """CodeFormer's own: 0 has the strongest effect."""


class Refiner(Wire):
    """A second checkpoint takes over for the last part of a pass."""

    checkpoint: str
    switch_at: Share = 0.8


class Hires(Wire):
    """A second denoising pass at a larger size (behaviours §8).

    Without `source` the first pass is drawn first. With it the first pass is skipped: because that pass's picture is
    lossless, the result equals A1111's hires fix with an image upscaler at the same seed. None means "as the first
    pass".
    """

    scale: float = Field(default=2.0, ge=1, le=4)
    resize_width: int = Field(default=0, ge=0, le=OUTPUT_MAX_PX)
    resize_height: int = Field(default=0, ge=0, le=OUTPUT_MAX_PX)
    """A target in pixels instead of `scale`; with one of them 0 the other follows the aspect (behaviours §8.1)."""
    upscaler: str = "Lanczos"
    """`None`, `Lanczos`, `Nearest`, one of the six `Latent…` modes of behaviours §8 (these cannot take a source), or an
    upscaler model by name."""
    steps: int = Field(default=0, ge=0, le=150)
    """0 means as many as the first pass."""
    denoising_strength: float = Field(default=0.5, gt=0, le=1)
    sampler: str | None = None
    schedule: str | None = None
    checkpoint: str | None = None
    prompt: str | None = None
    negative_prompt: str | None = None
    source: Source | None = None
    tile_px: int = Field(default=0, ge=0, le=SIZE_MAX_PX)
    """The second pass in overlapping tiles of this side, for what is too large to be drawn at once; 0 draws it whole.
    Not for the `Latent…` modes."""


class ImagePrompt(Wire):
    """A picture that is read like a prompt."""

    image: ImageRef
    weight: float = Field(default=1.0, ge=0, le=2)


class ImagePrompts(Wire):
    """Pictures through an IP-Adapter (behaviours §17): what they show and how, never their pixels."""

    adapter: str
    """A control model of the variant `ip_adapter`, by its name in the worker's model list."""
    pictures: tuple[ImagePrompt, ...] = Field(min_length=1, max_length=5)
    start: Share = 0.0
    end: Share = 1.0
    """Shares of the pass between which they count."""


ControlMode = Literal["Balanced", "My prompt is more important", "ControlNet is more important"]
ControlResize = Literal["Just Resize", "Crop and Resize", "Resize and Fill"]
ControlType = Literal[
    "OpenPose", "Depth", "Soft Edge", "Hard Edge", "Normal Map", "Segmentation", "Tile", "Inpaint"
]  # fmt: skip


class ControlUnit(Wire):
    """A picture whose structure a control model has the drawing follow (behaviours §17)."""

    model: str
    """A ControlNet, T2I adapter or Control-LoRA by its name in the worker's model list."""
    image: ImageRef | None = None
    """None is the picture that an img2img starts from."""
    preprocessor: str = Field(default="none", max_length=60)
    """`none` takes the image for a map that is ready."""
    weight: float = Field(default=1.0, ge=0, le=2)
    start: Share = 0.0
    end: Share = 1.0
    """Shares of the pass between which it leads."""
    mode: ControlMode = "Balanced"
    resize_mode: ControlResize = "Crop and Resize"
    mask: ImageRef | None = None
    """White is where it leads; for the `inpaint` preprocessors what is drawn anew."""
    hires: Literal["Both", "Low res only", "High res only"] = "Both"
    """Which passes of a hires fix it leads; without one it leads the only one there is."""
    low_memory: bool = False
    """The model visits the card for each of its calls alone."""
    pixel_perfect: bool = False
    """The preprocessor's resolution is reckoned from both sizes."""
    processor_resolution: int = Field(default=512, ge=64, le=2048)
    """Shorter side in pixels of what the preprocessor sees."""
    threshold_a: float | None = Field(default=None, ge=0, le=255)
    threshold_b: float | None = Field(default=None, ge=0, le=255)
    """The preprocessor's own numbers; None is its default."""
    control_type: ControlType | None = None
    """What the map shows, for union models; None tells it by the preprocessor."""


class Drawing(Wire):
    """What every drawing has. `prompt` still holds `<lora:…>` tags; the engine reads and removes them (§5)."""

    prompt: str
    negative_prompt: str = ""
    checkpoint: str
    """Name as in the worker's model list, without folder or suffix."""
    vae: str = "Automatic"
    """`Automatic` (one paired with the checkpoint by name, else its own), `None` (its own), or a VAE file's name."""
    width: int = Field(ge=SIZE_MIN_PX, le=SIZE_MAX_PX, multiple_of=8)
    height: int = Field(ge=SIZE_MIN_PX, le=SIZE_MAX_PX, multiple_of=8)
    steps: Steps = 20
    cfg_scale: CfgScale = 7.0
    sampler: str = "DPM++ 2M"
    schedule: str = "Automatic"
    clip_skip: int = Field(default=1, ge=1, le=12)
    seed: int = Field(ge=0, le=SEED_MAX)
    count: int = Field(default=1, ge=1, le=16)
    """Pictures to draw. Image i has seed+i; with variations the seed stays and the last variation's seed counts up."""
    batch_size: int = Field(default=0, ge=0, le=16)
    """How many are drawn at once; 0 takes all. It changes memory and time, never a picture."""
    variations: tuple[Variation, ...] = Field(default=(), max_length=16)
    """A path of slerps from the seed's noise; one entry is A1111's variation seed, more vary a variation."""
    seed_resize: tuple[NoiseSide, NoiseSide] | None = None
    """Width and height in pixels whose noise is laid into the middle of this size's (behaviours §6)."""
    noise_source: Literal["GPU", "CPU", "NV"] = "GPU"
    """Where A1111 would draw its noise; GPU and NV are Philox here, on every device."""
    ensd: int = Field(default=0, ge=-(2**32), le=2**32)
    emphasis: Literal["Original", "No norm", "Ignore", "None"] = "Original"
    old_prompt_editing: bool = False
    """A1111 before 1.6: both passes of a hires fix run through the prompt's edits from the start."""
    tiling: bool = False
    face_restore: FaceRestore | None = None
    refiner: Refiner | None = None
    ngms: float = Field(default=0.0, ge=0, le=15)
    """Below this sigma every second call leaves the negative prompt out (A1111's s_min_uncond)."""
    eta: float | None = Field(default=None, ge=0, le=1)
    """None is the sampler's own: 1 for ancestral ones, 0 for DDIM."""
    s_churn: float = Field(default=0.0, ge=0, le=100)
    s_tmin: float = Field(default=0.0, ge=0, le=100)
    s_tmax: float = Field(default=0.0, ge=0, le=1000)
    """0 means no bound."""
    s_noise: float = Field(default=1.0, ge=0, le=2)
    sigma_min: float = Field(default=0.0, ge=0, le=100)
    sigma_max: float = Field(default=0.0, ge=0, le=1000)
    rho: float = Field(default=0.0, ge=0, le=100)
    """Overrides of the schedule's ends and curve; 0 keeps its own."""
    discard_penultimate: bool = False
    zero_terminal_snr: bool = False
    downcast_alphas: bool = False
    texts: tuple[Texts, ...] = Field(default=(), max_length=16)
    """One for each picture, in order; the first's are `prompt` and `negative_prompt`, too. Empty: these are everyone's.
    Nothing but texts differs, though a text may name other LoRAs."""
    template: Template | None = None
    image_prompts: ImagePrompts | None = None
    control: tuple[ControlUnit, ...] = Field(default=(), max_length=4)

    @model_validator(mode="after")
    def _a_text_for_each(self) -> Drawing:
        if self.texts and len(self.texts) != self.count:
            raise ValueError(f"{len(self.texts)} texts for {self.count} pictures")
        return self


class Txt2Img(Drawing):
    """Text to pictures."""

    kind: Literal["txt2img"] = "txt2img"
    hires: Hires | None = None


class Mask(Wire):
    """Where to repaint (behaviours §9.3): white, or opaque in a picture with transparency."""

    image: ImageRef
    blur: int = Field(default=4, ge=0, le=64)
    invert: bool = False
    """A1111's "Inpaint not masked"."""
    content: Literal["fill", "original", "latent noise", "latent nothing"] = "original"
    only_masked: bool = False
    padding_px: int = Field(default=32, ge=0, le=256)
    prompt: str = Field(default="", max_length=200)
    """Words instead of a painted mask: drawn again is what they name, as the checkpoint itself sees it. `image` is then
    not read."""


class Extend(Wire):
    """Outpainting: pixels of new canvas at each side of the picture."""

    left: int = Field(default=0, ge=0, le=SIZE_MAX_PX)
    right: int = Field(default=0, ge=0, le=SIZE_MAX_PX)
    top: int = Field(default=0, ge=0, le=SIZE_MAX_PX)
    bottom: int = Field(default=0, ge=0, le=SIZE_MAX_PX)


class Img2Img(Drawing):
    """A picture, or a part of it, drawn again (behaviours §9). With `extend` width and height are those afterwards."""

    kind: Literal["img2img"] = "img2img"
    image: ImageRef
    denoising_strength: Share = 0.75
    resize_mode: Literal["Just resize", "Crop and resize", "Resize and fill", "Just resize (latent upscale)"] = (
        "Just resize"
    )
    exact_steps: bool = False
    """Draw just `steps` steps instead of about `steps * denoising_strength`."""
    mask: Mask | None = None
    extend: Extend | None = None
    color_correction: bool = False
    mask_weight: Share = 1.0
    """How far an inpainting checkpoint is kept from seeing what lies under the mask (behaviours §10)."""
    image_cfg_scale: float = Field(default=1.5, ge=0, le=10)
    """For instruct-pix2pix checkpoints alone."""
    noise_multiplier: float = Field(default=1.0, ge=0, le=1.5)
    extra_noise: Share = 0.0


class Upscale(Wire):
    """A1111's Extras: enlarging and restoring a finished picture, without a checkpoint (behaviours §20)."""

    kind: Literal["upscale"] = "upscale"
    image: ImageRef
    scale: float = Field(default=4.0, ge=1, le=8)
    width: int = Field(default=0, ge=0, le=2 * OUTPUT_MAX_PX)
    height: int = Field(default=0, ge=0, le=2 * OUTPUT_MAX_PX)
    """Both given: scale to cover this size instead of `scale`."""
    crop: bool = True
    upscaler: str = "Lanczos"
    upscaler_2: str = "None"
    visibility_2: Share = 0.0
    gfpgan_visibility: Share = 0.0
    codeformer_visibility: Share = 0.0
    codeformer_weight: Share = 0.0


class Describe(Wire):
    """What a picture shows, in the words of a tagger: an ONNX file of the WD14 layout with its `selected_tags.csv`."""

    kind: Literal["describe"] = "describe"
    image: ImageRef
    tagger: str
    """Name as in the worker's model list."""
    general: Share = 0.35
    character: Share = 0.85
    """Probabilities from which a tag of that category counts. Ratings are never told."""


Precision = Literal["keep", "fp32", "fp16", "bf16"]
"""Of the numbers that are written; `keep` leaves each as it is."""
Treatment = Literal["convert", "copy", "delete"]
"""`copy` keeps a part's own precision."""
OutputName = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^/\\:*?\"<>|\x00-\x1f]+$")]
"""A file's name without folder and suffix."""
KeyPattern = Annotated[str, Field(min_length=1, max_length=120)]


class Parts(Wire):
    """What becomes of a checkpoint's parts (Model Converter, behaviours §12.5)."""

    unet: Treatment = "convert"
    text_encoder: Treatment = "convert"
    vae: Treatment = "convert"
    other: Treatment = "convert"


class FileTask(Wire):
    """Work on model files: the result is a new .safetensors file, never another version of an old one."""

    output: OutputName
    precision: Precision = "fp16"
    vae: str | None = None
    """A VAE by name that is baked in, instead of the checkpoint's own."""
    fix_clip: bool = True
    """The text model's position ids become whole numbers, 0 to 76, again, which merges elsewhere may have spoilt."""
    discard: tuple[KeyPattern, ...] = Field(default=(), max_length=16)
    """Keys that are left out, with `*` and `?` as in file names."""
    size_bytes: int = Field(default=0, ge=0)
    """Of all files that are read, as the bot knows them; work units are reckoned from it."""
    owner: int | None = None
    """The server that the result belongs to; None: it is the operator's. For the bot alone, as is `preview`."""
    preview: Txt2Img | None = None
    """What the bot draws with the result; the checkpoint it names is replaced by the new one."""

    @property
    def work_units(self) -> float:
        """GiB that are read; at least a little, so that a speed can be learnt."""
        return max(0.01, self.size_bytes / 2**30)


class ConvertSpec(FileTask):
    """One file, written anew (behaviours §12.5)."""

    kind: Literal["convert"] = "convert"
    model: str
    """Name as in the worker's model list."""
    model_kind: Literal[
        "checkpoint", "vae", "lora", "embedding", "controlnet", "upscaler", "face", "annotator", "tagger",
        "preview",
    ] = "checkpoint"  # fmt: skip
    weights: Literal["all", "no-ema", "ema-only"] = "no-ema"
    parts: Parts = Parts()
    """Of checkpoints alone; `Parts(vae="delete")` removes the VAE."""


class MergeSpec(FileTask):
    """Checkpoints merged as in A1111's Checkpoint Merger (behaviours §12.5): with `multiplier` m, `weighted sum` is
    A(1 - m) + B m, `add difference` A + (B - C) m, `no interpolation` A alone."""

    kind: Literal["merge"] = "merge"
    method: Literal["weighted sum", "add difference", "no interpolation"] = "weighted sum"
    first: str
    second: str | None = None
    third: str | None = None
    multiplier: Share = 0.3

    @model_validator(mode="after")
    def _whole(self) -> MergeSpec:
        needed = {"weighted sum": (True, False), "add difference": (True, True), "no interpolation": (False, False)}
        if (self.second is not None, self.third is not None) != needed[self.method]:
            raise ValueError(f"{self.method} takes other checkpoints")
        return self


class BakedLora(Wire):
    name: str
    unet: float = Field(default=1.0, ge=-4, le=4)
    text_encoder: float = Field(default=1.0, ge=-4, le=4)


class BakeSpec(FileTask):
    """LoRAs merged into a checkpoint for good, as a drawing merges them for a while."""

    kind: Literal["bake"] = "bake"
    checkpoint: str
    loras: tuple[BakedLora, ...] = Field(min_length=1, max_length=8)


JobSpec = Txt2Img | Img2Img
"""Drawings that the bot makes."""

PictureTask = Upscale | Describe
"""Work on a finished picture, for which no checkpoint is loaded."""

FileSpec = ConvertSpec | MergeSpec | BakeSpec
DRAW_TASKS = ("txt2img", "img2img", "upscale")
FILE_TASKS = ("convert", "merge", "bake")
LOOK_TASKS = ("describe",)

DrawTask = Txt2Img | Img2Img | Upscale
"""What the engine draws."""

TaskSpec = Annotated[
    Txt2Img | Img2Img | Upscale | Describe | ConvertSpec | MergeSpec | BakeSpec, Field(discriminator="kind")
]
"""What a worker does; its `kind` is the task's name, announced in `Hello.tasks`."""

RenderedSource.model_rebuild()
Hires.model_rebuild()
Txt2Img.model_rebuild()
ConvertSpec.model_rebuild()
MergeSpec.model_rebuild()
BakeSpec.model_rebuild()
