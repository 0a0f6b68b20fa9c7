"""Keys by which the broker knows who dials it (nkeys: Ed25519)."""

from __future__ import annotations

import os
import re

import nkeys  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["is_public_key", "is_seed", "new_seed", "public_key"]

_SEED = re.compile(r"SU[A-Z2-7]{56}")
_PUBLIC = re.compile(r"U[A-Z2-7]{55}")


def is_seed(text: str) -> bool:
    return _SEED.fullmatch(text) is not None


def is_public_key(text: str) -> bool:
    return _PUBLIC.fullmatch(text) is not None


def new_seed() -> str:
    """The secret half."""
    return nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER).decode()  # pyright: ignore[reportUnknownMemberType]


def public_key(seed: str) -> str:
    pair = nkeys.from_seed(bytearray(seed.encode()))  # pyright: ignore[reportUnknownMemberType]
    return bytes(pair.public_key).decode()  # pyright: ignore[reportUnknownMemberType, reportArgumentType]
