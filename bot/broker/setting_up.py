"""The broker as the settings have it: our own, one that reads a folder of ours, somebody else's, or none."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from bot import exit_codes
from bot.addresses import BROKER_PORT, Listener, dialled, host_of, is_everywhere, lan_address, listeners
from bot.broker.configuration import ServerKind
from bot.broker.folder import AuthorityDamagedError, BrokerFolder
from bot.broker.foreign import ForeignBroker
from bot.broker.looked_after import LookedAfterBroker
from bot.broker.program import VERSION_MIN, find_program, version_of
from bot.errors import StartupError
from bot.operator_language import operator_texts
from bot.settings import Settings, is_loopback
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.invite import certificates
from gpu_worker.protocol.nats.subjects import Subjects

__all__ = ["addresses_of", "broker_of", "broker_refusal"]

_LOG = "broker.log"


def broker_of(settings: Settings) -> LookedAfterBroker | ForeignBroker | None:
    """Blocks. Raises StartupError, as its start does by `broker_refusal`."""
    url = settings.nats_url.get_secret_value()
    if settings.broker:
        return _own(settings)
    if not url:
        return None
    return _shared(settings, url) if settings.broker_folder else _foreign(settings, url)


def addresses_of(settings: Settings) -> tuple[str, ...]:
    """What machines dial where the bot runs its own broker; none where that cannot be known."""
    return dialled(settings.broker_address) or _guessed(listeners(settings.broker))


def broker_refusal(error: AuthorityDamagedError | OSError, settings: Settings) -> StartupError:
    if isinstance(error, AuthorityDamagedError):
        return _fail("authority", folder=settings.broker_keys_dir, reason=error)
    return _fail("folder", folder=settings.broker_dir, other=settings.broker_keys_dir, reason=error.strerror or error)


def _own(settings: Settings) -> LookedAfterBroker:
    program = find_program()
    if program is None:
        raise _fail("program")
    version = version_of(program)
    if version is None or version < VERSION_MIN:
        raise _fail("version", program=program, minimum=".".join(map(str, VERSION_MIN)))
    places = listeners(settings.broker)
    here = places[0]
    host = "127.0.0.1" if is_everywhere(here.host) else here.host
    return LookedAfterBroker(
        _folder(settings),
        listeners=places,
        dial=dialled(Listener(host, here.port).place),
        addresses=addresses_of(settings),
        kind=ServerKind(version, settings.logs_dir / _LOG),
        program=program,
    )


def _shared(settings: Settings, url: str) -> LookedAfterBroker:
    """It listens on all addresses of wherever it runs: a container's own, as a rule."""
    parts = urlsplit(url)
    dial = dialled(f"{parts.hostname}:{parts.port or BROKER_PORT}")
    addresses = dialled(settings.broker_address) or dial
    everywhere = "0.0.0.0"  # noqa: S104 - keys are asked for
    web = [Listener(everywhere, urlsplit(one).port or BROKER_PORT, "wss") for one in addresses if one[:4] == "wss:"]
    return LookedAfterBroker(
        _folder(settings),
        listeners=(Listener(everywhere, parts.port or BROKER_PORT), *web[:1]),
        dial=dial,
        addresses=addresses,
    )


def _foreign(settings: Settings, url: str) -> ForeignBroker:
    try:
        pem = settings.nats_ca.read_text(encoding="utf-8") if settings.nats_ca else ""
        if settings.nats_ca and not certificates(pem):
            raise ValueError("no certificate in it")
    except (OSError, ValueError) as error:
        raise _fail("ca", file=settings.nats_ca, reason=error) from error
    access = Access((url,), settings.nats_key.get_secret_value(), pem)
    return ForeignBroker(access, dialled(settings.broker_address) or (_without_password(url),))


def _guessed(places: tuple[Listener, ...]) -> tuple[str, ...]:
    """None where only this machine could dial."""
    here = places[0]
    host = lan_address() if is_everywhere(here.host) else here.host
    if host is None or is_loopback(host):
        return ()
    found = dialled(Listener(host, here.port).place)
    return found + tuple(f"wss://{host_of(found[0])}:{one.port}" for one in places[1:] if one.scheme == "wss")


def _folder(settings: Settings) -> BrokerFolder:
    return BrokerFolder(settings.broker_dir, settings.broker_keys_dir, Subjects())


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _fail(what: str, /, **values: object) -> StartupError:
    say = operator_texts()
    key = f"startup.broker.{what}"
    code = exit_codes.ENVIRONMENT if what in ("program", "version") else exit_codes.SETTINGS
    return StartupError(say(f"{key}.sentence", **values), say(f"{key}.fix", **values), code)
