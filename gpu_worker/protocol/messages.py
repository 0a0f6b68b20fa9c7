"""The frames between bot and worker: msgpack maps, each with `v`, `t`, `worker`; job frames add `job` and `attempt`.

Unknown fields are ignored, an unknown `t` is logged and ignored, and no wall-clock time is ever compared between
machines: durations only.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, model_validator

from gpu_worker.protocol.outbox import MODEL_MIME
from gpu_worker.protocol.safety import Looked
from gpu_worker.protocol.specs import ImageRef, TaskSpec, Wire

__all__ = [
    "CURVE_POINTS_MAX", "MODEL_BYTES_MAX", "MODEL_FILE_BYTES_MAX", "PARTS_MAX", "PART_BYTES_MAX", "PROTO_MAX",
    "PROTO_MIN", "STATE_BYTES_MAX", "AddonFact", "Assign", "AssignReply", "Cancel", "Cancelled", "Done", "Drain",
    "Failed", "FailureKind", "Forget", "Heartbeat", "Hello", "JobFrame", "KeptPart", "Missing", "ModelFact",
    "ModelKind", "ModelRef", "Output", "Partial", "Paused", "Prediction", "Prepare", "PreviewWish", "Progress",
    "Rescan", "Resync", "Running", "SavedModel", "Settled", "ToBot", "ToWorker", "TrainingTold", "Welcome",
    "parse_to_bot", "parse_to_worker",
]  # fmt: skip

PROTO_MIN = 1
PROTO_MAX = 1

PARTS_MAX = 4096
"""Parts of one job that can be kept."""
PART_BYTES_MAX = 64 * 2**20
"""Of a part that is read into memory; a `SavedModel` is none."""
MODEL_BYTES_MAX = 4 * 2**30
"""Of a `SavedModel`, which goes from place to place as a file and is in nobody's memory."""
MODEL_FILE_BYTES_MAX = 2**40
"""Of a file that is fetched."""
CURVE_POINTS_MAX = 120
STATE_BYTES_MAX = 2**20

FailureKind = Literal["oom", "bad_input", "missing_model", "bad_model", "disk_full", "crash", "timeout", "other"]


JobKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,25}$")]
"""A job's id. It becomes part of file names and subjects, so nothing but letters, digits, `-` and `_` is let in."""


class Frame(Wire):
    v: int = PROTO_MAX
    worker: str = ""


class JobFrame(Frame):
    job: JobKey
    attempt: int = Field(ge=0)


ModelKind = Literal[
    "checkpoint", "vae", "lora", "embedding", "controlnet", "upscaler", "face", "annotator", "tagger", "preview",
    "detector",
]  # fmt: skip
Prediction = Literal["epsilon", "v"]


class ModelFact(Wire):
    """One model file the worker can use, or cannot and why."""

    kind: ModelKind
    name: str
    sha256: str | None = None
    """None until hashed; hashing a 2 GB file must not delay the start."""
    family: str | None = None
    """`sd1`, `sd2`, `sdxl` or `sdxl_refiner`; None where the file does not say."""
    variant: (
        Literal[
            "inpaint", "pix2pix", "ip_adapter", "t2i_adapter", "lllite", "control_union", "control_lora",
            "control_difference", "clip_vision",
        ]
        | None
    ) = None  # fmt: skip
    """Checkpoints whose UNet reads more than the latent (behaviours §10); the kinds of control models beside plain
    ControlNets (§17.5); CLIP's image encoders, which IP-Adapters read pictures with, among the annotators."""
    prediction: Prediction | None = None
    """What a worker measured of a checkpoint whose tensors do not say it (behaviours §12.4); None: not measured."""
    alias: str | None = None
    """A LoRA's second name, `ss_output_name` of its metadata (behaviours §5.3)."""
    native_px: int | None = None
    problem: str | None = None
    """A reason key (`corrupt`, `unsafe`, `pickled`, `unknown_layout`, `unsupported`, `no_vae`, `no_text_encoder`,
    `no_tokenizer`); such a model is listed, never loaded."""
    defaults: dict[str, Any] | None = None
    """Parameters this model draws best with, by the names of Txt2Img; None where nothing is known."""
    context: int | None = None
    """Width of the text encoding that it reads, or is: what goes together has one (768 in SD 1.x). None: unknown."""
    shipped: bool = False
    """It comes with the project, for trying: what somebody installed goes before it."""
    trained_in: str | None = None
    """Job of the training that saved this LoRA; it is in nobody's library. None for all others."""


