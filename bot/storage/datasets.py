"""Data sets of their users: folders, pictures, captions with their undo. Files are given pictures (`InputPictures`),
kept as long as a row here has them; whoever takes rows away discards the files that this returns."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import aiosqlite

from bot.domain.ids import FolderId, GuildId, PictureId, UserId, new_dataset_id, new_picture_id
from bot.domain.training.datasets import (
    DATASETS_PER_USER,
    DEFAULT_REPEATS,
    FOLDERS_MAX,
    PICTURES_MAX,
    Dataset,
    Folder,
    Held,
    NewPicture,
    Picture,
)
from bot.domain.training.looks import nearest
from bot.errors import UserFacingError
from bot.storage.database import Database
from bot.storage.dataset_rows import (
    HELD_BY,
    SHOWN,
    WAITING,
    insert_folder,
    insert_picture,
    next_place,
    read_dataset,
    read_folder,
    read_picture,
    read_ref,
    require_dataset,
    require_folder,
    touch,
    unique,
)
from gpu_worker.protocol.specs import ImageRef

__all__ = ["Added", "Change", "Dataset", "Datasets", "Folder", "Held", "NewPicture", "Picture", "Waiting"]

CHANGES_KEPT = 20
"""Of one data set's captions, each can be taken back."""
REMOVED_KEPT_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A picture that nearly equals another one of the data set."""

    picture: Picture
    like: Picture


@dataclass(frozen=True, slots=True)
class Added:
    """What became of pictures that were to be added, in their order."""

    added: tuple[Picture, ...]
    there: tuple[tuple[NewPicture, Picture], ...]
    """The same file is in the data set already, as that picture."""
    full: tuple[NewPicture, ...]
    """Beyond `PICTURES_MAX`."""
    over: tuple[NewPicture, ...]
    """Beyond the user's room."""
    waiting: tuple[Waiting, ...] = ()
    """Kept aside for a day, until their user says whether they want both."""


@dataclass(frozen=True, slots=True)
class Change:
    n: int
    what: str
    """Key of the sentence that names it."""
    pictures: int


