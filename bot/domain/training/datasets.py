"""What a data set holds: folders as kohya has them, pictures with captions, and what bounds them."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.domain.ids import DatasetId, FolderId, GuildId, PictureId, UserId
from gpu_worker.protocol.specs import TRAIN_IMAGES_MAX, ImageRef

__all__ = [
    "CAPTION_CHARS_MAX", "DATASETS_PER_USER", "DEFAULT_REPEATS", "FOLDERS_MAX", "PICTURES_MAX", "REPEATS_MAX",
    "Dataset", "Folder", "Held", "NewPicture", "Picture",
]  # fmt: skip

CAPTION_CHARS_MAX = 4000
PICTURES_MAX = TRAIN_IMAGES_MAX
"""Of one data set: no training takes more."""
FOLDERS_MAX = 24
"""What one list of Discord holds, less a line for a new one."""
REPEATS_MAX = 10_000
DEFAULT_REPEATS = 10
DATASETS_PER_USER = 50
INPUT_SCHEME = "input:"


@dataclass(frozen=True, slots=True)
class Dataset:
    id: DatasetId
    user_id: UserId
    guild_id: GuildId | None
    """Where it was begun."""
    name: str
    consent_at: float
    """When its user said that they may use these pictures."""
    created_at: float
    changed_at: float
    nsfw: bool
    """Holds what only an age-restricted channel may show."""


@dataclass(frozen=True, slots=True)
class Folder:
    """kohya's `10_mychar`: each picture ten times, "mychar" where it has no caption."""

    id: FolderId
    dataset_id: DatasetId
    repeats: int
    class_tokens: str
    is_reg: bool
    """Pictures of the class and not of what is learnt."""
    place: int

    @property
    def name(self) -> str:
        return f"{self.repeats}_{self.class_tokens}"


@dataclass(frozen=True, slots=True)
class NewPicture:
    """One whose file is kept already."""

    ref: ImageRef
    width: int
    height: int
    look: int
    """See bot/domain/training/looks.py."""
    name: str
    """As it is called in an export, without suffix; made unique in its folder."""
    caption: str | None = None
    """None: the folder's class tokens."""
    source: str = ""
    """`upload`, `zip`, `message`, `image:<id>`."""


@dataclass(frozen=True, slots=True)
class Picture:
    id: PictureId
    folder_id: FolderId
    sha256: str
    mime: str
    width: int
    height: int
    """Upright, in pixels."""
    size_bytes: int
    look: int
    name: str
    caption: str | None
    """None: the folder's class tokens."""
    source: str
    place: int
    added_at: float
    ref: ImageRef = field(init=False)
    """For a worker, and for `InputPictures.read`."""

    def __post_init__(self) -> None:
        ref = ImageRef(
            ref=f"{INPUT_SCHEME}{self.sha256}", sha256=self.sha256, mime=self.mime, size_bytes=self.size_bytes
        )
        object.__setattr__(self, "ref", ref)


@dataclass(frozen=True, slots=True)
class Held:
    """How much there is of something. `size_bytes` counts each file once."""

    pictures: int
    size_bytes: int
