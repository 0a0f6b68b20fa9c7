"""Where a machine of the fleet can have a model file from, beside the bot's own disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from bot.dispatch.needs import NeededFile
from bot.library import LibraryFile
from bot.storage.trainings import Trainings
from bot.studio.live_catalogue import LiveCatalogue
from gpu_worker.protocol.messages import ModelRef

__all__ = ["saved_lora", "sources_of"]

ADDRESS_CHARS_MAX = 2000


def sources_of(catalogue: LiveCatalogue) -> Callable[[LibraryFile], str | None]:
    """An https address that gives a file's bytes and needs no account: of the catalogue, or of the page that it was
    downloaded from. Whoever fetches from there checks the hash."""

    def source(file: LibraryFile) -> str | None:
        known = catalogue.address_of(file.sha256) if file.sha256 else None
        address = known or _of_page(file.source or "")
        usable = address is not None and address.startswith("https://") and len(address) <= ADDRESS_CHARS_MAX
        return address if usable else None

    return source


def saved_lora(trainings: Trainings) -> Callable[[str], Awaitable[NeededFile | None]]:
    """What a training saved, by the name that a prompt calls it."""

    async def saved(name: str) -> NeededFile | None:
        file = await trainings.file_named(name)
        if file is None:
            return None
        ref = ModelRef(kind="lora", name=file.name, sha256=file.sha256, size_bytes=file.size_bytes)
        return NeededFile(ref, file.path)

    return saved


def _of_page(page: str) -> str | None:
    """Hugging Face calls a file's page `blob` and the file itself `resolve`."""
    parts = urlsplit(page)
    owner, model, word, rest = ([*parts.path.strip("/").split("/", 3), "", "", ""])[:4]
    if parts.scheme != "https" or parts.hostname != "huggingface.co" or word != "blob" or not rest or parts.query:
        return None
    return f"https://huggingface.co/{owner}/{model}/resolve/{rest}"
