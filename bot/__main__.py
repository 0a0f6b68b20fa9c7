"""Composition root: settings → database → worker → playground or Discord → client. Exit codes: bot/exit_codes.py."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import discord

from bot import exit_codes
from bot.app import PincelBot, create_bot
from bot.dispatch.outbox import Inputs
from bot.dispatch.pipe import PipeTransport, StartFailure
from bot.dispatch.together import Together
from bot.dispatch.transport import BotTransport
from bot.domain.job import Lane
from bot.errors import StartupError
from bot.logs import set_up_logging, writes_json
from bot.operator_language import operator_texts
from bot.playground.child import PlaygroundProcess
from bot.playground.redirect import point_discord_at
from bot.settings import CHECKOUT, Settings, load_settings
from bot.storage.database import open_database
from bot.studio import StudioParts
from bot.studio.monitoring.meters import Meters
from gpu_worker.language.addons import OFF
from gpu_worker.language.log_lines import LOG_FORMAT
from gpu_worker.protocol.child import ChildCommand
from gpu_worker.protocol.nats.subjects import is_embedded_name

if TYPE_CHECKING:
    from bot.broker.foreign import ForeignBroker
    from bot.broker.looked_after import LookedAfterBroker

__all__ = ["main"]

log = logging.getLogger("bot")

PLAYGROUND_RETRY_S = 5.0
TRAINER = "t1"
"""Name of the worker on PINCEL_TRAINING_DEVICE."""
WORKER_FAILED = (
    "Worker %s could not start (%s). Run `python3 launch.py doctor`; jobs wait meanwhile, and it is tried again."
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bot", description="The Pincel bot; see docs/operators.md.")
    parser.add_argument(
        "--env-file", type=Path, default=CHECKOUT / ".env", help="settings; default: the checkout's .env"
    )
    env_file: Path = parser.parse_args().env_file
    try:
        settings = load_settings(env_file)
        set_up_logging(settings)
        return asyncio.run(_run(settings))
    except StartupError as error:
        log.debug("start failed", exc_info=error)
        if writes_json():
            log.critical("%s %s", error.sentence, error.fix)
        else:
            print(f"\n{error.sentence}\n{error.fix}".rstrip(), file=sys.stderr)  # noqa: T201 - the one human sentence
        return error.exit_code
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except Exception:
        log.exception("unexpected end")
        print(  # noqa: T201
            "\nPincel ended by a fault of its own; nothing is lost. Start it again; the logs say what happened.",
            file=sys.stderr,
        )
        return exit_codes.UNEXPECTED


async def _run(settings: Settings) -> int:
    os.environ.setdefault(OFF, settings.addons_off)  # workers inherit it
    database = await open_database(settings.database_path)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        token = settings.token.get_secret_value()
        playground: PlaygroundProcess | None = None
        if not token:
            playground = await stack.enter_async_context(_playground(settings))
            point_discord_at(playground.endpoints)
            token = playground.endpoints.token

        def worker_failed(name: str, last_words: str) -> None:
            log.error(WORKER_FAILED, name, last_words or "it said nothing")
            if name != TRAINER:  # without it everything else is drawn all the same
                bot.studio.machine.start_failed()

        meters = Meters() if settings.metrics else None
        broker = await _broker(settings, stack)
        transport = _transport(settings, worker_failed, broker)
        parts = StudioParts(settings, database, transport, meters=meters, keys=broker)
        bot = create_bot(parts, test_guild=settings.test_guild, started=_settle_memory)
        if bot.studio.monitoring is not None:
            await stack.enter_async_context(bot.studio.monitoring)
        await stack.enter_async_context(bot)
        stopping = _stop_on_signals(bot)
        if playground is not None:
            keeper = asyncio.create_task(_keep(playground, stopping), name="playground-keeper")
            stack.callback(keeper.cancel)
            _greet(playground.endpoints.page)
        try:
            return await _connect(bot, token)
        except (aiohttp.ClientError, OSError, RuntimeError):
            if not stopping.is_set():
                raise
            return exit_codes.OK  # a request that was under way when we were told to stop


def _settle_memory() -> None:
    """What is there after the start stays for good. Frozen, it is left out of every later collection, which would stop
    the event loop for longer than a tenth of a second otherwise."""
    gc.collect()
    gc.freeze()


async def _connect(bot: PincelBot, token: str) -> int:
    try:
        await bot.start(token)
    except discord.LoginFailure as error:
        raise _refusal("refused", exit_codes.TOKEN) from error
    except (aiohttp.ClientConnectorError, discord.GatewayNotFound) as error:
        raise _refusal("unreachable", exit_codes.OFFLINE) from error
    return exit_codes.OK


def _refusal(reason: str, exit_code: int) -> StartupError:
    say = operator_texts()
    key = f"startup.discord.{reason}"
    return StartupError(say(f"{key}.sentence"), say(f"{key}.fix"), exit_code)


async def _broker(settings: Settings, stack: contextlib.AsyncExitStack) -> LookedAfterBroker | ForeignBroker | None:
    """Started, and stopped after everything that uses it. Raises StartupError."""
    if not (settings.broker or settings.nats_url.get_secret_value()):
        return None
    from bot.broker.folder import AuthorityDamagedError
    from bot.broker.setting_up import broker_of, broker_refusal  # its libraries are loaded only where they are used

    broker = await asyncio.to_thread(broker_of, settings)
    try:
        return broker and await stack.enter_async_context(broker)
    except (AuthorityDamagedError, OSError) as error:
        raise broker_refusal(error, settings) from error


def _transport(
    settings: Settings, on_start_failure: StartFailure, broker: LookedAfterBroker | ForeignBroker | None
) -> BotTransport:
    here = _own_workers(settings, on_start_failure)
    if broker is None:
        return here
    from bot.dispatch.nats.transport import NatsTransport

    remote = NatsTransport(
        broker.access, root=settings.landed_dir, inputs=Inputs(settings.outbox_dir), reserved=is_embedded_name
    )  # fmt: skip
    return Together(here, remote, is_embedded_name)


def _own_workers(settings: Settings, on_start_failure: StartFailure) -> PipeTransport:
    start = (sys.executable, "-m", "gpu_worker", "--data", str(settings.data), "--demo", str(settings.demo_dir))
    command = ChildCommand(
        argv=(*start, *settings.engine_arguments()),
        log_file=settings.logs_dir / "worker.log",
        # What the bot finds, add-ons above all, its worker finds, too.
        environment={
            "PYTHONPATH": os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH")))),
            LOG_FORMAT: settings.log_format,
        },
    )
    names = tuple(f"w{number}" for number in range(1, settings.workers + 1))
    special: dict[str, ChildCommand] = {}
    if settings.training_device:
        argv = (*start, *settings.engine_arguments(settings.training_device), "--lanes", Lane.TRAINING)
        special[TRAINER] = replace(command, argv=argv, log_file=settings.logs_dir / "trainer.log")
    return PipeTransport(
        command=command, names=names, outbox_dir=settings.outbox_dir, on_start_failure=on_start_failure, special=special
    )


def _playground(settings: Settings) -> PlaygroundProcess:
    return PlaygroundProcess(
        settings.data / "playground",
        settings.playground_port,
        listen=settings.listen or None,
        password=settings.password.get_secret_value() or None,
    )


async def _keep(playground: PlaygroundProcess, stopping: asyncio.Event) -> None:
    """Starts a playground that has died again, on its port: the bot finds it there and goes on."""
    while True:
        code = await playground.process.wait()
        if stopping.is_set():
            return
        log.error("the playground ended with %s; it is started again", code)
        await playground.stop()
        while True:
            try:
                await playground.start()
                _greet(playground.endpoints.page)  # the key in its address is a new one
                break
            except (StartupError, OSError) as error:
                log.error("the playground does not start (%s); it is tried again", error)
                await asyncio.sleep(PLAYGROUND_RETRY_S)


def _greet(page: str) -> None:
    print(  # noqa: T201
        "\n  Pincel is ready. Open this page and type  /imagine prompt: a red apple on a blue background\n\n"
        f"      {page}\n\n"
        "  (No DISCORD_TOKEN in .env, so this is the playground. Ctrl-C stops it.)\n",
        flush=True,
    )


def _stop_on_signals(bot: PincelBot) -> asyncio.Event:
    """The event is set as soon as somebody wants the bot to stop."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    tasks: set[asyncio.Task[None]] = set()

    def stop() -> None:
        if not stopping.is_set():
            stopping.set()
            log.info("stopping; unfinished jobs are kept")
            # Whatever discord.py has to say of connections that end now is no news.
            logging.getLogger("discord").setLevel(logging.CRITICAL)
            tasks.add(asyncio.create_task(bot.close(), name="close"))

    for name in ("SIGINT", "SIGTERM"):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt
            loop.add_signal_handler(getattr(signal, name), stop)
    return stopping


if __name__ == "__main__":
    sys.exit(main())
