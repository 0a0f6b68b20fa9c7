"""What only Colab has: Drive and secrets. Elsewhere, as in tests, environment variables stand for both."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["DRIVE", "SECRETS", "drive_folder", "secrets_of"]

SECRETS = (
    "DISCORD_TOKEN", "PINCEL_OPERATORS", "PINCEL_CIVITAI_TOKEN", "PINCEL_HUGGINGFACE_TOKEN", "PINCEL_NATS_URL",
    "PINCEL_NATS_KEY", "PINCEL_INVITE",
)  # fmt: skip
DRIVE = "COLAB_DRIVE"
"""Names the folder that is Drive where no Colab is."""
_MOUNTED_AT = "/content/drive"


def drive_folder() -> Path | None:
    """Pincel's folder on Drive; asks for leave where that was not given yet. None: there is no Drive, or no leave."""
    drive = _colab("drive")
    if drive is not None:
        try:
            drive.mount(_MOUNTED_AT)
        except Exception:  # Colab's own kinds, which its code alone knows
            return None
    root = Path(f"{_MOUNTED_AT}/MyDrive") if drive is not None else Path(os.environ.get(DRIVE) or "/nonexistent")
    if not root.is_dir():
        return None
    folder = root / "Pincel"
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    return folder


def secrets_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Those of SECRETS that Colab's secrets have, or else the environment; never empty ones."""
    userdata = _colab("userdata")
    found: dict[str, str] = {}
    for name in SECRETS:
        value = environment.get(name, "")
        if userdata is not None:
            with contextlib.suppress(Exception):  # not there, or not for this notebook; the kinds are Colab's own
                value = str(userdata.get(name) or value)
        if value.strip():
            found[name] = value.strip()
    return found


def _colab(part: str) -> Any:
    try:
        return importlib.import_module(f"google.colab.{part}")
    except ImportError:
        return None
