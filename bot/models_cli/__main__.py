"""`python3 launch.py models list|scan|install|verify`; launch.py sends `convert` to gpu_worker.convert.

It needs no running bot and minds none: what it installs appears there by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import NoReturn

from bot import exit_codes
from bot.catalogue import CatalogueError, UnknownNameError, operators_catalogue
from bot.errors import StartupError, UserFacingError
from bot.models_cli.console import Console, sentence
from bot.models_cli.install import install
from bot.models_cli.listing import list_models
from bot.models_cli.offer import offer
from bot.models_cli.scan import scan
from bot.models_cli.there import look
from bot.models_cli.verify import verify
from bot.operator_language import operator_texts, plain
from bot.settings import CHECKOUT, Settings, load_settings

__all__ = ["main", "run"]


class _UsageError(Exception):
    """The words make no command."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(message)


def main(words: Sequence[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")
    console = Console(operator_texts(), sys.stdout)
    try:
        return run(console, words)
    except KeyboardInterrupt:
        console.end_line()
        sys.stderr.write(f"\n{console.say('models_cli.interrupted')}\n")
        return exit_codes.INTERRUPTED


def run(console: Console, words: Sequence[str]) -> int:
    """What goes wrong is told in one sentence on stderr."""
    say = console.say
    try:
        options = _parse(words)
    except _UsageError:
        sys.stderr.write(f"{say('models_cli.usage')}\n\n{say('models_cli.help')}\n")
        return exit_codes.USAGE
    if options.help or options.command is None:
        console.tell(say("models_cli.help"))
        return exit_codes.OK
    try:
        return _command(console, options, load_settings(CHECKOUT / ".env"))
    except StartupError as error:
        sys.stderr.write(f"{error.sentence} {error.fix}\n")
        return error.exit_code
    except CatalogueError as error:
        sys.stderr.write(f"{plain(error.sentence(say))}\n")
        return exit_codes.SETTINGS
    except UserFacingError as error:
        sys.stderr.write(f"{sentence(say, error)}\n")
        return exit_codes.USAGE if isinstance(error, UnknownNameError) else exit_codes.UNEXPECTED


def _command(console: Console, options: argparse.Namespace, settings: Settings) -> int:
    if options.command == "offer":
        return offer(console, settings)
    if options.command == "scan":
        scan(console, settings, look(settings), as_json=options.json)
        return exit_codes.OK
    catalogue = operators_catalogue(settings.data)
    if options.command == "list":
        list_models(console, look(settings), catalogue, options.names, as_json=options.json)
        return exit_codes.OK
    if options.command == "verify":
        return asyncio.run(verify(console, settings, catalogue, options.names))
    return asyncio.run(install(console, settings, catalogue.find(options.names), yes=options.yes))


def _parse(words: Sequence[str]) -> argparse.Namespace:
    # Sentences of argparse exist in English only: the help is a text of ours.
    parser = _Parser(prog="launch.py models", add_help=False)
    commands = parser.add_subparsers(dest="command", parser_class=_Parser)
    for name in ("list", "scan", "install", "verify", "offer"):
        command = commands.add_parser(name, add_help=False)
        command.add_argument("-h", "--help", action="store_true")
        if name in ("list", "scan"):
            command.add_argument("--json", action="store_true")
        if name in ("list", "verify"):
            command.add_argument("names", nargs="*")
        if name == "install":
            command.add_argument("names", nargs="+")
            command.add_argument("-y", "--yes", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    if set(words) & {"-h", "--help"}:
        return argparse.Namespace(help=True, command=None)
    return parser.parse_args(list(words))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
