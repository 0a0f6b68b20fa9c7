"""An invite lets a machine join, and is kept for its next start."""

from __future__ import annotations

import functools
import os
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from gpu_worker.__main__ import main
from gpu_worker.agent.joining import INVITE_SETTING, KEPT, Joining, JoiningError, by_address, by_invite
from gpu_worker.agent.serve import OUTBOX, TAKEN, serve_agent
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.invite import Invite

SEED = "SU" + "A" * 56
INVITE = Invite("garage", Access(("tls://192.0.2.7:4222",), SEED, "", "pincel-broker"), "pincel")


def joined(text: str, data: Path) -> Joining:
    """As a start that went well."""
    joining = by_invite(text, data, {})
    joining.keep(data)
    return joining


def test_invite_is_kept_and_the_next_start_needs_none(tmp_path):
    joining = joined(INVITE.text, tmp_path / "data")
    assert (joining.machine, joining.access, joining.subjects.prefix) == ("garage", INVITE.access, "pincel")
    assert by_invite("", tmp_path / "data", {}) == replace(joining, invite="")
    assert SEED not in repr(joining)
    assert INVITE.text not in repr(joining)
    if os.name == "posix":
        assert (tmp_path / "data" / KEPT).stat().st_mode & 0o777 == 0o600


def test_a_new_invite_takes_the_place_of_the_kept_one(tmp_path):
    joined(INVITE.text, tmp_path)
    other = Invite("attic", INVITE.access)
    assert joined(other.text, tmp_path).machine == "attic"
    assert by_invite("", tmp_path, {}).machine == "attic"


def test_invite_comes_as_text_as_file_or_as_setting_and_children_never_see_it(tmp_path):
    file = tmp_path / "garage.txt"
    file.write_text(f"\ufeff```\n{INVITE.text}\n```\n", encoding="utf-8")
    assert by_invite(str(file), tmp_path / "a", {}).machine == "garage"
    environment = {INVITE_SETTING: INVITE.text, "PATH": "x"}
    assert by_invite("", tmp_path / "b", environment).machine == "garage"
    assert environment == {"PATH": "x"}
    other = {INVITE_SETTING: "pincel1-damaged"}
    assert by_invite(INVITE.text, tmp_path / "c", other).machine == "garage"
    assert other == {}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "no invite yet: .*/workers add"),
        ("pincel1-AAAA", "not whole"),
        ("pincel9-AAAA", "another version"),
        ("nowhere.txt", "neither an invite nor a file.*; give all of the text"),
        ("x\0y", "neither an invite nor a file"),
    ],
)
def test_what_is_no_invite_is_refused_with_what_to_do(tmp_path, given, words):
    with pytest.raises(JoiningError, match=words):
        by_invite(given, tmp_path, {})
    assert not (tmp_path / KEPT).exists()


def test_setting_that_is_no_invite_is_told_by_its_name(tmp_path):
    with pytest.raises(JoiningError, match=r"^PINCEL_INVITE is neither an invite nor a file"):
        by_invite("", tmp_path, {INVITE_SETTING: "nowhere.txt"})


def test_kept_invite_survives_one_that_is_refused(tmp_path):
    joined(INVITE.text, tmp_path)
    with pytest.raises(JoiningError):
        by_invite("pincel1-AAAA", tmp_path, {})
    assert by_invite("", tmp_path, {}).machine == "garage"


@pytest.mark.parametrize("name", ["w1", "t3", "garage.2", "a b", ""])
def test_bare_address_needs_a_name_that_is_not_the_bots(name):
    with pytest.raises(JoiningError, match="name of its own"):
        by_address("nats://x", name, {})


@pytest.mark.parametrize("url", ["http://x", "nats://", "nats://x:99999", "nats://u:pa/ss@x", ""])
def test_what_is_no_brokers_address_is_refused_and_not_repeated(url):
    with pytest.raises(JoiningError, match="such as nats://") as caught:
        by_address(url, "garage", {})
    assert "pa" not in str(caught.value).replace("--nats takes", "")


def test_bare_address_hides_the_setting_too(tmp_path):
    environment = {INVITE_SETTING: INVITE.text}
    assert by_address("nats://x", "garage", environment).machine == "garage"
    assert environment == {}


def test_data_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(JoiningError, match=r"cannot be (read|written)"):
        joined(INVITE.text, tmp_path / "data")


def test_second_agent_in_a_folder_leaves_the_firsts_invite_alone(monkeypatch, tmp_path, caplog):
    """Else the first would come back as the other after its next start."""
    monkeypatch.delenv(INVITE_SETTING, raising=False)
    monkeypatch.setattr("gpu_worker.agent.run.set_up_logging", lambda name: None)
    monkeypatch.setattr("gpu_worker.agent.run.serve_agent", functools.partial(serve_agent, lock_s=0.1))
    joined(INVITE.text, tmp_path)
    (tmp_path / OUTBOX).mkdir()
    other = Invite("attic", INVITE.access)
    monkeypatch.setattr(
        "sys.argv", ["gpu_worker", "--invite", other.text, "--cards", "cpu", "--data", str(tmp_path), "--demo", "d"]
    )
    with FileLock(tmp_path / OUTBOX / "agent.lock"):
        assert main() == TAKEN
    assert "a data folder of its own" in caplog.text
    assert by_invite("", tmp_path, {}).machine == "garage"


def test_settings_that_cannot_be_used_are_told(monkeypatch, tmp_path, caplog):
    """Else somebody would believe in a bound of the disk that is none."""
    monkeypatch.setattr("gpu_worker.agent.run.set_up_logging", lambda name: None)
    monkeypatch.setattr("gpu_worker.agent.run.serve_agent", lambda *_, rules, **__: rules.budget_mb or 0)
    monkeypatch.setenv("PINCEL_MODELS_BUDGET_GB", "40GB")
    monkeypatch.setenv("PINCEL_MODELS_FROM", "home")
    begin = [
        "gpu_worker",
        "--nats",
        "nats://x",
        "--name",
        "x",
        "--cards",
        "cpu",
        "--data",
        str(tmp_path),
        "--demo",
        "d",
    ]
    monkeypatch.setattr("sys.argv", begin)
    assert main() == 0
    assert "PINCEL_MODELS_BUDGET_GB=40GB is no number of gigabytes" in caplog.text
    assert "PINCEL_MODELS_FROM=home is none of auto, bot, source" in caplog.text
    monkeypatch.setenv("PINCEL_MODELS_BUDGET_GB", "40")
    assert main() == 40 * 1024


def test_option_that_is_no_number_is_refused_with_an_example(monkeypatch, capsys):
    monkeypatch.setattr(
        "sys.argv", ["gpu_worker", "--invite", "--models-budget-gb", "many", "--data", "x", "--demo", "d"]
    )
    with pytest.raises(SystemExit):
        main()
    assert "'many' is no number of gigabytes, such as 40" in capsys.readouterr().err


def test_two_ways_to_join_are_one_too_many(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(
        "sys.argv",
        ["gpu_worker", "--invite", INVITE.text, "--nats", "nats://x", "--name", "x", "--data", str(tmp_path),
         "--demo", "d"],
    )  # fmt: skip
    assert main() == 2
    assert "give one of them" in capsys.readouterr().err


def test_start_without_an_invite_ends_with_the_sentence(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv(INVITE_SETTING, raising=False)
    monkeypatch.setattr("sys.argv", ["gpu_worker", "--invite", "--data", str(tmp_path), "--demo", "d"])
    assert main() == 2
    assert "/workers add" in capsys.readouterr().err
