"""One string that lets a machine join: who it is there, where the broker is, its key, and how to know the broker.

It holds the key itself, so whoever has it is that machine until the key is revoked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import ssl
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from gpu_worker.protocol.frames import FrameError, pack, unpack
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.subjects import is_machine_name
from gpu_worker.protocol.specs import Wire

__all__ = ["INVITE_CHARS_MAX", "Invite", "InviteError", "certificates", "is_invite", "read_invite"]

INVITE_CHARS_MAX = 1800
"""So that one Discord message holds it, with a sentence."""

_VERSION = "1"
_WORD = "pincel"
_FORM = re.compile(rf"{_WORD}(\d+)-([A-Za-z0-9_-]+)")
_CHECK_BYTES = 6
_END_CERTIFICATE = "-----END CERTIFICATE-----"


class InviteError(ValueError):
    def __init__(self, reason: Literal["none", "version", "damaged"]) -> None:
        """`none`: it is no invite at all."""
        super().__init__(_SENTENCES[reason])
        self.reason = reason


_SENTENCES = {
    "none": "this is no invite; one begins with pincel1- and comes from /workers add",
    "version": "this invite is from another version of Pincel; update this machine, or ask for a new invite",
    "damaged": "this invite is not whole; copy all of it once more, or ask for a new one",
}


class _Said(Wire):
    """Short keys: it is to be pasted."""

    m: str
    u: tuple[Annotated[str, StringConstraints(pattern=r"^(nats|tls|ws|wss)://[^\s@]+$", max_length=300)], ...] = Field(
        min_length=1, max_length=8
    )
    k: str = Field(pattern=r"^SU[A-Z2-7]{56}$")
    c: tuple[bytes, ...] = Field(default=(), max_length=8)
    n: str = Field(default="", pattern=r"^[A-Za-z0-9.-]{0,253}$")
    p: str = Field(default="pincel", pattern=r"^[a-z0-9_-]{1,32}$")


@dataclass(frozen=True, slots=True)
class Invite:
    machine: str
    access: Access
    prefix: str = "pincel"
    """Of the bot's subjects."""

    @property
    def text(self) -> str:
        """Raises ValueError where it would be over INVITE_CHARS_MAX: too many addresses or certificates."""
        said = _Said(
            m=self.machine, u=self.access.urls, k=self.access.seed, c=certificates(self.access.ca_pem),
            n=self.access.server_name, p=self.prefix,
        )  # fmt: skip
        body = pack(said)
        text = f"{_WORD}{_VERSION}-{base64.urlsafe_b64encode(_check(body) + body).decode().rstrip('=')}"
        if len(text) > INVITE_CHARS_MAX:
            raise ValueError(f"an invite of {len(text)} characters")
        return text


def is_invite(text: str) -> bool:
    """Whether it looks like one, whole or not: a path never does."""
    return _FORM.fullmatch(_bare(text)) is not None


def read_invite(text: str) -> Invite:
    """As people paste it: with line breaks, spaces, quotes or a code block around. Raises InviteError."""
    found = _FORM.fullmatch(_bare(text))
    if found is None:
        raise InviteError("none")
    if found[1] != _VERSION:
        raise InviteError("version")
    try:
        raw = base64.b64decode(found[2] + "=" * (-len(found[2]) % 4), altchars=b"-_", validate=True)
        body = raw[_CHECK_BYTES:]
        if raw[:_CHECK_BYTES] != _check(body):
            raise InviteError("damaged")
        said = _Said.model_validate(unpack(body))
        pem = "".join(ssl.DER_cert_to_PEM_cert(der) for der in said.c)
    except (binascii.Error, FrameError, ValidationError) as error:
        raise InviteError("damaged") from error
    if not is_machine_name(said.m):
        raise InviteError("damaged")
    return Invite(said.m, Access(said.u, said.k, pem, said.n), said.p)


def _bare(text: str) -> str:
    return re.sub(r"[\s`'\"]+", "", text) if len(text) <= 4 * INVITE_CHARS_MAX else ""


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECK_BYTES]


def certificates(pem: str) -> tuple[bytes, ...]:
    """Of a PEM file, in DER. Raises ValueError for what is none."""
    parts = [part for part in pem.split(_END_CERTIFICATE) if part.strip()]
    return tuple(ssl.PEM_cert_to_DER_cert(part[part.index("-----BEGIN") :] + _END_CERTIFICATE) for part in parts)
