"""Where the bot's log goes and how it is written: the console and `logs/bot.log`, as text or as JSON."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
from pathlib import Path

from bot.settings import Settings
from gpu_worker.language.log_lines import JSON, JsonLines

__all__ = ["log_shape", "set_up_logging", "writes_json"]

LOG_BYTES = 5 * 1024 * 1024


def log_shape(name: str) -> logging.Formatter:
    """By the value of PINCEL_LOG_FORMAT."""
    if name == JSON:
        return JsonLines()
    return logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")


def writes_json() -> bool:
    """Whether the log, once it is set up, is JSON, so that nothing else should be printed."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)


def set_up_logging(settings: Settings) -> None:
    level = getattr(logging, settings.log_level.upper())
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.setLevel(level)
    shape = log_shape(settings.log_format)
    console = logging.StreamHandler()
    console.setFormatter(shape)
    handlers: list[logging.Handler] = [console]
    with contextlib.suppress(OSError):  # an unwritable folder is the database's sentence to say
        settings.logs_dir.mkdir(parents=True, exist_ok=True)
        path: Path = settings.logs_dir / "bot.log"
        file = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=3, encoding="utf-8")
        file.setFormatter(shape)
        handlers.append(file)
    root.handlers = handlers
    # discord.py logs every reconnect; its warnings are enough unless somebody debugs.
    logging.getLogger("discord").setLevel(max(level, logging.WARNING) if level > logging.DEBUG else level)
