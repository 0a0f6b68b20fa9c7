"""What the bot looks with at what workers on other machines send: bot/inspection."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator

from bot.doctor.report import Check, State, finding
from bot.i18n import Texts
from bot.settings import Settings
from gpu_worker.language.classifiers import installed_classifier

__all__ = ["check_inspection"]


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def check_inspection(
    say: Texts, settings: Settings, is_installed: Callable[[str], bool] = _is_installed
) -> Iterator[Check]:
    """Nothing where no such worker can join. The looker runs with this very Python."""
    if not (settings.broker or settings.nats_url.get_secret_value()):
        return
    found = installed_classifier(settings.models_dir)
    if found is None:
        yield finding(say, "inspection", State.WARN, "blind")
        return
    lacking = [name for name in ("numpy", "onnxruntime") if not is_installed(name)]
    if lacking:
        yield finding(say, "inspection", State.FAIL, "lacking", name=found.name, packages=" ".join(lacking))
    else:
        yield finding(say, "inspection", State.OK, "good", name=found.name)
