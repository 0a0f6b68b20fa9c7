"""A connection to the broker that is never given up."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import Error as StreamError

from gpu_worker.protocol.frames import pack
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.client import GuardedClient
from gpu_worker.protocol.nats.pieces import pieces
from gpu_worker.protocol.specs import Wire

__all__ = ["Link", "LinkDownError", "LinkTimes", "NobodyThereError", "OnData"]

log = logging.getLogger(__name__)

T = TypeVar("T")
OnData = Callable[[Msg], Awaitable[None]]
PENDING_BYTES = 8 * 2**20
LOG_EVERY_S = 300.0
TOLD_MAX = 20
TRIES = 2
"""With one protocol, where addresses of both are known, before the other is tried."""


def _is_news(record: logging.LogRecord) -> bool:
    """Of asyncio, which notes at each end of an encrypted connection that its own streams cannot be half closed."""
    return "eof_received() has no effect" not in str(record.msg)


logging.getLogger("asyncio").addFilter(_is_news)


class LinkDownError(OSError):
    """The broker is not there, or did not answer in time. It may at the next try."""


class NobodyThereError(LinkDownError):
    """The broker is there, and nobody listens."""


@dataclass(frozen=True, slots=True)
class LinkTimes:
    """All in seconds. A dead link is noticed within three pings, which must be less than a lease."""

    ping_s: float = 4.0
    reconnect_s: float = 1.0
    answer_s: float = 10.0
    connect_s: float = 5.0
    anew_s: float = 60.0
    """A client that has had no connection for so long is given up for a new one: the library's own tries can end, or
    hang, without a word."""


class Link:
    def __init__(self, access: Access | str, *, name: str, inbox: str, times: LinkTimes | None = None) -> None:
        """A text is an address alone, which may hold a user and a password."""
        self._access = Access.plain(access) if isinstance(access, str) else access
        self._name = name
        self._inbox = inbox
        self.times = times or LinkTimes()
        self._client: Client | None = None
        self._subscriptions: dict[str, OnData] = {}
        self._numbers = itertools.count()
        self._keeper: asyncio.Task[None] | None = None
        self._ups = 0
        self._up = asyncio.Event()
        self._lost = asyncio.Event()
        self._closed = asyncio.Event()
        self._on_up: list[Callable[[], None]] = []
        self._told_at: dict[str, float] = {}
        self._closing = False

    @property
    def connected(self) -> bool:
        return self._client is not None and self._client.is_connected

    def open(self) -> None:
        """Returns at once; connects, and connects again, in the background."""
        self._keeper = asyncio.create_task(self._keep(), name="nats-link")

    def on_up(self, what: Callable[[], None]) -> None:
        """Called after each time the connection was made."""
        self._on_up.append(what)

    async def wait_up(self, timeout_s: float | None = None) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._up.wait()
        return self.connected

    async def close(self, timeout_s: float = 2.0) -> None:
        self._closing = True
        if self._keeper is not None:
            await _end(self._keeper)
        if self._client is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(timeout_s):
                    await self._client.flush()
            with contextlib.suppress(Exception):
                async with asyncio.timeout(timeout_s):
                    await self._client.close()

    async def subscribe(self, subject: str, on_data: OnData) -> None:
        """Also after every reconnect; the broker knows it when this returns, where it is there. `on_data` is called for
        one message after the other."""
        self._subscriptions[subject] = on_data
        # Also to one that has lost its connection just now: it makes it again by itself, with what it knows.
        if self._client is not None and not self._client.is_closed:
            await self._listen(self._client, subject, on_data)
            with contextlib.suppress(LinkDownError):
                await self.flush()

    # --- sending ------------------------------------------------------------------------------------------------------

    async def say(self, subject: str, message: Wire) -> None:
        """Lossy. Raises LinkDownError."""
        for piece in pieces(pack(message), next(self._numbers)):
            await self.send(subject, piece)

    async def send(self, subject: str, data: bytes) -> None:
        """Lossy. Raises LinkDownError."""
        client = self._live()
        try:
            await client.publish(subject, data)
        except nats.errors.Error as error:
            raise LinkDownError(str(error)) from error

    async def flush(self) -> None:
        """What was said before has reached the broker. Raises LinkDownError."""
        try:
            async with asyncio.timeout(self.times.answer_s):
                await self.while_up(self._live().flush(timeout=int(self.times.answer_s) + 1))
        except (TimeoutError, nats.errors.Error) as error:
            raise LinkDownError(str(error)) from error

    async def ask(self, subject: str, message: Wire, timeout_s: float | None = None) -> bytes:
        """A request and its answer. Raises NobodyThereError, LinkDownError."""
        *earlier, last = pieces(pack(message), next(self._numbers))
        for piece in earlier:
            await self.send(subject, piece)
        return (await self.request(subject, last, timeout_s)).data

    async def request(self, subject: str, data: bytes, timeout_s: float | None = None) -> Msg:
        """Raises NobodyThereError, LinkDownError."""
        client = self._live()
        try:
            return await self.while_up(client.request(subject, data, timeout=timeout_s or self.times.answer_s))
        except nats.errors.NoRespondersError as error:
            raise NobodyThereError(subject) from error
        except (TimeoutError, nats.errors.Error) as error:
            raise LinkDownError(f"{subject}: {error or 'no answer'}") from error

    async def store(self, subject: str, data: bytes) -> None:
        """Returns when the broker has it on its disk; needs no right to anything but the subject. Raises
        LinkDownError."""
        try:
            await self.while_up(self.streams().publish(subject, data))
        except (TimeoutError, nats.errors.Error, StreamError, ValueError) as error:
            raise LinkDownError(f"{subject}: {error or 'no answer'}") from error

    async def while_up(self, work: Coroutine[Any, Any, T]) -> T:
        """Raises LinkDownError as soon as the connection is lost: nobody would answer any more, and the client waits
        for its whole timeout."""
        task = asyncio.ensure_future(work)
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait((task, lost), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise LinkDownError("the connection was lost")
            return task.result()
        finally:
            lost.cancel()
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def streams(self) -> JetStreamContext:
        """For whoever looks after them. Raises LinkDownError."""
        make = cast("Callable[..., JetStreamContext]", self._live().jetstream)  # pyright: ignore[reportUnknownMemberType]
        return make(timeout=self.times.answer_s)

    # --- connecting ---------------------------------------------------------------------------------------------------

    def _live(self) -> Client:
        if self._client is None or not self._client.is_connected:
            raise LinkDownError("not connected")
        return self._client

    async def _keep(self) -> None:
        for access in itertools.cycle(self._access.by_protocol()):
            client = GuardedClient(asks_for_tls=access.asks_for_tls, connect_s=self.times.connect_s)
            self._closed.clear()
            try:
                if not await self._connect(client, access):
                    continue
                self._client = client
                self._lost.clear()
                for subject, on_data in list(self._subscriptions.items()):
                    await self._listen(client, subject, on_data)
                await client.flush()
                await self._is_up()
                await self._until_over()
                log.warning("the connection to the broker was closed; it is made again")
            except Exception as error:  # whatever it is, nobody else dials
                self._complain(error)
            finally:
                if client is not self._client or not self._closed.is_set():
                    await self._shut(client)
                self._up.clear()
            await asyncio.sleep(self.times.reconnect_s)

    async def _until_over(self) -> None:
        """It was closed, or had no connection for `anew_s`."""
        while not self._closed.is_set():
            was_connected, ups = self.connected, self._ups
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.times.anew_s):
                    await self._closed.wait()
            if not (was_connected or self.connected) and ups == self._ups:
                return

    async def _shut(self, client: Client) -> None:
        task = asyncio.ensure_future(client.close())
        try:
            await asyncio.wait((task,), timeout=self.times.connect_s)
        finally:
            await _end(task)
            if not task.cancelled():
                task.exception()  # of what is given up

    async def _connect(self, client: Client, access: Access) -> bool:
        """False where it was not reached in time. Raises what the library raises, and LinkDownError."""
        # It tries by itself; where there is another way, that one has its turn.
        several = len(self._access.by_protocol()) > 1
        task = asyncio.ensure_future(
            client.connect(
                list(access.urls),
                name=self._name,
                inbox_prefix=self._inbox,
                nkeys_seed_str=access.seed or None,
                tls=access.context(),
                tls_hostname=access.server_name or None,
                error_cb=self._on_error,
                disconnected_cb=self._is_down,
                reconnected_cb=self._is_up,
                closed_cb=self._is_closed,
                max_reconnect_attempts=-1,
                # Never more often than this by itself: a broker that is away for a night would fill the log.
                reconnect_time_wait=self.times.reconnect_s,  # pyright: ignore[reportArgumentType]
                connect_timeout=self.times.connect_s,  # pyright: ignore[reportArgumentType]
                ping_interval=self.times.ping_s,  # pyright: ignore[reportArgumentType]
                max_outstanding_pings=2,
                pending_size=PENDING_BYTES,
            )
        )
        try:
            limit_s = TRIES * (self.times.connect_s + self.times.reconnect_s) if several else self.times.anew_s
            await asyncio.wait((task,), timeout=limit_s)
            if task.done():
                task.result()
                return True
            if several:
                raise LinkDownError(f"not reached at {access.place}; the other way is tried")
            return False  # why is told at each try
        finally:
            await _end(task)

    async def _listen(self, client: Client, subject: str, on_data: OnData) -> None:
        async def guarded(message: Msg) -> None:
            try:
                await on_data(message)
            except Exception:
                log.exception("a message on %s could not be handled", subject)

        await client.subscribe(subject, cb=guarded)  # pyright: ignore[reportUnknownMemberType]

    async def _is_up(self) -> None:
        self._ups += 1
        log.info("connected to the broker at %s", self._access.place)
        self._told_at.clear()
        self._lost.clear()
        self._up.set()
        for what in self._on_up:
            what()

    async def _is_down(self) -> None:
        if self._up.is_set() and not self._closing:
            log.warning("the connection to the broker is lost; it is made again")
        self._up.clear()
        self._lost.set()

    async def _is_closed(self) -> None:
        self._lost.set()
        self._closed.set()

    async def _on_error(self, error: Exception) -> None:
        self._complain(error)

    def _complain(self, error: BaseException) -> None:
        """Each once in a while: it is tried every second, perhaps for days."""
        now = asyncio.get_running_loop().time()
        said = _in_words(error)
        if now - self._told_at.get(said, -LOG_EVERY_S) < LOG_EVERY_S:
            return
        if len(self._told_at) >= TOLD_MAX:
            self._told_at.clear()
        self._told_at[said] = now
        log.warning("broker at %s: %s", self._access.place, said)


async def _end(task: asyncio.Task[None]) -> None:
    """The library drops a cancellation that comes while it closes what failed, and then goes on for ever."""
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=0.1)


def _in_words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not the one that is asked for; if the broker was set up anew, get a new invite"
    if isinstance(error, nats.errors.AuthorizationError) or "authorization violation" in str(error).lower():
        return "it does not let this key in: revoked, or not known there yet; /workers gives a new invite"
    said = str(error) or type(error).__name__
    if said.startswith("nkeys:"):
        return "our key cannot be read; copy all of it once more, or get a new invite"
    if isinstance(error, ConnectionResetError | BrokenPipeError):  # also in the middle of refusing a key
        return f"it closed the connection ({said}); it is tried again"
    if isinstance(error, OSError) and not isinstance(error, LinkDownError | ssl.SSLError):
        return f"nobody answers ({said}); it is tried again until somebody does"
    return said
