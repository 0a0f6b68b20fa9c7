"""`models verify`: what hosts say fills what is empty, and nothing else; the hosts are a dictionary here."""

import os
import stat
import sys

import pytest

from bot import exit_codes
from bot.catalogue import load_catalogue, operators_catalogue, verified_file
from bot.errors import StartupError
from bot.i18n import texts_for
from bot.models_cli.verify import verify

from .conftest import said

EN = texts_for("en")
HASH, OTHER = "ab" * 32, "cd" * 32


def address(key):
    return load_catalogue().get(key).address


async def test_empty_fields_are_filled_and_kept(settings, person, network):
    made = settings()
    network.said[address("pastel-mix")] = said(HASH, 2_000_000_000)
    network.said[address("thicker-lines")] = said(OTHER, 7, ("https://example.org/Thick%20Lines.safetensors",))
    somebody = person()
    assert await verify(somebody, made, load_catalogue(), ["pastel-mix", "thicker-lines"]) == exit_codes.OK
    catalogue = operators_catalogue(made.data)
    assert catalogue.get("pastel-mix").installable
    lines = catalogue.get("thicker-lines")
    assert (lines.sha256, lines.size_bytes, lines.name) == (OTHER, 7, "Thick Lines")
    assert "2 GB" in somebody.shown
    assert str(verified_file(made.data)) in somebody.shown


@pytest.mark.parametrize(
    ("filename", "name"),
    [("Thick Lines.v2.safetensors", "Thick Lines.v2"), ("../../etc/passwd", "passwd"), ("con.safetensors", "_con")],
)
async def test_names_of_hosts_are_made_safe(settings, person, network, filename, name):
    made = settings()
    urls = ("https://civitai.com/api/download/models/16677",)
    network.said[address("thicker-lines")] = said(HASH, 7, urls, filename)
    assert await verify(person(), made, load_catalogue(), ["thicker-lines"]) == exit_codes.OK
    assert operators_catalogue(made.data).get("thicker-lines").name == name


async def test_without_names_only_incomplete_entries_are_asked_for(settings, person, network):
    made = settings()
    await verify(person(), made, load_catalogue(), [])
    assert set(network.asked) == {entry.address for entry in load_catalogue().entries if entry.unverified}


async def test_later_runs_keep_what_earlier_ones_found(settings, person, network):
    made = settings()
    network.said[address("pastel-mix")] = said(HASH)
    await verify(person(), made, load_catalogue(), ["pastel-mix"])
    network.said[address("deliberate-2")] = said(OTHER)
    await verify(person(), made, operators_catalogue(made.data), ["deliberate-2"])
    catalogue = operators_catalogue(made.data)
    assert (catalogue.get("pastel-mix").sha256, catalogue.get("deliberate-2").sha256) == (HASH, OTHER)


async def test_another_file_is_reported_and_changes_nothing(settings, person, network):
    made = settings()
    network.said[address("remacri")] = said(OTHER)
    somebody = person()
    assert await verify(somebody, made, load_catalogue(), ["remacri"]) == exit_codes.UNEXPECTED
    assert OTHER[:10] in somebody.shown
    assert not verified_file(made.data).exists()


@pytest.mark.parametrize("language", ["en", "es"])
async def test_failing_source_does_not_stop_the_others(settings, person, network, language):
    made = settings()
    network.said[address("pastel-mix")] = said(HASH)
    somebody = person(language=language)
    names = ["deliberate-2", "pastel-mix"]
    assert await verify(somebody, made, load_catalogue(), names) == exit_codes.UNEXPECTED
    assert texts_for(language)("error.checkpoint_none") in somebody.shown
    assert operators_catalogue(made.data).get("pastel-mix").sha256 == HASH


@pytest.mark.parametrize("source", [said(None), said("not a hash"), said(HASH, urls=("http://example.org/a",))])
async def test_source_without_a_usable_hash_or_address(settings, person, network, source):
    made = settings()
    network.said[address("thicker-lines")] = source
    somebody = person()
    assert await verify(somebody, made, load_catalogue(), ["thicker-lines"]) == exit_codes.OK
    assert EN("models_cli.verify.no_hash", key="thicker-lines") in somebody.shown
    assert not verified_file(made.data).exists()


async def test_damaged_file_is_written_anew(settings, person, network):
    made = settings()
    made.data.mkdir()
    verified_file(made.data).write_text("[[found", encoding="utf-8")
    network.said[address("pastel-mix")] = said(HASH)
    somebody = person()
    assert await verify(somebody, made, load_catalogue(), ["pastel-mix"]) == exit_codes.OK
    assert operators_catalogue(made.data).get("pastel-mix").sha256 == HASH
    assert EN("models_cli.verify.unreadable", file=verified_file(made.data)) in somebody.shown


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind this user")
async def test_unwritable_folder(settings, person, network):
    made = settings()
    made.data.mkdir()
    made.data.chmod(stat.S_IRUSR | stat.S_IXUSR)
    network.said[address("pastel-mix")] = said(HASH)
    with pytest.raises(StartupError):
        await verify(person(), made, load_catalogue(), ["pastel-mix"])


async def test_folder_that_is_a_file(settings, person, network):
    made = settings()
    made.data.write_text("in the way")
    network.said[address("pastel-mix")] = said(HASH)
    with pytest.raises(StartupError) as caught:
        await verify(person(), made, load_catalogue(), ["pastel-mix"])
    assert caught.value.fix


async def test_complete_catalogue_asks_nobody(settings, person, network):
    made = settings()
    complete = [entry for entry in load_catalogue().entries if not entry.unverified]
    somebody = person()
    assert await verify(somebody, made, type(load_catalogue())(tuple(complete)), []) == exit_codes.OK
    assert network.asked == []
    assert EN("models_cli.verify.nothing") in somebody.shown
