"""A desk over a real library and a real database; only what Discord would do is written down instead."""

from __future__ import annotations

import asyncio
import datetime
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bot.library import Library
from bot.storage.database import Database
from bot.storage.download_cards import DownloadCards
from bot.storage.jobs import Jobs
from bot.storage.model_audit import ModelAudit
from bot.storage.model_rules import ModelRules
from bot.studio.model_admin.adding import Adding
from bot.studio.model_admin.board import DownloadBoard
from bot.studio.model_admin.desk import ModelAdmin
from bot.studio.model_admin.files import ModelFiles
from bot.studio.model_admin.reporting import Reporting
from bot.studio.model_admin.room import Room
from bot.studio.model_admin.ruling import Ruling
from bot.studio.stewards import Stewards
from tests.e2e.model_files import lora_file

GUILD = 10


class Talk:
    """One interaction: `said` is everything that was sent or edited, `log` in which order."""

    def __init__(self, user: int = 1) -> None:
        self.id, self.token, self.locale, self.channel_id = 5, "t", "en-US", 7
        self.guild_id = GUILD
        self.user = SimpleNamespace(id=user, roles=())
        self.permissions = SimpleNamespace(manage_guild=True)
        self.created_at = datetime.datetime.now(datetime.UTC)
        self.channel = None
        self.extras: dict[str, Any] = {}
        self.message: Any = None
        self.log: list[str] = []
        self.said: list[Any] = []
        self.response = SimpleNamespace(
            is_done=lambda: bool(self.log), defer=self._defer, send_message=self._send, edit_message=self._edit
        )
        self.followup = SimpleNamespace(send=self._send)

    async def _defer(self, **_: Any) -> None:
        self.log.append("defer")

    async def _send(self, text: str | None = None, *, view: Any = None, **_: Any) -> None:
        self.log.append("send")
        self.said.append(text if view is None else view)

    async def _edit(self, *, view: Any = None, **_: Any) -> Any:
        self.log.append("edit")
        self.said.append(view)
        return SimpleNamespace(id=99)

    edit_original_response = _edit

    async def delete_original_response(self) -> None:
        self.log.append("delete")

    @property
    def text(self) -> str:
        return str([item if isinstance(item, str) else item.to_components() for item in self.said])


@dataclass
class Rig:
    data: Path
    database: Database
    downloads: Any = None
    client: Any = None
    attachments: Any = None
    catalogue: Any = None
    board: Any = field(init=False)

    async def start(self, loras: int = 1) -> Rig:
        for number in range(loras):
            lora_file(self.data / "models" / "loras" / f"ink {number}.safetensors")
        self.rules = ModelRules(self.database)
        await self.rules.load()
        self.library = Library(
            self.database, models_dir=self.data / "models", demo_dir=self.data / "no-demo", forget=self.rules.forget
        )
        await self.library.load()
        self.audit = ModelAudit(self.database)
        self.files = ModelFiles(self.library, self.rules, self.audit)
        models = SimpleNamespace(facts=lambda *_: (), measured=lambda _: None)
        self.ruling = Ruling(self.rules, self.audit, models)
        self.room = Room(self.library, lambda: (), Jobs(self.database).waiting_files, quota_gb=1.0, budget_gb=None)
        self.cards = DownloadCards(self.database)
        self.stewards = Stewards((1,), playground=False)
        self.board = DownloadBoard(
            client=self.client, downloads=self.downloads, cards=self.cards, library=self.library,
            room=self.room, stewards=self.stewards, attachments=self.attachments, folder=self.data / "attached",
        )  # fmt: skip
        self.reporting = Reporting(
            library=self.library, files=self.files, audit=self.audit, room=self.room, stewards=self.stewards,
            models_dir=self.data / "models",
        )  # fmt: skip
        self.desk = ModelAdmin(
            library=self.library, files=self.files, ruling=self.ruling, trials=None, reporting=self.reporting,
            models=models, audit=self.audit, stewards=self.stewards, attachments=self.attachments,
        )  # fmt: skip
        self.adding = Adding(self.board, self.catalogue, self.stewards)
        return self

    def lora(self, number: int = 0) -> Any:
        return next(file for file in self.library.files() if file.name == f"ink {number}")


async def until(true: Any, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.01)
