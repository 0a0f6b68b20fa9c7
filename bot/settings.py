"""The operator's settings: `.env` in the checkout, overridden by environment variables.

`load_settings()` is called once by the composition root; importing this module reads nothing. Each field's docstring is
the comment that .env.example carries, and a test keeps the two equal.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, cast

from dotenv.parser import parse_stream
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from rapidfuzz import process

from bot import exit_codes
from bot.addresses import dialled, is_loopback, listeners, split_address
from bot.errors import StartupError
from bot.operator_language import operator_texts
from gpu_worker.language.trees import split_folders
from gpu_worker.protocol.specs import SIZE_MAX_PX, SIZE_MIN_PX

__all__ = [
    "CHECKOUT",
    "PASSWORD_MIN_CHARS",
    "Settings",
    "is_loopback",
    "load_settings",
    "setting_keys",
    "split_address",
]

CHECKOUT = Path(__file__).resolve().parents[1]
"""The folder that holds launch.py; the demo model is always read from here."""

PASSWORD_MIN_CHARS = 8


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _absolute(path: Path) -> Path:
    return (CHECKOUT / path.expanduser()).resolve()


def _maybe_absolute(path: Path | None) -> Path | None:
    return None if path is None else _absolute(path)


def _host_and_port(value: str) -> str:
    if value and split_address(value) is None:
        raise ValueError("no address and port")
    return value


def _broker(value: SecretStr) -> SecretStr:
    if value.get_secret_value() and not re.match(r"(nats|tls|ws|wss)://[^/\s]+$", value.get_secret_value()):
        raise ValueError("no address of a broker")
    return value


def _seed(value: SecretStr) -> SecretStr:
    if value.get_secret_value() and not re.fullmatch(r"SU[A-Z2-7]{56}", value.get_secret_value()):
        raise ValueError("no seed of a user's key")
    return value


def _listening(value: str) -> str:
    listeners(value)
    return value


def _dialled(value: str) -> str:
    dialled(value)
    return value


def _ids(value: object) -> object:
    if not isinstance(value, str):
        return frozenset({value}) if isinstance(value, int) else value
    return frozenset(part for part in re.split(r"[\s,;]+", value) if part)


def _folders(value: object) -> object:
    return split_folders(value, CHECKOUT) if isinstance(value, str) else value


class Settings(BaseSettings):
    """Frozen; paths are absolute. A key's environment name is its upper-case name with the prefix `PINCEL_`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_prefix="PINCEL_",
        env_ignore_empty=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
    )

    token: SecretStr = Field(default=SecretStr(""), validation_alias="DISCORD_TOKEN")
    """The bot's token from Discord's developer portal. Empty: the playground, a local Discord in your browser."""
    data: Annotated[Path, AfterValidator(_absolute)] = Path("data")
    """Folder for the database, models and pictures; a relative path counts from the folder of launch.py."""
    model_folders: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_folders)] = ()
    """More folders with models, separated by ; and only read: an A1111 or ComfyUI folder, or one laid out as ours."""
    operators: Annotated[frozenset[Annotated[int, Field(ge=1)]], NoDecode, BeforeValidator(_ids)] = frozenset()
    """Ids of the operators, who look after all of it, with commas. Empty, in the playground: whoever is there."""
    server_quota_gb: float = Field(default=50, ge=0, le=100_000)
    """Gigabytes of models that the admins of one server may add; 0 leaves adding to the operators."""
    disk_budget_gb: float | None = Field(default=None, gt=0, le=1_000_000)
    """Gigabytes that all models together should stay below; admins are warned before that. Empty: the whole disk."""
    download_limit_gb: float = Field(default=30, gt=0, le=10_000)
    """Largest file, in gigabytes, that may be downloaded."""
    download_hours: float = Field(default=12, gt=0, le=1000)
    """Hours that one download may take."""
    downloads_at_once: int = Field(default=2, ge=1, le=8)
    """Downloads that run at a time; others wait."""
    download_http: bool = False
    """on or off: download over unprotected http, too, where anybody on the way may change the file."""
    civitai_token: SecretStr = SecretStr("")
    """Key of a Civitai account, for files that ask for one; it is sent to civitai.com alone."""
    huggingface_token: SecretStr = SecretStr("")
    """Token of a Hugging Face account that may read, for files that ask for one; it is sent to huggingface.co alone."""
    playground_port: int = Field(default=8930, ge=0, le=65535)
    """Port of the playground's page; 0 takes any free one."""
    listen: str = ""
    """Address that opens the playground to the local network, usually 0.0.0.0; needs PINCEL_PASSWORD."""
    password: SecretStr = SecretStr("")
    """Password that the playground's page asks for, at least 8 characters; needed with PINCEL_LISTEN."""
    device: Annotated[str, BeforeValidator(_lower), Field(pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$")] = "auto"
    """What draws: auto, cpu, cuda, or one card of several such as cuda:1."""
    memory: Annotated[Literal["auto", "high", "medium", "low"], BeforeValidator(_lower)] = "auto"
    """How much of a model stays on the card: high (all), medium, low (A1111's medvram and lowvram) or auto."""
    attention: Annotated[Literal["auto", "sdpa", "xformers", "split"], BeforeValidator(_lower)] = "auto"
    """How attention is computed: auto, sdpa, xformers (to be installed by hand), or split, which needs least memory."""
    precision: Annotated[Literal["auto", "fp16", "bf16", "fp32"], BeforeValidator(_lower)] = "auto"
    """Numbers that models are computed with: auto (fp16 on a card, fp32 on the processor), fp16, bf16 or fp32."""
    channels_last: Annotated[Literal["auto", "on", "off"], BeforeValidator(_lower)] = "auto"
    """Order of the numbers in memory that some cards are faster with: auto, on or off."""
    tiled_vae: Annotated[Literal["auto", "on", "off"], BeforeValidator(_lower)] = "auto"
    """Decode pictures in tiles, which needs less memory: on, off, or auto, where the whole does not fit."""
    no_half_vae: bool = False
    """on or off: always decode pictures in fp32, instead of only where half precision failed."""
    ldsr_steps: int = Field(default=100, ge=1, le=1000)
    """Steps of the upscaler LDSR, 1 to 1000; more are finer and slower."""
    ram_cache_gb: float | None = Field(default=None, ge=0, le=4096)
    """Gigabytes of memory for loaded models; empty: a share of what the machine has."""
    vram_cache_gb: float | None = Field(default=None, ge=0, le=1024)
    """Gigabytes of the card's memory for loaded models; empty: a share of what the card has."""
    workers: int = Field(default=1, ge=0, le=16)
    """Workers this bot starts on this machine; 0 starts none, and then torch is not installed either."""
    training_device: Annotated[str, BeforeValidator(_lower), Field(pattern=r"^(cpu|cuda(:\d{1,2})?)?$")] = ""
    """A card for trainings alone, such as cuda:1; a worker more is started on it. Empty: they share what draws."""
    nats_url: Annotated[SecretStr, AfterValidator(_broker)] = SecretStr("")
    """Broker through which workers on other machines join, such as nats://10.0.0.5:4222. Empty: none do."""
    nats_key: Annotated[SecretStr, AfterValidator(_seed)] = SecretStr("")
    """The bot's own key at a broker that others look after: an nkey seed, SU and 56 more characters."""
    nats_ca: Annotated[Path | None, AfterValidator(_maybe_absolute)] = None
    """File with the certificate that has signed that broker's, in PEM. Empty: those that this system trusts."""
    broker: Annotated[str, BeforeValidator(_lower), AfterValidator(_listening)] = ""
    """Where the bot runs a broker of its own: 0.0.0.0:4222, and perhaps wss://0.0.0.0:443 after a comma."""
    broker_folder: Annotated[Path | None, AfterValidator(_maybe_absolute)] = None
    """Folder of a broker at PINCEL_NATS_URL that reads its configuration there; the bot writes it, with all keys."""
    broker_address: Annotated[str, AfterValidator(_dialled)] = ""
    """What other machines dial: host:port or wss://host, or both with a comma. Empty: this machine's own address."""
    max_side: int = Field(default=1536, ge=SIZE_MIN_PX, le=SIZE_MAX_PX, multiple_of=8)
    """Largest width or height that a member may ask for, in pixels, a multiple of 8."""
    max_queued_per_user: int = Field(default=10, ge=1, le=1000)
    """How many of one member's jobs may wait at a time."""
    script_cells_max: int = Field(default=100, ge=4, le=400)
    """How many pictures a plot or a prompt matrix may have, 4 to 400."""
    train_steps_max: int = Field(default=20_000, ge=1, le=1_000_000)
    """How many steps a training of a LoRA may have."""
    trainings_per_user: int = Field(default=1, ge=1, le=100)
    """How many trainings of one member may wait or run at a time."""
    trainings_keep_days: int = Field(default=30, ge=1, le=36_500)
    """Days that the files of a training are kept; what is published stays. 36500 is for ever, as good as."""
    trainings_user_gb: float = Field(default=5, gt=0, le=100_000)
    """Gigabytes of files of trainings that one member may have."""
    trainings_gb: float | None = Field(default=None, gt=0, le=1_000_000)
    """Gigabytes of files that all trainings may take together. Empty: the whole disk."""
    dataset_mb: int = Field(default=500, ge=1, le=1_000_000)
    """Megabytes of pictures to train on that one member may keep."""
    previews: bool = True
    """on or off: small previews while a picture is drawn."""
    backup_hours: float = Field(default=24, ge=0, le=1000)
    """Hours between copies of the database; 0 makes none by itself."""
    backup_keep: int = Field(default=7, ge=1, le=1000)
    """How many copies are kept; older ones are deleted."""
    backup_folder: Annotated[Path | None, AfterValidator(_maybe_absolute)] = None
    """Where copies of the database go, best on another disk. Empty: the folder backups in PINCEL_DATA."""
    alerts: bool = True
    """on or off: tell operators by direct message when something keeps the bot from working, and when that is over."""
    metrics: Annotated[str, BeforeValidator(_lower), AfterValidator(_host_and_port)] = ""
    """Address of health checks and of figures for Prometheus, such as 127.0.0.1:9464. Empty: none."""
    addons_off: str = Field(default="", max_length=1000)
    """Names of installed add-ons that are left alone, separated by commas; all: none is loaded."""
    keep_days: int | None = Field(default=None, ge=1, le=36_500)
    """Days that pictures keep their files; favourites keep them, others are drawn anew on demand. Empty: for ever."""
    keep_gb: float | None = Field(default=None, gt=0, le=1_000_000)
    """Gigabytes of pictures; beyond it the oldest lose their files, favourites never. Empty: as many as there are."""
    thumbnails_gb: float = Field(default=0.4, ge=0.01, le=1000)
    """Gigabytes of small copies of pictures, which /history shows; the least recently seen go first."""
    test_guild: int | None = Field(default=None, ge=1)
    """For development: id of the one server that gets the commands, where changes show at once."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    """How much is logged: debug, info, warning or error."""
    log_format: Annotated[Literal["text", "json"], BeforeValidator(_lower)] = "text"
    """How the log is written: text, or json, one object a line, for programs that collect logs."""

    @model_validator(mode="after")
    def _trainings_need_a_worker(self) -> Settings:
        if self.training_device and self.workers == 0:
            raise ValueError("training_device_without_workers")
        return self

    @model_validator(mode="after")
    def _one_broker(self) -> Settings:
        if self.broker and (self.nats_url.get_secret_value() or self.broker_folder):
            raise ValueError("two_brokers")
        if self.broker_folder and not self.nats_url.get_secret_value():
            raise ValueError("broker_folder_without_url")
        return self

    @model_validator(mode="after")
    def _listening_needs_a_password(self) -> Settings:
        password = self.password.get_secret_value()
        if self.listen and not password:
            raise ValueError("listen_without_password")
        if password and len(password) < PASSWORD_MIN_CHARS:
            raise ValueError("password_short")
        return self

    @property
    def database_path(self) -> Path:
        return self.data / "pincel.sqlite"

    @property
    def outputs_dir(self) -> Path:
        return self.data / "outputs"

    @property
    def inputs_dir(self) -> Path:
        return self.data / "inputs"

    @property
    def parts_dir(self) -> Path:
        """Finished parts of jobs that are not done."""
        return self.data / "parts"

    @property
    def trainings_dir(self) -> Path:
        """What trainings saved; workers read it, too."""
        return self.data / "trainings"

    @property
    def models_dir(self) -> Path:
        return self.data / "models"

    @property
    def backups_dir(self) -> Path:
        return self.backup_folder or self.data / "backups"

    def without_secrets(self) -> str:
        """As lines of an .env file: what differs from the defaults, and of secrets only that there were some."""
        lines = ["# Settings of Pincel when this copy was made. Tokens, keys and passwords are never in it."]
        for key, name in setting_keys().items():
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                if value.get_secret_value():
                    lines.append(f"# {key} was set.")
            elif value != Settings.model_fields[name].get_default():
                lines.append(f"{key}={_as_text(value)}")
        return "\n".join(lines) + "\n"

    @property
    def landed_dir(self) -> Path:
        """What remote workers handed over and the table does not hold yet."""
        return self.data / "landed"

    @property
    def broker_dir(self) -> Path:
        """What the broker reads, and keeps."""
        return self.broker_folder or self.data / "broker"

    @property
    def broker_keys_dir(self) -> Path:
        """The bot's own keys at its broker, and the authority's."""
        return self.data / "broker-keys"

    @property
    def outbox_dir(self) -> Path:
        return self.data / "outbox"

    @property
    def logs_dir(self) -> Path:
        return self.data / "logs"

    def engine_arguments(self, device: str | None = None) -> tuple[str, ...]:
        """How this bot's workers run the engine, as options of `python -m gpu_worker`; one of them on another card."""
        given = {
            "--device": device or self.device,
            "--memory": self.memory,
            "--attention": self.attention,
            "--precision": self.precision,
            "--channels-last": self.channels_last,
            "--tiled-vae": self.tiled_vae,
            "--ldsr-steps": self.ldsr_steps if self.ldsr_steps != 100 else None,
            "--ram-cache-gb": self.ram_cache_gb,
            "--vram-cache-gb": self.vram_cache_gb,
        }
        words = [word for name, value in given.items() if value is not None for word in (name, str(value))]
        words += [word for folder in self.model_folders for word in ("--models", str(folder))]
        return (*words, *(["--no-half-vae"] if self.no_half_vae else []))

    @property
    def demo_dir(self) -> Path:
        return CHECKOUT / "data" / "demo"


def _as_text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "on" if value else "off"
        case frozenset() | tuple():
            parts = [str(part) for part in cast("Iterable[object]", value)]
            return ";".join(parts) if isinstance(value, tuple) else ",".join(sorted(parts))
        case _:
            return str(value)


def setting_keys() -> dict[str, str]:
    """Environment key → field name, in the order of .env.example."""
    return {
        str(field.validation_alias or f"PINCEL_{name.upper()}"): name for name, field in Settings.model_fields.items()
    }


def load_settings(env_file: Path | None) -> Settings:
    """Read `env_file` (None or a missing file: the environment only); raises StartupError with exit code SETTINGS."""
    if env_file is not None and env_file.is_file():
        _check_file(env_file)
    try:
        return Settings(_env_file=env_file, _env_file_encoding="utf-8-sig")  # pyright: ignore[reportCallIssue]
    except ValidationError as failed:
        raise _refusal(failed) from None


def _fail(reason: str, **values: object) -> StartupError:
    say = operator_texts()
    return StartupError(
        say(f"startup.{reason}.sentence", **values), say(f"startup.{reason}.fix", **values), exit_codes.SETTINGS
    )


def _check_file(env_file: Path) -> None:
    """Refuse what python-dotenv would skip in silence: a broken line, a misspelt key."""
    try:
        text = env_file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _fail("env_encoding", file=env_file) from None
    except OSError:
        raise _fail("env_unreadable", file=env_file) from None
    known = setting_keys()
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            raise _fail("env_line", file=env_file, line=binding.original.line)
        key = binding.key or ""
        if key.upper().startswith(("PINCEL_", "DISCORD_")) and key.upper() not in known:
            # The common prefix would make every key look alike.
            closest = process.extractOne(key.upper(), list(known), processor=lambda name: name.removeprefix("PINCEL_"))[
                0
            ]
            raise _fail("env_unknown_key", file=env_file, found=key, closest=closest)


def _refusal(failed: ValidationError) -> StartupError:
    """One sentence about the first problem; never the value, which may be a secret."""
    problem = failed.errors(include_url=False, include_input=False)[0]
    if not problem["loc"]:
        return _fail(re.sub(r"^Value error, ", "", problem["msg"]), chars=PASSWORD_MIN_CHARS)
    location = str(problem["loc"][0])
    name = setting_keys().get(location.upper(), location.lower().removeprefix("pincel_"))
    key = next(key for key, field in setting_keys().items() if field == name)
    return _fail("bad_value", key=key, meaning=operator_texts()(f"startup.settings.{name}"))