class ModelRef(Wire):
    """A model file that a job needs, for a machine which may have to fetch it: from the bot, or from where it came."""

    kind: ModelKind
    name: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=1, le=MODEL_FILE_BYTES_MAX)
    suffix: str = Field(default=".safetensors", pattern=r"^\.[a-z0-9]{1,12}$")
    source: str | None = Field(default=None, max_length=2000)
    """An https address that gave exactly these bytes; None: the bot alone has it."""


class AddonFact(Wire):
    """One installed add-on, as the process that tells this found it."""

    name: str
    version: str = ""
    parts: tuple[str, ...] = ()
    """What it brought: `sampler Name`, `upscaler Name`."""
    problem: str | None = None
    """Why it, or some part of it, is not used; None where all of it is."""


class Running(Wire):
    job: JobKey
    attempt: int = Field(ge=0)
    phase: str = "queued"
    step: int = 0
    of: int = 0


# --- worker → bot -----------------------------------------------------------------------------------------------------


class Hello(Frame):
    t: Literal["hello"] = "hello"
    proto_min: int = PROTO_MIN
    proto_max: int = PROTO_MAX
    app_version: str
    boot: str
    """Random per start: tells a reconnect from a restart."""
    name: str
    gpu: str = "cpu"
    vram_mb: int = 0
    tasks: tuple[str, ...] = ("txt2img",)
    models: tuple[ModelFact, ...] = ()
    loaded: str | None = None
    slots: int = 1
    prefetch: int = 1
    lanes: tuple[str, ...] = ()
    running: tuple[Running, ...] = ()
    addons: tuple[AddonFact, ...] = ()
    safety: str | None = None
    """Name of the classifier that looks at every picture; None where there is none."""
    machine: str = ""
    """Name of the computer of a remote worker, which may serve with several cards; empty for the bot's own."""
    platform: str = ""
    """`Linux`, `Windows`, `Darwin`; empty where nobody says."""
    fetches: bool = False
    """It gets models that it lacks by `Assign.needs`, and inputs."""
    models_room_mb: int | None = None
    """What it can still fetch within its budget, were all that it fetched before to go; None: it does not say."""
    kept: tuple[JobKey, ...] = ()
    """Trainings that this worker keeps something of, to go on from. The bot answers for each with `forget` that nobody
    can go on with."""


class Heartbeat(Frame):
    t: Literal["hb"] = "hb"
    boot: str
    running: tuple[Running, ...] = ()
    loaded: str | None = None
    vram_free_mb: int | None = None
    temperature_c: int | None = None
    """Of the card, as are the two below; None where nothing on the machine can tell."""
    utilisation_pct: int | None = None
    power_w: int | None = None
    draining: bool = False


class AssignReply(JobFrame):
    t: Literal["assign_reply"] = "assign_reply"
    accepted: bool
    reason: str = ""


class TrainingTold(Wire):
    """Where a training is."""

    epoch: int = Field(ge=0)
    """From 1; 0 before the first step."""
    epochs: int = Field(ge=0)
    step: int = Field(ge=0)
    """Steps that are done; those of earlier attempts count."""
    total_steps: int = Field(ge=0)
    average_loss: float | None = Field(default=None, allow_inf_nan=False)
    """Of the last hundred steps; None before the first."""
    unet_lr: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    text_encoder_lr: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    curve: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = Field(default=(), max_length=CURVE_POINTS_MAX)
    """Loss of the whole run so far, each point the mean of as many steps (the last of as many as there are)."""