class Datasets:
    def __init__(self, database: Database) -> None:
        self._db = database

    # --- reading ------------------------------------------------------------------------------------------------------

    async def get(self, dataset_id: str) -> Dataset | None:
        row = await self._db.one("SELECT * FROM datasets WHERE id = ?", (dataset_id,))
        return read_dataset(row) if row is not None else None

    async def by_name(self, user_id: int, name: str) -> Dataset | None:
        """Case does not count."""
        wanted = name.strip().casefold()
        return next((one for one in await self.of_user(user_id) if one.name.casefold() == wanted), None)

    async def of_user(self, user_id: int) -> list[Dataset]:
        """The one that was changed last first."""
        rows = await self._db.all("SELECT * FROM datasets WHERE user_id = ? ORDER BY changed_at DESC, id", (user_id,))
        return [read_dataset(row) for row in rows]

    async def names(self, user_id: int) -> list[str]:
        """In the order of `of_user`."""
        return [one.name for one in await self.of_user(user_id)]

    async def folders(self, dataset_id: str) -> list[Folder]:
        rows = await self._db.all(
            "SELECT * FROM dataset_folders WHERE dataset_id = ? ORDER BY is_reg, place", (dataset_id,)
        )
        return [read_folder(row) for row in rows]

    async def folder(self, folder_id: str) -> Folder | None:
        row = await self._db.one("SELECT * FROM dataset_folders WHERE id = ?", (folder_id,))
        return read_folder(row) if row is not None else None

    async def with_picture(self, picture_id: str) -> Dataset | None:
        """The one that shows that picture."""
        row = await self._db.one(
            "SELECT d.* FROM datasets d JOIN dataset_folders f ON f.dataset_id = d.id "
            "JOIN dataset_images p ON p.folder_id = f.id WHERE p.id = ? AND p.removed_at IS NULL",
            (picture_id,),
        )
        return read_dataset(row) if row is not None else None

    async def pictures(self, dataset_id: str, folder: str | None = None) -> list[Picture]:
        """In the order of folders, and of places in each; with `folder` of that one alone."""
        if folder is None:
            rows = await self._db.all(SHOWN + "ORDER BY f.is_reg, f.place, p.place", (dataset_id,))
        else:
            rows = await self._db.all(SHOWN + "AND p.folder_id = ? ORDER BY p.place", (dataset_id, folder))
        return [read_picture(row) for row in rows]

    async def held(self, dataset_id: str) -> Held:
        """What the data set shows."""
        row = await self._db.one(
            "SELECT count(*) AS n, coalesce(sum(p.size_bytes), 0) AS size FROM dataset_images p "
            "JOIN dataset_folders f ON f.id = p.folder_id WHERE f.dataset_id = ? AND p.removed_at IS NULL",
            (dataset_id,),
        )
        assert row is not None
        return Held(row["n"], row["size"])

    async def held_by(self, user_id: int) -> Held:
        """In all data sets of this person, what can still be brought back included: it takes room."""
        row = await self._db.one(HELD_BY, (user_id,))
        assert row is not None
        return Held(row["n"], row["size"])

    # --- data sets and folders ----------------------------------------------------------------------------------------

    async def create(
        self,
        user_id: UserId,
        name: str,
        *,
        guild_id: GuildId | None,
        consent_at: float,
        repeats: int = DEFAULT_REPEATS,
        class_tokens: str = "",
        nsfw: bool = False,
    ) -> Dataset:
        """With one folder. Raises UserFacingError: `dataset_exists`, `datasets_full`."""
        dataset, now = new_dataset_id(), time.time()
        async with self._db.write() as tx:
            rows = list(await tx.execute_fetchall("SELECT name FROM datasets WHERE user_id = ?", (user_id,)))
            if any(str(row["name"]).casefold() == name.casefold() for row in rows):
                raise UserFacingError("dataset_exists", name=name)
            if len(rows) >= DATASETS_PER_USER:
                raise UserFacingError("datasets_full", most=DATASETS_PER_USER)
            await tx.execute(
                "INSERT INTO datasets (id, user_id, guild_id, name, consent_at, created_at, changed_at, nsfw) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (dataset, user_id, guild_id, name, consent_at, now, now, int(nsfw)),
            )
            await insert_folder(tx, dataset, repeats, class_tokens, is_reg=False)
        found = await self.get(dataset)
        assert found is not None
        return found

    async def delete(self, dataset_id: str) -> list[ImageRef] | None:
        """With its folders, pictures and changes; returns the files to discard, None where another call did it."""
        async with self._db.write() as tx:
            rows = await tx.execute_fetchall(
                "SELECT DISTINCT sha256, mime, size_bytes FROM dataset_images WHERE folder_id IN "
                "(SELECT id FROM dataset_folders WHERE dataset_id = ?)",
                (dataset_id,),
            )
            refs = [read_ref(row) for row in rows]
            await tx.execute(
                "UPDATE trainings SET dataset_id = NULL, nsfw = (SELECT nsfw FROM datasets WHERE id = ?1) "
                "WHERE dataset_id = ?1 AND EXISTS (SELECT 1 FROM datasets WHERE id = ?1)",
                (dataset_id,),
            )
            cursor = await tx.execute("DELETE FROM datasets WHERE id = ?", (dataset_id,))
            return refs if cursor.rowcount else None

    async def add_folder(self, dataset_id: str, repeats: int, class_tokens: str, *, is_reg: bool = False) -> Folder:
        """The one that is there where both agree. Raises UserFacingError: `dataset_gone`, `dataset_folders_full`."""
        async with self._db.write() as tx:
            await require_dataset(tx, dataset_id)
            rows = await tx.execute_fetchall("SELECT * FROM dataset_folders WHERE dataset_id = ?", (dataset_id,))
            folders = [read_folder(row) for row in rows]
            wanted = (repeats, class_tokens.casefold(), is_reg)
            for folder in folders:
                if (folder.repeats, folder.class_tokens.casefold(), folder.is_reg) == wanted:
                    return folder
            if len(folders) >= FOLDERS_MAX:
                raise UserFacingError("dataset_folders_full", most=FOLDERS_MAX)
            folder = await insert_folder(tx, dataset_id, repeats, class_tokens, is_reg=is_reg)
            await touch(tx, dataset_id)
            return folder

    async def change_folder(self, folder_id: str, repeats: int, class_tokens: str, *, is_reg: bool) -> Folder:
        """Raises UserFacingError: `dataset_folder_gone`, `dataset_folder_exists`."""
        async with self._db.write() as tx:
            old = await require_folder(tx, folder_id)
            rows = await tx.execute_fetchall(
                "SELECT 1 FROM dataset_folders WHERE dataset_id = ? AND id <> ? AND repeats = ? "
                "AND class_tokens = ? COLLATE NOCASE AND is_reg = ?",
                (old.dataset_id, folder_id, repeats, class_tokens, int(is_reg)),
            )
            if list(rows):
                raise UserFacingError("dataset_folder_exists", name=f"{repeats}_{class_tokens}")
            await tx.execute(
                "UPDATE dataset_folders SET repeats = ?, class_tokens = ?, is_reg = ? WHERE id = ?",
                (repeats, class_tokens, int(is_reg), folder_id),
            )
            await touch(tx, old.dataset_id)
        return Folder(old.id, old.dataset_id, repeats, class_tokens, is_reg, old.place)

    async def remove_folder(self, folder_id: str) -> None:
        """An empty one that is not the last. Raises UserFacingError: `dataset_folder_gone`, `dataset_folder_holds`,
        `dataset_folder_last`."""
        async with self._db.write() as tx:
            folder = await require_folder(tx, folder_id)
            rows = await tx.execute_fetchall(
                "SELECT (SELECT count(*) FROM dataset_images WHERE folder_id = ?1 AND removed_at IS NULL) AS pictures, "
                "(SELECT count(*) FROM dataset_folders WHERE dataset_id = ?2) AS folders",
                (folder_id, folder.dataset_id),
            )
            (row,) = list(rows)
            if row["pictures"]:
                raise UserFacingError("dataset_folder_holds", name=folder.name, n=row["pictures"])
            if row["folders"] == 1:
                raise UserFacingError("dataset_folder_last")
            # What can be brought back goes to another folder with it.
            await tx.execute(
                "UPDATE dataset_images SET folder_id = (SELECT id FROM dataset_folders WHERE dataset_id = ?2 "
                "AND id <> ?1 ORDER BY is_reg, place LIMIT 1) WHERE folder_id = ?1",
                (folder_id, folder.dataset_id),
            )
            await tx.execute("DELETE FROM dataset_folders WHERE id = ?", (folder_id,))
            await touch(tx, folder.dataset_id)

    # --- pictures -----------------------------------------------------------------------------------------------------

    async def add_pictures(
        self,
        folder_id: str,
        new: Sequence[NewPicture],
        *,
        room_bytes: int,
        most: int = PICTURES_MAX,
        near_bits: int | None = None,
        nsfw: bool = False,
    ) -> Added:
        """Those that find room, in their order; the same file twice in a data set is one. `room_bytes` is what all data
        sets of its user may take; with `near_bits` what differs from another picture's look by no more waits aside.
        What comes with `nsfw` marks the data set for good: nobody looks again at each picture.
        Some dozens at a time, for each is compared with all. Raises UserFacingError (`dataset_folder_gone`)."""
        now = time.time()
        added: list[Picture] = []
        there: list[tuple[NewPicture, Picture]] = []
        full: list[NewPicture] = []
        over: list[NewPicture] = []
        waiting: list[Waiting] = []
        async with self._db.write() as tx:
            folder = await require_folder(tx, folder_id)
            rows = await tx.execute_fetchall(SHOWN, (folder.dataset_id,))
            held = {str(row["sha256"]): read_picture(row) for row in rows}
            names = {str(row["name"]).casefold() for row in rows if row["folder_id"] == folder_id}
            (owner,) = list(
                await tx.execute_fetchall("SELECT user_id FROM datasets WHERE id = ?", (folder.dataset_id,))
            )
            (used,) = list(await tx.execute_fetchall(HELD_BY, (owner["user_id"],)))
            # What waits for a word already is no news, either.
            asked = {str(row["sha256"]) for row in await tx.execute_fetchall(WAITING, (folder.dataset_id,))}
            own = await _owned(tx, owner["user_id"], [one.ref.sha256 for one in new])
            room = room_bytes - int(used["size"])
            place = await next_place(tx, folder_id)
            for one in new:
                if (same := held.get(one.ref.sha256)) is not None:
                    there.append((one, same))
                    continue
                if len(held) >= most:
                    full.append(one)
                    continue
                if near_bits is not None and one.ref.sha256 in asked:
                    continue
                takes = 0 if one.ref.sha256 in own else one.ref.size_bytes
                if takes > room:
                    over.append(one)
                    continue
                picture = Picture(
                    new_picture_id(), FolderId(folder_id), one.ref.sha256, one.ref.mime, one.width, one.height,
                    one.ref.size_bytes, one.look, unique(one.name, names), one.caption, one.source, place, now,
                )  # fmt: skip
                like = nearest(one.look, held.values(), near_bits) if near_bits is not None else None
                await insert_picture(tx, picture, like)
                if like is None:
                    held[picture.sha256] = picture
                    added.append(picture)
                else:
                    waiting.append(Waiting(picture, like))
                    asked.add(picture.sha256)
                room -= takes
                place += 1
            if nsfw and (added or waiting):
                await tx.execute("UPDATE datasets SET nsfw = 1 WHERE id = ?", (folder.dataset_id,))
            if added:
                await touch(tx, folder.dataset_id)
        return Added(tuple(added), tuple(there), tuple(full), tuple(over), tuple(waiting))

    async def remove_pictures(self, dataset_id: str, pictures: Iterable[str]) -> int:
        """Takes them out; for a day `bring_back` can undo it. Returns how many this very call took out."""
        async with self._db.write() as tx:
            cursor = await tx.execute(
                "UPDATE dataset_images SET removed_at = ? WHERE removed_at IS NULL AND id IN "
                "(SELECT value FROM json_each(?)) AND folder_id IN "
                "(SELECT id FROM dataset_folders WHERE dataset_id = ?)",
                (time.time(), json.dumps(list(pictures)), dataset_id),
            )
            await touch(tx, dataset_id)
            return cursor.rowcount

    async def bring_back(self, dataset_id: str, *, most: int = PICTURES_MAX) -> int:
        """Undoes the last removal, but for files that were added again meanwhile and what is beyond `most`; returns how
        many are back."""
        async with self._db.write() as tx:
            rows = list(
                await tx.execute_fetchall(
                    "SELECT p.id, p.sha256, p.removed_at FROM dataset_images p "
                    "JOIN dataset_folders f ON f.id = p.folder_id WHERE f.dataset_id = ? AND p.removed_at > ? "
                    "AND p.resembles IS NULL ORDER BY p.removed_at DESC, p.place",
                    (dataset_id, time.time() - REMOVED_KEPT_S),
                )
            )
            there = {str(row["sha256"]) for row in await tx.execute_fetchall(SHOWN, (dataset_id,))}
            last = [row for row in rows if row["removed_at"] == rows[0]["removed_at"] and row["sha256"] not in there]
            back = [row["id"] for row in last[: max(0, most - len(there))]]
            await tx.execute(
                "UPDATE dataset_images SET removed_at = NULL WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps(back),),
            )
            await touch(tx, dataset_id)
            return len(back)

    async def removable(self, dataset_id: str) -> int:
        """How many pictures `bring_back` would bring."""
        row = await self._db.one(
            "SELECT count(*) AS n FROM dataset_images p JOIN dataset_folders f ON f.id = p.folder_id "
            "WHERE f.dataset_id = ?1 AND p.resembles IS NULL AND p.removed_at > ?2 AND p.removed_at = "
            "(SELECT max(q.removed_at) FROM dataset_images q JOIN dataset_folders g ON g.id = q.folder_id "
            "WHERE g.dataset_id = ?1 AND q.resembles IS NULL)",
            (dataset_id, time.time() - REMOVED_KEPT_S),
        )
        return int(row["n"]) if row is not None else 0

    async def waiting(self, dataset_id: str) -> list[Waiting]:
        """In the order in which they came; what it resembles is in the data set, or waits with it."""
        rows = await self._db.all(WAITING + "ORDER BY p.added_at, p.place", (dataset_id,))
        known = {picture.id: picture for picture in await self.pictures(dataset_id)}
        known |= {(picture := read_picture(row)).id: picture for row in rows}
        found = [(read_picture(row), known.get(row["resembles"])) for row in rows]
        return [Waiting(picture, like or picture) for picture, like in found]

    async def answer_waiting(
        self, dataset_id: str, keep: Iterable[str], *, asked: Iterable[str] | None = None, most: int = PICTURES_MAX
    ) -> tuple[int, list[ImageRef]]:
        """Takes those in, as many as there is place for, and the others of `asked` not (None: all others); returns how
        many were taken, and the files to discard."""
        wanted = set(keep)
        about = None if asked is None else {*asked, *wanted}
        async with self._db.write() as tx:
            rows = list(await tx.execute_fetchall(WAITING + "ORDER BY p.added_at, p.place", (dataset_id,)))
            rows = [row for row in rows if about is None or row["id"] in about]
            there = {str(row["sha256"]) for row in await tx.execute_fetchall(SHOWN, (dataset_id,))}
            taken = [row for row in rows if row["id"] in wanted and row["sha256"] not in there]
            taken = taken[: max(0, most - len(there))]
            kept = {row["id"] for row in taken}
            await tx.execute(
                "UPDATE dataset_images SET removed_at = NULL, resembles = NULL "
                "WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps([*kept]),),
            )
            left = [row for row in rows if row["id"] not in kept]
            await tx.execute(
                "DELETE FROM dataset_images WHERE id IN (SELECT value FROM json_each(?))",
                (json.dumps([row["id"] for row in left]),),
            )
            await touch(tx, dataset_id)
            return len(taken), [read_ref(row) for row in left]

    async def move_pictures(self, dataset_id: str, pictures: Iterable[str], to: str) -> int:
        """To another folder of the same data set, behind what is there; returns how many moved. Raises UserFacingError
        (`dataset_folder_gone`)."""
        moved = 0
        async with self._db.write() as tx:
            folder = await require_folder(tx, to)
            if folder.dataset_id != dataset_id:
                raise UserFacingError("dataset_folder_gone")
            rows = list(await tx.execute_fetchall(SHOWN + "ORDER BY f.is_reg, f.place, p.place", (dataset_id,)))
            names = {str(row["name"]).casefold() for row in rows if row["folder_id"] == to}
            place = await next_place(tx, to)
            wanted = set(pictures)
            for row in rows:
                if row["id"] in wanted and row["folder_id"] != to:
                    await tx.execute(
                        "UPDATE dataset_images SET folder_id = ?, place = ?, name = ? WHERE id = ?",
                        (to, place + moved, unique(str(row["name"]), names), row["id"]),
                    )
                    moved += 1
            await touch(tx, dataset_id)
        return moved

    async def purge(self) -> list[ImageRef]:
        """Takes out for good what was removed a day ago; returns the files to discard."""
        rows = await self._db.write_one(
            "DELETE FROM dataset_images WHERE removed_at <= ? RETURNING sha256, mime, size_bytes",
            (time.time() - REMOVED_KEPT_S,),
        )
        return [read_ref(row) for row in rows]

    # --- captions -----------------------------------------------------------------------------------------------------

    async def set_captions(self, dataset_id: str, captions: Mapping[PictureId, str | None], what: str) -> int:
        """Those of pictures that are in the data set; `what` is the key of the sentence that names the change. What was
        there before can be taken back, `CHANGES_KEPT` times. Returns how many differ from before."""
        async with self._db.write() as tx:
            rows = await tx.execute_fetchall(SHOWN, (dataset_id,))
            before = {
                str(row["id"]): row["caption"]
                for row in rows
                if row["id"] in captions and row["caption"] != captions[row["id"]]
            }
            if not before:
                return 0
            await tx.executemany(
                "UPDATE dataset_images SET caption = ? WHERE id = ?",
                [(captions[PictureId(id_)], id_) for id_ in before],
            )
            (last,) = list(
                await tx.execute_fetchall(
                    "SELECT coalesce(max(n), 0) AS n FROM dataset_changes WHERE dataset_id = ?", (dataset_id,)
                )
            )
            n = int(last["n"]) + 1
            await tx.execute(
                "INSERT INTO dataset_changes (dataset_id, n, what, before, created_at) VALUES (?, ?, ?, ?, ?)",
                (dataset_id, n, what, json.dumps(before), time.time()),
            )
            await tx.execute(
                "DELETE FROM dataset_changes WHERE dataset_id = ? AND n <= ?", (dataset_id, n - CHANGES_KEPT)
            )
            await touch(tx, dataset_id)
            return len(before)

    async def changes(self, dataset_id: str) -> list[Change]:
        """That `undo` can take back, the newest first."""
        rows = await self._db.all(
            "SELECT n, what, (SELECT count(*) FROM json_each(before)) AS pictures FROM dataset_changes "
            "WHERE dataset_id = ? ORDER BY n DESC",
            (dataset_id,),
        )
        return [Change(row["n"], row["what"], row["pictures"]) for row in rows]

    async def undo(self, dataset_id: str) -> Change | None:
        """Takes the newest change of captions back; None where there is none."""
        async with self._db.write() as tx:
            rows = list(
                await tx.execute_fetchall(
                    "SELECT * FROM dataset_changes WHERE dataset_id = ? ORDER BY n DESC LIMIT 1", (dataset_id,)
                )
            )
            if not rows:
                return None
            before: dict[str, str | None] = json.loads(rows[0]["before"])
            await tx.executemany(
                "UPDATE dataset_images SET caption = ? WHERE id = ?",
                [(caption, id_) for id_, caption in before.items()],
            )
            await tx.execute("DELETE FROM dataset_changes WHERE dataset_id = ? AND n = ?", (dataset_id, rows[0]["n"]))
            await touch(tx, dataset_id)
            return Change(rows[0]["n"], rows[0]["what"], len(before))


async def _owned(tx: aiosqlite.Connection, user_id: int, files: list[str]) -> set[str]:
    """Which of these files are in a data set of this person already: they take no room a second time."""
    rows = await tx.execute_fetchall(
        "SELECT DISTINCT p.sha256 FROM dataset_images p JOIN dataset_folders f ON f.id = p.folder_id "
        "JOIN datasets d ON d.id = f.dataset_id WHERE d.user_id = ? AND p.sha256 IN (SELECT value FROM json_each(?))",
        (user_id, json.dumps(files)),
    )
    return {str(row["sha256"]) for row in rows}
