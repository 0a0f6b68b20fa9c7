"""`python -m bot.doctor [--json]`: exit code 0 where nothing keeps Pincel from running, else 1."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bot import exit_codes
from bot.doctor.addons import check_addons
from bot.doctor.backups import check_backups
from bot.doctor.broker import check_broker
from bot.doctor.database import bot_is_running, check_database
from bot.doctor.discord_token import check_token
from bot.doctor.gpu import check_card, check_torch, check_worker, find_card
from bot.doctor.inspection import check_inspection
from bot.doctor.machine import check_disk, check_folder, check_port, check_python
from bot.doctor.metrics import check_metrics
from bot.doctor.models import check_models
from bot.doctor.report import Check, State, finding, row, summary, to_json
from bot.doctor.retention import check_retention
from bot.errors import StartupError
from bot.i18n import Texts
from bot.operator_language import operator_texts
from bot.settings import CHECKOUT, Settings, load_settings
from gpu_worker.language.addons import OFF

__all__ = ["examine", "main"]


def examine(say: Texts) -> Iterator[Check]:
    """All findings in a fixed order, each as soon as it is known."""
    yield check_python(say)
    try:
        settings = load_settings(CHECKOUT / ".env")
    except StartupError as error:
        yield Check("settings", say("startup.doctor.settings.label"), State.FAIL, error.sentence, error.fix)
        return
    yield finding(say, "settings", State.OK, "good")
    # The slow ones, most of them waiting for another process, run while the quick ones are read.
    with ThreadPoolExecutor(3, thread_name_prefix="doctor") as pool:
        token = pool.submit(check_token, say, settings)
        drawing = pool.submit(_drawing, say, settings)
        worker = pool.submit(check_worker, say, settings)
        bot_runs = bot_is_running(settings)
        yield check_folder(say, settings)
        yield check_disk(say, settings)
        yield check_database(say, settings, bot_runs=bot_runs)
        yield from check_retention(say, settings)
        yield check_backups(say, settings)
        yield check_port(say, settings, bot_runs=bot_runs)
        yield from check_metrics(say, settings, bot_runs=bot_runs)
        yield from check_broker(say, settings, bot_runs=bot_runs)
        yield from check_inspection(say, settings)
        yield from check_models(say, settings)
        yield token.result()
        yield from drawing.result()
        yield worker.result()
        os.environ.setdefault(OFF, settings.addons_off)
        yield from check_addons(say)


def _drawing(say: Texts, settings: Settings) -> list[Check]:
    card = find_card()
    return [check_card(say, card), *check_torch(say, settings, card)]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="launch.py doctor", description="Looks for problems and says how to fix each."
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    as_json = parser.parse_args(arguments).json
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="replace")
    say = operator_texts()
    checks: list[Check] = []
    for check in examine(say):
        checks.append(check)
        if not as_json:
            sys.stdout.write(row(say, check) + "\n")
            sys.stdout.flush()
    sys.stdout.write(to_json(checks) + "\n" if as_json else f"\n{summary(say, checks)}\n")
    failed = any(check.state is State.FAIL for check in checks)
    return exit_codes.UNEXPECTED if failed else exit_codes.OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