class Progress(JobFrame):
    """Lossy; the newest of a job replaces an older one that was not sent yet."""

    t: Literal["progress"] = "progress"
    n: int
    """Counts up per attempt."""
    phase: str
    """`starting`, `loading`, `encoding`, `sampling`, `hires`, `decoding`, `saving`, `upscaling`, `looking`,
    `converting`, `fetching` (what a remote worker lacks, in thousandths), `tagging` (in pictures),
    `tiles` (in hundredths of a tile); `details 2/3` while the second of three finds is drawn; of a training `preparing`
    (in pictures) and `training`."""
    step: int
    of: int
    eta_s: float | None = None
    preview: bytes | None = None
    """A JPEG or WebP of at most 32 kB."""
    preview_guarded: bool = False
    """The classifier has looked at it, and veiled what it objects to."""
    training: TrainingTold | None = None


class Output(Wire):
    blob: str
    """Address of the bytes in the transport; on the pipe a file name in the outbox."""
    size_bytes: int
    sha256: str
    mime: str
    width: int
    height: int
    seed: int
    variation_seed: int | None = None
    infotext: str
    safety: Looked | None = None
    """What the classifier says; None where none is installed, and of what is no picture."""


class Missing(Wire):
    """A cell of a sheet that could not be drawn; the others were."""

    index: int = Field(ge=0)
    """In `Sheet.cells`."""
    kind: FailureKind
    detail: dict[str, Any] = Field(default_factory=dict)
    """As in `Failed`."""


class Done(JobFrame):
    """Durable: kept in the outbox until `settled`."""

    t: Literal["done"] = "done"
    outputs: tuple[Output, ...]
    load_s: float = 0.0
    """Part of `run_s` that went into loading the model: paid once, so no speed is learnt from it."""
    run_s: float = 0.0
    missing: tuple[Missing, ...] = ()
    """Of a sheet; `outputs` are those of the other cells, in their order."""


class Failed(JobFrame):
    t: Literal["failed"] = "failed"
    kind: FailureKind
    retryable: bool = False
    message: str = ""
    """For the log, never for a user."""
    detail: dict[str, Any] = Field(default_factory=dict)
    """Values that the user's sentence for `kind` may show (a model's name, a size)."""


class Cancelled(JobFrame):
    t: Literal["cancelled"] = "cancelled"


class Paused(JobFrame):
    """A training has stopped between two steps and given its memory back; assigned again it goes on from there, on a
    worker that has its state. Durable, the end of its attempt, and nobody's failure."""

    t: Literal["paused"] = "paused"
    step: int = Field(default=0, ge=0)
    """Steps that are done; 0 where it was still preparing."""
    of: int = Field(default=0, ge=0)
    run_s: float = Field(default=0.0, ge=0)
    """What this attempt has taken."""
    reason: str = ""
    """`asked` (Cancel with the reason `pause`), `others` (another job waits), `drained` (the bot stops), `orphaned`
    (the bot is gone)."""


# --- bot → worker -----------------------------------------------------------------------------------------------------


class Welcome(Frame):
    t: Literal["welcome"] = "welcome"
    proto: int = PROTO_MAX
    boot: str = ""
    """Whom the bot knows under this name; another one that hears it joined with the same invite, and is not given
    anything. Empty: whoever hears it."""
    hb_s: float = Field(default=2.0, gt=0)
    lease_s: float = Field(default=15.0, gt=0)


class PreviewWish(Wire):
    hz: float = 2.0
    px: int = 256
    max_kb: int = 32
    guarded: bool = False
    """Only such previews are wanted as the classifier has looked at."""


class KeptPart(Wire):
    """What an earlier attempt handed over with a `Partial`."""

    n: int = Field(ge=0)
    image: ImageRef


class Assign(JobFrame):
    t: Literal["assign"] = "assign"
    lane: str = "interactive"
    model: str = ""
    spec: TaskSpec
    resume: bytes | None = None
    """Resumable state that an earlier attempt left (`Checkpointed` work such as training); None starts afresh."""
    parts: tuple[KeptPart, ...] = ()
    """Finished parts of the job, which need not be made again."""
    needs: tuple[ModelRef, ...] = Field(default=(), max_length=256)
    """For a worker that fetches: all model files that the job reads."""
    max_run_s: float = 3600.0
    """Of a training, which may take days: how long it may go without progress."""
    preview: PreviewWish = PreviewWish()


