"""Typed ids. Discord's are snowflakes; ours are short strings that fit a custom_id and a nonce."""

from __future__ import annotations

import secrets
from typing import NewType

__all__ = [
    "ChannelId", "DatasetId", "FolderId", "GuildId", "ImageId", "JobId", "MessageId", "PictureId", "StyleId", "UserId",
    "new_dataset_id", "new_folder_id", "new_image_id", "new_job_id", "new_picture_id",
]  # fmt: skip

UserId = NewType("UserId", int)
GuildId = NewType("GuildId", int)
ChannelId = NewType("ChannelId", int)
MessageId = NewType("MessageId", int)
JobId = NewType("JobId", str)
ImageId = NewType("ImageId", str)
StyleId = NewType("StyleId", int)
DatasetId = NewType("DatasetId", str)
FolderId = NewType("FolderId", str)
"""Of a data set."""
PictureId = NewType("PictureId", str)
"""Of a picture in a data set; an `ImageId` is of one that was drawn here."""

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""Lower case without look-alikes, so a reference can be read aloud."""


def _token(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_job_id() -> JobId:
    """16 characters, 80 bits: fits Discord's nonce (25) with room for a suffix."""
    return JobId(_token(16))


def new_image_id() -> ImageId:
    return ImageId(_token(16))


def new_dataset_id() -> DatasetId:
    return DatasetId(_token(16))


def new_folder_id() -> FolderId:
    return FolderId(_token(16))


def new_picture_id() -> PictureId:
    return PictureId(_token(16))
