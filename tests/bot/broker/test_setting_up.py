"""From settings to a broker; nothing is started here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot import exit_codes
from bot.addresses import Listener, dialled, lan_address, listeners
from bot.broker import setting_up
from bot.broker.certificates import new_authority
from bot.broker.configuration import ServerKind
from bot.broker.folder import AuthorityDamagedError
from bot.broker.foreign import ForeignBroker
from bot.broker.keys import BrokerError
from bot.broker.looked_after import LookedAfterBroker
from bot.broker.program import version_of
from bot.broker.seeds import new_seed, public_key
from bot.broker.setting_up import broker_of, broker_refusal
from bot.errors import StartupError
from bot.settings import Settings
from gpu_worker.protocol.nats.invite import read_invite
from gpu_worker.protocol.nats.subjects import Subjects


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for key in [key for key in os.environ if key.startswith("PINCEL_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    return lambda **values: Settings(data=tmp_path / "data", **values)


def refused(work) -> StartupError:
    with pytest.raises(StartupError) as caught:
        work()
    return caught.value


def test_without_an_address_there_is_no_broker(settings):
    assert broker_of(settings()) is None


async def test_own_broker_is_dialled_here_and_by_others_at_this_machines_address(settings, monkeypatch):
    monkeypatch.setattr(setting_up, "lan_address", lambda: "192.168.7.8")
    broker = broker_of(settings(broker="0.0.0.0:4300,wss://0.0.0.0:4301"))
    assert isinstance(broker, LookedAfterBroker)
    assert broker.looked_after
    assert broker._dial == ("tls://127.0.0.1:4300",)
    assert broker.addresses == ("tls://192.168.7.8:4300", "wss://192.168.7.8:4301")
    told = broker_of(settings(broker="10.0.0.5:4300", broker_address="pincel.example.org, wss://pincel.example.org/b"))
    assert told.addresses == ("tls://pincel.example.org:4222", "wss://pincel.example.org:443/b")
    assert told._dial == ("tls://10.0.0.5:4300",)


@pytest.mark.parametrize("lan", [None, "127.0.0.1"])
async def test_invite_needs_an_address_that_others_can_dial(settings, monkeypatch, lan):
    monkeypatch.setattr(setting_up, "lan_address", lambda: lan)
    broker = broker_of(settings(broker="0.0.0.0:4300"))
    broker._authority = ""
    with pytest.raises(BrokerError) as caught:
        await broker.invite("garage")
    assert caught.value.reason == "address"
    assert broker_of(settings(broker="127.0.0.1:4300")).addresses == ()


def test_machine_without_a_network_has_no_address_to_guess():
    assert lan_address() != "127.0.0.1"


def test_broker_elsewhere_reads_a_folder_of_ours(settings, tmp_path):
    shared = settings(
        nats_url="nats://nats:4222", broker_folder=tmp_path / "shared", broker_address="host.lan:5000, wss://host.lan"
    )
    broker = broker_of(shared)
    assert broker._dial == ("tls://nats:4222",)
    assert broker._listeners == (Listener("0.0.0.0", 4222), Listener("0.0.0.0", 443, "wss"))
    assert broker.program is None
    broker._folder.prepare(broker._listeners, ["nats"], ServerKind())
    assert {path.name for path in (tmp_path / "shared").iterdir()} == {
        "nats.conf", "users.conf", "broker.pem", "broker.key",
    }  # fmt: skip
    assert {path.name for path in shared.broker_keys_dir.iterdir()} == {"ca.pem", "ca.key", "keys.json"}


async def test_somebody_elses_broker_gets_its_users_by_hand(settings, tmp_path):
    ca, seed = tmp_path / "ca.pem", new_seed()
    ca.write_bytes(new_authority().certificate_pem)
    broker = broker_of(settings(nats_url="tls://me:hunter2@nats.example.org", nats_ca=ca, nats_key=seed))
    assert isinstance(broker, ForeignBroker)
    assert not broker.looked_after
    assert (broker.access.seed, broker.access.ca_pem) == (seed, ca.read_text())
    invite, key = await broker.invite("garage")
    assert "hunter2" not in read_invite(invite.text).access.urls[0]
    assert public_key(invite.access.seed) == key
    await broker.allow({"garage": key})
    snippet = broker.snippet("garage", key)
    assert key in snippet
    assert invite.access.seed not in snippet
    assert '"pincel.ev.garage.*"' in snippet


async def test_invite_that_would_be_too_long_is_told(settings, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_bytes(b"".join(new_authority().certificate_pem for _ in range(6)))
    with pytest.raises(BrokerError) as caught:
        await broker_of(settings(nats_url="tls://x", nats_ca=ca)).invite("garage")
    assert caught.value.reason == "long"


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_two_brokers_are_one_too_many(settings):
    for more in ({"nats_url": "nats://x"}, {"broker_folder": "x"}):
        with pytest.raises(ValueError, match="two_brokers"):
            settings(broker="0.0.0.0:4222", **more)
    with pytest.raises(ValueError, match="broker_folder_without_url"):
        settings(broker_folder="x")


def test_machine_without_the_server_is_told_how_to_get_it(settings, monkeypatch):
    monkeypatch.setattr(setting_up, "find_program", lambda: None)
    error = refused(lambda: broker_of(settings(broker="0.0.0.0:4222")))
    assert error.exit_code == exit_codes.ENVIRONMENT
    assert "launch.py" in error.fix


@pytest.mark.parametrize("said", ["echo nats-server: v2.8.4", "exit 1"])
def test_server_that_is_too_old_or_does_not_run_is_refused(settings, monkeypatch, tmp_path, said):
    program = tmp_path / "nats-server"
    program.write_text(f"#!/bin/sh\n{said}\n")
    program.chmod(0o755)
    monkeypatch.setattr(setting_up, "find_program", lambda: program)
    assert "2.9" in refused(lambda: broker_of(settings(broker="0.0.0.0:4222"))).fix
    assert version_of(tmp_path / "nothing") is None


@pytest.mark.parametrize("held", [None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nx"])
def test_certificate_that_cannot_be_read_is_named(settings, tmp_path, held):
    ca = tmp_path / "ca.pem"
    if held is not None:
        ca.write_text(held)
    error = refused(lambda: broker_of(settings(nats_url="tls://x", nats_ca=ca)))
    assert str(ca) in error.sentence
    assert error.exit_code == exit_codes.SETTINGS


@pytest.mark.parametrize("spoil", ["ca.key lost", "ca.key torn", "ca.pem torn"])
def test_damaged_authority_is_not_made_anew_in_silence(settings, spoil):
    given = settings(nats_url="tls://x", broker_folder="shared-nowhere")
    folder = setting_up.BrokerFolder(given.data / "broker", given.broker_keys_dir, Subjects())
    folder.prepare((Listener("0.0.0.0", 4222),), [], ServerKind())
    name, _, how = spoil.partition(" ")
    path = given.broker_keys_dir / name
    path.unlink() if how == "lost" else path.write_text("torn")
    with pytest.raises(AuthorityDamagedError) as caught:
        folder.prepare((Listener("0.0.0.0", 4222),), ["new.host"], ServerKind())
    error = broker_refusal(caught.value, given)
    assert str(given.broker_keys_dir) in error.sentence
    assert "ca.pem" in error.fix


def test_folder_that_cannot_be_written_is_named(settings):
    given = settings(broker="0.0.0.0:4222")
    given.data.mkdir()
    (given.data / "broker").write_text("in the way")
    with pytest.raises(FileExistsError) as caught:
        setting_up._folder(given).prepare((), [], ServerKind())
    assert str(given.data / "broker") in broker_refusal(caught.value, given).sentence


# --- what is written --------------------------------------------------------------------------------------------------


def test_lost_keys_of_ours_are_new_ones_and_machines_stay(settings):
    folder = setting_up._folder(given := settings(broker="0.0.0.0:4222"))
    first, ca = folder.prepare((), [], ServerKind())
    garage = public_key(new_seed())
    assert folder.allow({"garage": garage})
    assert not folder.allow({"garage": garage})
    (given.broker_keys_dir / "keys.json").write_text("{torn")
    second, same_ca = setting_up._folder(given).prepare((), [], ServerKind())
    assert ca == same_ca
    assert first.bot != second.bot
    users = (given.broker_dir / "users.conf").read_text()
    assert garage in users
    assert public_key(second.bot) in users
    assert public_key(first.bot) not in users


def test_what_is_no_key_or_name_in_a_file_is_left_out(settings):
    folder = setting_up._folder(given := settings(broker="0.0.0.0:4222"))
    folder.prepare((), [], ServerKind())
    (given.broker_keys_dir / "machines.json").write_text('{"a.b": "U", "garage": "x\\n}", "attic": 5}')
    assert folder.machines() == {}
    for text in ("[]", "torn", '"x"'):
        (given.broker_keys_dir / "machines.json").write_text(text)
        assert folder.machines() == {}


def test_old_servers_are_not_given_what_they_do_not_know(settings):
    folder = setting_up._folder(given := settings(broker="0.0.0.0:4222"))
    main = given.broker_dir / "nats.conf"
    for version, knows in (((2, 9), (False, False)), ((2, 10), (True, False)), ((2, 11), (True, True))):
        folder.prepare((Listener("0.0.0.0", 1), Listener("0.0.0.0", 2, "ws")), [], ServerKind(version, Path("log")))
        text = main.read_text()
        assert ("sync_interval" in text, "strict" in text) == knows
        assert ("logfile_max_num" in text) is knows[0]
        assert '"no_tls": true' in text


def test_a_server_beside_the_bot_may_be_of_any_version_that_can_be_told(settings, tmp_path):
    given = settings(nats_url="tls://nats:4222", broker_folder=tmp_path / "shared")
    broker = setting_up.broker_of(given)
    broker._folder.prepare(broker._listeners, [], broker._kind)
    text = (given.broker_dir / "nats.conf").read_text()
    assert "sync_interval" in text  # known from 2.10 on
    assert "strict" not in text  # from 2.11 on, and unasked from 2.12 on
    assert broker._kind.tells_system


@pytest.mark.parametrize("text", ["4222", "0.0.0.0:1,0.0.0.0:2", "wss://0.0.0.0:1", "http://x:1", "a:1/x", "u@a:1"])
def test_listening_place_that_makes_no_sense(settings, text):
    with pytest.raises(ValueError, match=r"."):
        settings(broker=text)
    if text != "4222":  # a name, to whoever does not ask for a port
        with pytest.raises(ValueError, match=r"."):
            listeners(text)


@pytest.mark.parametrize("text", ["http://x", "a b:x", "tls://x/path", "user:word@x", "wss://x?y", "x:y"])
def test_address_that_nobody_could_dial(settings, text):
    with pytest.raises(ValueError, match=r"."):
        settings(broker_address=text)
    with pytest.raises(ValueError, match=r"."):
        dialled(text)


@pytest.mark.parametrize("text", ["10.0.0.5", "[2001:db8::1]:4222", "nats://x", "wss://a.b/c, a.b:1", "ws://a:80"])
def test_settings_and_broker_take_the_same_addresses(settings, text):
    assert dialled(settings(broker_address=text).broker_address)