class Cancel(JobFrame):
    t: Literal["cancel"] = "cancel"
    reason: str = ""
    """`pause` ends a training with `paused`, and is passed over by whatever else; all others end it for good."""


class Prepare(Frame):
    t: Literal["prepare"] = "prepare"
    model: str
    needs: tuple[ModelRef, ...] = Field(default=(), max_length=256)
    """As `Assign.needs`."""


class Drain(Frame):
    t: Literal["drain"] = "drain"


class Resync(Frame):
    t: Literal["resync"] = "resync"


class Rescan(Frame):
    """Model files came, went or changed: look now instead of at the next turn."""

    t: Literal["rescan"] = "rescan"


class Forget(Frame):
    """Nobody will go on with this training: what its worker keeps to go on from goes. Where it still runs, it ends."""

    t: Literal["forget"] = "forget"
    job: JobKey


class Settled(JobFrame):
    """The bot has stored how this attempt ended (`done`, `failed`, `cancelled`, `paused`): the outbox entry may go."""

    t: Literal["settled"] = "settled"


class SavedModel(Wire):
    """A LoRA that a training has saved on its way, or at its end."""

    name: str = Field(min_length=1, max_length=128)
    """Without suffix: `mychar-000002`, `mychar-step00000500`; `mychar` is the last."""
    epoch: int = Field(ge=0)
    """From 1: the epoch that it ends, or was saved within."""
    step: int = Field(ge=0)
    final: bool = False
    loss: float | None = Field(default=None, allow_inf_nan=False)
    """The average at that step."""
    gone: str | None = Field(default=None, max_length=128)
    """Name of an earlier one that goes for it, as `save_last_n_epochs` has it."""


class Partial(JobFrame):
    """A finished part of a job (a tile, a trained file) and the state to go on from; kept in the outbox until the bot
    has it. The same `n` again replaces the earlier one."""

    t: Literal["partial"] = "partial"
    n: int = Field(ge=0, lt=PARTS_MAX)
    """Of a `file` it counts up in each attempt; what the file is called says which it is."""
    outputs: tuple[Output, ...] = Field(default=(), max_length=1)
    """The part's bytes; none where `state` alone is left."""
    state: bytes | None = Field(default=None, max_length=STATE_BYTES_MAX)
    file: SavedModel | None = None
    """The output is this model and no part to go on from: it is stored as it arrives, and never handed out again."""

    @model_validator(mode="after")
    def _whole(self) -> Partial:
        if self.file is not None:
            if len(self.outputs) != 1 or self.outputs[0].mime != MODEL_MIME:
                raise ValueError("a saved model without its file")
            if self.outputs[0].size_bytes > MODEL_BYTES_MAX:
                raise ValueError(f"a saved model of more than {MODEL_BYTES_MAX} bytes")
        return self


ToBot = Annotated[
    Hello | Heartbeat | AssignReply | Progress | Partial | Done | Failed | Cancelled | Paused, Field(discriminator="t")
]
ToWorker = Annotated[
    Welcome | Assign | Cancel | Prepare | Drain | Resync | Rescan | Forget | Settled, Field(discriminator="t")
]

_TO_BOT: TypeAdapter[ToBot] = TypeAdapter(ToBot)
_TO_WORKER: TypeAdapter[ToWorker] = TypeAdapter(ToWorker)


def parse_to_bot(raw: dict[str, Any]) -> ToBot:
    """Raises pydantic.ValidationError for an unknown `t` or a field out of range."""
    return _TO_BOT.validate_python(raw)


def parse_to_worker(raw: dict[str, Any]) -> ToWorker:
    """Raises pydantic.ValidationError for an unknown `t` or a field out of range."""
    return _TO_WORKER.validate_python(raw)
