"""Invites, whoever looks after the broker."""

from __future__ import annotations

from bot.broker.keys import BrokerError
from bot.broker.seeds import new_seed, public_key
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.invite import Invite
from gpu_worker.protocol.nats.subjects import Subjects, is_embedded_name, is_machine_name

__all__ = ["invited"]


def invited(
    machine: str, urls: tuple[str, ...], ca_pem: str, server_name: str, subjects: Subjects
) -> tuple[Invite, str]:
    """A machine's invite and its public key; the secret one is in the invite alone. Raises ValueError for a name that
    no machine may have, BrokerError."""
    if not is_machine_name(machine) or is_embedded_name(machine):
        raise ValueError(f"{machine!r} is no name of a machine")
    if not urls:
        raise BrokerError("address", "this machine knows no address of its own that others could dial")
    seed = new_seed()
    invite = Invite(machine, Access(urls, seed, ca_pem, server_name), subjects.prefix)
    try:
        _ = invite.text
    except ValueError as error:
        raise BrokerError("long", str(error)) from error
    return invite, public_key(seed)
