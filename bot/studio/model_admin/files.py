"""Changes to the files: found by what was chosen, refused where they are not this steward's, written down."""

from __future__ import annotations

from urllib.parse import urlsplit

from bot.domain.mentions import spoken
from bot.domain.models import closest
from bot.domain.stewards import Steward
from bot.errors import UserFacingError
from bot.library import Library, LibraryFile
from bot.storage.model_audit import Entry, ModelAudit
from bot.storage.model_rules import ModelRules

__all__ = ["ModelFiles", "added_entry", "entry_of"]

NOTE_CHARS = 1000


def entry_of(action: str, steward: Steward, file: LibraryFile, detail: str = "", undo_id: str | None = None) -> Entry:
    return Entry(
        action=action,
        guild_id=steward.guild_id or 0,
        owner_id=file.added_in or 0,
        user_id=steward.user_id,
        file_id=file.id,
        kind=file.kind,
        name=file.name,
        detail=detail,
        undo_id=undo_id,
    )


def added_entry(steward: Steward, file: LibraryFile) -> Entry:
    return entry_of("add", steward, file, urlsplit(file.source or "").hostname or "")


class ModelFiles:
    def __init__(self, library: Library, rules: ModelRules, audit: ModelAudit) -> None:
        self._library = library
        self._rules = rules
        self._audit = audit

    def named(self, value: str) -> LibraryFile:
        """By the id that a chosen row carries, else by the name somebody typed, if only one file has it.

        Raises UserFacingError: `model_unknown`, `model_ambiguous`, `model_none`.
        """
        wanted = value.strip()
        found = self._library.get(wanted)
        if found is not None:
            return found
        files = self._library.files()
        alike = [file for file in files if file.name == wanted]
        alike = alike or [file for file in files if file.name.casefold() == wanted.casefold()]
        if len(alike) == 1:
            return alike[0]
        if alike:
            raise UserFacingError("model_ambiguous", name=spoken(wanted))
        if not files:
            raise UserFacingError("model_none")
        near = closest(wanted, {file.name for file in files})
        raise UserFacingError("model_unknown", name=spoken(wanted), closest=", ".join(map(spoken, near)))

    def theirs(self, value: str, steward: Steward) -> LibraryFile:
        """Raises UserFacingError: those of `named`, `model_of_operator`, `model_of_server`."""
        file = self.named(value)
        if not steward.may_touch(file):
            raise UserFacingError("model_of_operator" if file.added_in is None else "model_of_server",
                                  name=spoken(file.name))  # fmt: skip
        return file

    async def remove(self, value: str, steward: Steward) -> tuple[LibraryFile, str]:
        """The file as it was, and what `undo` takes. Raises UserFacingError: those of `theirs` and of the library."""
        file = self.theirs(value, steward)
        undo_id = await self._library.remove(file.id)
        await self._audit.add(entry_of("remove", steward, file, undo_id=undo_id))
        return file, undo_id

    async def undo(self, undo_id: str, steward: Steward | None, user_id: int) -> LibraryFile:
        """Whoever removed it, or could have. Raises UserFacingError: `undo_over`, `not_your_removal`, those of the
        library."""
        entry = await self._audit.removal(undo_id)
        if entry is None:
            raise UserFacingError("undo_over")
        if not self.may_undo(entry, steward, user_id):
            raise UserFacingError("not_your_removal")
        file = await self._library.restore(undo_id)
        await self._audit.taken_back(undo_id)
        who = steward or Steward(user_id, entry.guild_id or None, operator=False)
        await self._audit.add(entry_of("restore", who, file))
        return file

    async def empty_trash(self, steward: Steward) -> int:
        """Deletes for good what they, or others here, removed; of all servers where the operator says so. How many."""
        deleted = await self._library.forget_trash(0, added_in=steward.owner)
        if deleted:
            owner = steward.owner or 0
            await self._audit.add(Entry("empty", steward.guild_id or 0, owner, steward.user_id, detail=str(deleted)))
        return deleted

    @staticmethod
    def may_undo(entry: Entry, steward: Steward | None, user_id: int) -> bool:
        own = steward is not None and (steward.operator or steward.guild_id == entry.owner_id)
        return own or entry.user_id == user_id

    async def rename(self, value: str, name: str, steward: Steward) -> tuple[LibraryFile, LibraryFile]:
        """Before and after. Raises UserFacingError: those of `theirs` and of the library."""
        file = self.theirs(value, steward)
        renamed = await self._library.rename(file.id, name)
        await self._rules.renamed(file.id, renamed.id, file.kind, file.name, renamed.name)
        await self._audit.add(entry_of("rename", steward, renamed, file.name))
        return file, renamed

    async def note(self, value: str, text: str, steward: Steward) -> LibraryFile:
        """An empty text takes the note away. Raises UserFacingError as `theirs`."""
        file = self.theirs(value, steward)
        changed = await self._library.annotate(file.id, note=text.strip()[:NOTE_CHARS])
        await self._audit.add(entry_of("note", steward, changed))
        return changed

    async def preview(self, value: str, picture: bytes, steward: Steward) -> LibraryFile:
        """No bytes take the preview away. Raises UserFacingError as `theirs`, and for what is no picture."""
        file = self.theirs(value, steward)
        changed = await self._library.annotate(file.id, preview=picture)
        await self._audit.add(entry_of("preview", steward, changed))
        return changed

    async def made(self, action: str, steward: Steward, output: str, source: str) -> None:
        """A new file was asked for; whether it came to be, its card tells."""
        owner = steward.owner or 0
        await self._audit.add(Entry(action, steward.guild_id or 0, owner, steward.user_id, name=output, detail=source))
