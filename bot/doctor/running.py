"""The doctor's checks for a bot that runs: everything that needs no other process. Blocks; for a thread.

Token, port and torch are proved by the running bot itself and by its live workers; a second worker that loads a model
beside them would only take their memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.doctor.backups import check_backups
from bot.doctor.database import check_database
from bot.doctor.gpu import check_card, find_card
from bot.doctor.machine import check_disk, check_folder, check_python
from bot.doctor.models import check_models
from bot.doctor.report import Check
from bot.i18n import Texts
from bot.settings import Settings

__all__ = ["examine_running"]


def examine_running(say: Texts, settings: Settings) -> list[Check]:
    return list(_checks(say, settings))


def _checks(say: Texts, settings: Settings) -> Iterator[Check]:
    yield check_python(say)
    yield check_folder(say, settings)
    yield check_disk(say, settings)
    yield check_database(say, settings, bot_runs=True)
    yield check_backups(say, settings)
    if settings.workers:
        yield check_card(say, find_card())
    yield from check_models(say, settings)
