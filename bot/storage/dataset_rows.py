"""Rows of data sets, read and written within a transaction that does more."""

from __future__ import annotations

import time

import aiosqlite

from bot.domain.ids import DatasetId, FolderId, GuildId, PictureId, UserId, new_folder_id
from bot.domain.training.datasets import Dataset, Folder, Picture
from bot.errors import UserFacingError
from bot.storage.database import Row
from gpu_worker.protocol.specs import ImageRef

__all__ = [
    "HELD_BY", "SHOWN", "WAITING", "insert_folder", "insert_picture", "next_place", "read_dataset", "read_folder",
    "read_picture", "read_ref", "require_dataset", "require_folder", "touch", "unique",
]  # fmt: skip

SHOWN = (
    "SELECT p.* FROM dataset_images p JOIN dataset_folders f ON f.id = p.folder_id "
    "WHERE f.dataset_id = ? AND p.removed_at IS NULL "
)
"""Of a data set."""
WAITING = (
    "SELECT p.* FROM dataset_images p JOIN dataset_folders f ON f.id = p.folder_id "
    "WHERE f.dataset_id = ? AND p.resembles IS NOT NULL "
)
"""Of a data set, for a word of its user."""
HELD_BY = (
    "SELECT count(*) AS n, coalesce(sum(size_bytes), 0) AS size FROM (SELECT DISTINCT p.sha256, p.size_bytes "
    "FROM dataset_images p JOIN dataset_folders f ON f.id = p.folder_id JOIN datasets d ON d.id = f.dataset_id "
    "WHERE d.user_id = ?)"
)
"""Pictures `n` and their bytes `size`, each file once."""


async def require_dataset(tx: aiosqlite.Connection, dataset_id: str) -> None:
    if not list(await tx.execute_fetchall("SELECT 1 FROM datasets WHERE id = ?", (dataset_id,))):
        raise UserFacingError("dataset_gone")


async def require_folder(tx: aiosqlite.Connection, folder_id: str) -> Folder:
    rows = list(await tx.execute_fetchall("SELECT * FROM dataset_folders WHERE id = ?", (folder_id,)))
    if not rows:
        raise UserFacingError("dataset_folder_gone")
    return read_folder(rows[0])


async def insert_folder(
    tx: aiosqlite.Connection, dataset_id: str, repeats: int, class_tokens: str, *, is_reg: bool
) -> Folder:
    rows = await tx.execute_fetchall(
        "SELECT coalesce(max(place), 0) + 1 AS place FROM dataset_folders WHERE dataset_id = ?", (dataset_id,)
    )
    (row,) = list(rows)
    folder = Folder(new_folder_id(), DatasetId(dataset_id), repeats, class_tokens, is_reg, row["place"])
    await tx.execute(
        "INSERT INTO dataset_folders (id, dataset_id, repeats, class_tokens, is_reg, place) VALUES (?, ?, ?, ?, ?, ?)",
        (folder.id, dataset_id, repeats, class_tokens, int(is_reg), folder.place),
    )
    return folder


async def insert_picture(tx: aiosqlite.Connection, one: Picture, like: Picture | None = None) -> None:
    """`like` another one it waits."""
    await tx.execute(
        "INSERT INTO dataset_images (id, folder_id, sha256, mime, width, height, size_bytes, look, name, caption, "
        "source, place, added_at, removed_at, resembles) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            one.id, one.folder_id, one.sha256, one.mime, one.width, one.height, one.size_bytes, f"{one.look:016x}",
            one.name, one.caption, one.source, one.place, one.added_at,
            one.added_at if like is not None else None, like.id if like is not None else None,
        ),
    )  # fmt: skip


async def next_place(tx: aiosqlite.Connection, folder_id: str) -> int:
    (row,) = list(
        await tx.execute_fetchall(
            "SELECT coalesce(max(place), 0) + 1 AS place FROM dataset_images WHERE folder_id = ?", (folder_id,)
        )
    )
    return int(row["place"])


async def touch(tx: aiosqlite.Connection, dataset_id: str) -> None:
    await tx.execute("UPDATE datasets SET changed_at = ? WHERE id = ?", (time.time(), dataset_id))


def unique(name: str, taken: set[str]) -> str:
    """Adds to `taken`. Case does not count: an export is unpacked on any machine."""
    found, n = name, 2
    while found.casefold() in taken:
        found, n = f"{name}-{n}", n + 1
    taken.add(found.casefold())
    return found


def read_dataset(row: Row) -> Dataset:
    return Dataset(
        DatasetId(row["id"]), UserId(row["user_id"]),
        GuildId(row["guild_id"]) if row["guild_id"] is not None else None, row["name"], row["consent_at"],
        row["created_at"], row["changed_at"], bool(row["nsfw"]),
    )  # fmt: skip


def read_folder(row: Row) -> Folder:
    return Folder(
        FolderId(row["id"]), DatasetId(row["dataset_id"]), row["repeats"], row["class_tokens"], bool(row["is_reg"]),
        row["place"],
    )  # fmt: skip


def read_picture(row: Row) -> Picture:
    return Picture(
        PictureId(row["id"]), FolderId(row["folder_id"]), row["sha256"], row["mime"], row["width"], row["height"],
        row["size_bytes"], int(row["look"], 16), row["name"], row["caption"], row["source"], row["place"],
        row["added_at"],
    )  # fmt: skip


def read_ref(row: Row) -> ImageRef:
    return ImageRef(ref=f"input:{row['sha256']}", sha256=row["sha256"], mime=row["mime"], size_bytes=row["size_bytes"])
