"""The doctor: each check against the real thing in a temporary folder; only Discord is a loopback server."""

import contextlib
import http.server
import json
import os
import pickle
import socket
import sqlite3
import string
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from filelock import FileLock

from bot.doctor.__main__ import main
from bot.doctor.broker import check_broker
from bot.doctor.database import bot_is_running, check_database
from bot.doctor.discord_token import check_token, token_looks_right
from bot.doctor.gpu import (
    Card,
    TorchFacts,
    check_card,
    check_worker,
    judge_torch,
    judge_training_device,
    read_torch,
)
from bot.doctor.inspection import check_inspection
from bot.doctor.machine import check_disk, check_folder, check_port, check_python
from bot.doctor.metrics import check_metrics
from bot.doctor.models import check_models
from bot.doctor.report import Check, State, row, summary, to_json
from bot.i18n import load_language, texts_for
from bot.settings import CHECKOUT, load_settings
from bot.storage.migrate import migrate
from gpu_worker.language.classifiers import Installed

EN = texts_for("en")
TOKEN = "ODEzODQ3ODg3NjU3MTIzODQ.G0aaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A function: settings of an empty data folder, with the given keys on top."""
    for key in list(os.environ):
        if key.startswith(("PINCEL_", "DISCORD_")):
            monkeypatch.delenv(key)
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    monkeypatch.setenv("PINCEL_DATA", str(tmp_path / "data"))

    def make(**keys):
        for key, value in keys.items():
            monkeypatch.setenv(key, str(value))
        return load_settings(None)

    return make


def is_failure_with_fix(check: Check, *words: str) -> bool:
    return check.state is State.FAIL and bool(check.fix) and all(word in check.details + check.fix for word in words)


# --- the machine ------------------------------------------------------------------------------------------------------


def test_python_is_named():
    check = check_python(EN)
    assert check.state is State.OK
    assert sys.executable in check.details


def test_folder_is_made_and_left_clean(settings):
    made = settings()
    assert check_folder(EN, made).state is State.OK
    assert list(made.data.iterdir()) == []


def test_folder_that_cannot_be_made(settings, tmp_path):
    (tmp_path / "file").write_text("in the way")
    check = check_folder(EN, settings(PINCEL_DATA=tmp_path / "file" / "data"))
    assert is_failure_with_fix(check, "PINCEL_DATA")


@pytest.mark.parametrize(("free_mib", "state"), [(100, State.FAIL), (3000, State.WARN), (50_000, State.OK)])
def test_disk(settings, free_mib, state):
    check = check_disk(EN, settings(), free_mib)
    assert check.state is state
    assert bool(check.fix) == (state is not State.OK)


def test_disk_of_a_folder_that_is_not_there_yet(settings, tmp_path):
    assert "GiB" in check_disk(EN, settings(PINCEL_DATA=tmp_path / "a" / "b")).details


def test_port_taken_names_another(settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        check = check_port(EN, settings(PINCEL_PLAYGROUND_PORT=port), bot_runs=False)
        assert is_failure_with_fix(check, str(port), "PINCEL_PLAYGROUND_PORT=")
        assert check_port(EN, settings(), bot_runs=True).state is State.OK
    assert check_port(EN, settings(), bot_runs=False).state is State.OK


@pytest.mark.parametrize("address", ["192.0.2.1", "no.such.host.invalid"])
def test_listening_where_this_machine_is_not(settings, address):
    made = settings(PINCEL_LISTEN=address, PINCEL_PASSWORD="correct horse")
    assert is_failure_with_fix(check_port(EN, made, bot_runs=False), address, "0.0.0.0")


def test_port_is_not_needed_with_a_token(settings):
    assert "not needed" in check_port(EN, settings(DISCORD_TOKEN=TOKEN), bot_runs=False).details


# --- health and figures -----------------------------------------------------------------------------------------------


def test_metrics_are_no_topic_where_there_are_none(settings):
    assert list(check_metrics(EN, settings(), bot_runs=True)) == []


def test_metrics_address_that_is_taken_free_or_open_to_others(settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (check,) = check_metrics(EN, settings(PINCEL_METRICS=address), bot_runs=False)
        assert is_failure_with_fix(check, address, "PINCEL_METRICS")
    (check,) = check_metrics(EN, settings(PINCEL_METRICS=address), bot_runs=False)
    assert check.state is State.OK
    open_to_all, free = check_metrics(EN, settings(PINCEL_METRICS="0.0.0.0:0"), bot_runs=False)
    assert (open_to_all.state, free.state) == (State.WARN, State.OK)
    assert "127.0.0.1" in open_to_all.fix


@pytest.mark.parametrize(
    ("status", "body", "state", "words"),
    [
        (200, {"checks": {"worker": {"ok": True, "reason": None}}}, State.OK, "ready"),
        (503, {"checks": {"worker": {"ok": False, "reason": "away"}}}, State.WARN, "worker (away)"),
        (200, ["somebody else"], State.WARN, "nobody answers"),
        (404, {}, State.WARN, "nobody answers"),
    ],
)
def test_a_running_bot_is_asked_whether_it_is_ready(settings, status, body, state, words):
    with discord(status, body) as (url, _):
        address = url.split("/")[2]
        (check,) = check_metrics(EN, settings(PINCEL_METRICS=address), bot_runs=True)
    assert check.state is state
    assert words in check.details


# --- the broker -------------------------------------------------------------------------------------------------------


def test_broker_is_no_topic_where_there_is_none(settings):
    assert list(check_broker(EN, settings(), bot_runs=False)) == []


@pytest.mark.parametrize(
    ("version", "states"),
    [("2.8.4", [State.FAIL]), ("2.9.10", [State.WARN, State.OK]), ("2.11.0", [State.OK]), ("2.15.1", [State.OK])],
)
def test_brokers_program_is_looked_at(settings, monkeypatch, tmp_path, version, states):
    program = tmp_path / "nats-server"
    program.write_text(f"#!/bin/sh\necho nats-server: v{version}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    given = settings(PINCEL_BROKER="127.0.0.1:0", PINCEL_BROKER_ADDRESS="pincel.example.org")
    assert [check.state for check in check_broker(EN, given, bot_runs=False)] == states


def test_broker_whose_program_is_missing(settings, monkeypatch):
    monkeypatch.setattr("bot.doctor.broker.find_program", lambda: None)
    (check,) = check_broker(EN, settings(PINCEL_BROKER="127.0.0.1:1"), bot_runs=False)
    assert is_failure_with_fix(check, "PINCEL_BROKER", "launch.py")


def test_brokers_port_that_is_taken_and_an_address_that_nobody_else_can_dial(settings, monkeypatch):
    monkeypatch.setattr("bot.doctor.broker.find_program", lambda: Path("nats-server"))
    monkeypatch.setattr("bot.doctor.broker.version_of", lambda program: (2, 15))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (check,) = check_broker(EN, settings(PINCEL_BROKER=address), bot_runs=False)
        assert is_failure_with_fix(check, address, "PINCEL_BROKER")
        (check,) = check_broker(EN, settings(PINCEL_BROKER=address), bot_runs=True)  # the bot's own is there
        assert check.state is State.WARN
        assert "PINCEL_BROKER_ADDRESS" in check.fix


def test_broker_elsewhere_is_dialled(settings):
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        there.listen()
        address = f"127.0.0.1:{there.getsockname()[1]}"
        url = f"nats://me:hunter2@{address}"
        (check,) = check_broker(EN, settings(PINCEL_NATS_URL=url), bot_runs=False)
        assert check.state is State.OK
    (check,) = check_broker(EN, settings(PINCEL_NATS_URL=url), bot_runs=True)
    assert is_failure_with_fix(check, address, "PINCEL_NATS_URL")
    assert "hunter2" not in check.details


# --- what the bot looks with at other machines' pictures --------------------------------------------------------------


@pytest.mark.parametrize("where", [{"PINCEL_BROKER": "127.0.0.1:1"}, {"PINCEL_NATS_URL": "nats://127.0.0.1:1"}])
def test_a_look_of_the_bots_own_is_a_topic_where_other_machines_can_join(settings, monkeypatch, tmp_path, where):
    found = None
    monkeypatch.setattr("bot.doctor.inspection.installed_classifier", lambda folder: found)
    assert list(check_inspection(EN, settings())) == []
    given = settings(**where)
    (check,) = check_inspection(EN, given)
    assert check.state is State.WARN
    assert "adult content is off" in check.details
    found = Installed("own", tmp_path / "own.onnx", own=True)
    (check,) = check_inspection(EN, given, lambda name: name != "onnxruntime")
    assert is_failure_with_fix(check, "own", "onnxruntime", "looker")
    (check,) = check_inspection(EN, given, lambda name: True)
    assert check.state is State.OK


# --- the token --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    ["", "abc", f"Bot {TOKEN}", f'"{TOKEN}"', TOKEN.rpartition(".")[0], "x" * 72, TOKEN.replace("ODEz", "____")],
)
def test_wrong_forms(token):
    assert not token_looks_right(token)


def test_right_form():
    assert token_looks_right(TOKEN)


@contextlib.contextmanager
def discord(status: int, body: object):
    """A loopback Discord that gives one answer to everything; yields its address and the headers it was sent."""
    seen: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(dict(self.headers))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def test_token_discord_knows(settings):
    with discord(200, {"username": "pincel"}) as (address, seen):
        check = check_token(EN, settings(DISCORD_TOKEN=TOKEN), address)
    assert (check.state, "pincel" in check.details) == (State.OK, True)
    assert seen[0]["Authorization"] == f"Bot {TOKEN}"


def test_token_discord_refuses(settings):
    with discord(401, {"message": "401: Unauthorized"}) as (address, _):
        check = check_token(EN, settings(DISCORD_TOKEN=TOKEN), address)
    assert is_failure_with_fix(check, "Reset Token")
    assert TOKEN not in row(EN, check)


def test_discord_in_trouble_is_no_verdict(settings):
    with discord(503, {}) as (address, _):
        assert check_token(EN, settings(DISCORD_TOKEN=TOKEN), address).state is State.WARN


def test_offline_is_no_verdict(settings):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        check = check_token(EN, settings(DISCORD_TOKEN=TOKEN), f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert (check.state, "form" in check.details) == (State.WARN, True)


def test_wrong_form_is_never_sent(settings):
    with discord(200, {"username": "pincel"}) as (address, seen):
        assert is_failure_with_fix(check_token(EN, settings(DISCORD_TOKEN="secret-thing"), address))
    assert seen == []


# --- the database -----------------------------------------------------------------------------------------------------


@pytest.fixture
def database(settings):
    made = settings()
    made.data.mkdir()
    migrate(made.database_path)
    return made


def test_no_database_yet(settings):
    assert check_database(EN, settings(), bot_runs=False).state is State.OK


def test_sound_database_is_not_changed(database):
    before = database.database_path.read_bytes()
    check = check_database(EN, database, bot_runs=False)
    assert (check.state, check.details.startswith("sound")) == (State.OK, True)
    assert database.database_path.read_bytes() == before


@pytest.mark.parametrize("damage", ["header", "page"])
def test_damaged_database(database, damage):
    data = bytearray(database.database_path.read_bytes())
    start = 0 if damage == "header" else 4096
    data[start : start + 3000] = b"\xff" * 3000
    database.database_path.write_bytes(data)
    assert is_failure_with_fix(check_database(EN, database, bot_runs=False), "damaged", "backups")


def test_database_of_a_newer_version(database):
    with contextlib.closing(sqlite3.connect(database.database_path)) as connection:
        connection.execute("INSERT INTO schema_migrations VALUES ('2099-01-01-later', 0)")
        connection.commit()
    assert is_failure_with_fix(check_database(EN, database, bot_runs=False), "2099-01-01-later", "git pull")


def test_database_of_an_older_version_is_announced(database):
    with contextlib.closing(sqlite3.connect(database.database_path)) as connection:
        connection.execute("DELETE FROM schema_migrations")
        connection.commit()
    check = check_database(EN, database, bot_runs=False)
    assert (check.state, "updates" in check.details) == (State.OK, True)


def test_locked_database(database):
    with contextlib.closing(sqlite3.connect(database.database_path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert check_database(EN, database, bot_runs=False).state is State.WARN


def test_running_bot_is_noticed(database):
    assert not bot_is_running(database)
    holder = "import sys, filelock\nwith filelock.FileLock(sys.argv[1]): print('held', flush=True); sys.stdin.read()"
    lock = database.database_path.with_suffix(".lock")
    with subprocess.Popen(
        [sys.executable, "-c", holder, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        assert bot_is_running(database)
        process.communicate()
    assert not bot_is_running(database)
    with FileLock(lock).acquire(timeout=0):
        pass


# --- models -----------------------------------------------------------------------------------------------------------


UNSAFE = pickle.dumps(os.system, protocol=2)
"""What a checkpoint must never ask for."""


def test_demo_alone_points_to_the_folder(settings):
    made = settings()
    (check,) = check_models(EN, made)
    assert check.state is State.OK
    assert str(made.models_dir / "checkpoints") in check.details


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("dreams.ckpt", UNSAFE, ("run code", ".safetensors")),
        ("half.safetensors", b"\xff" * 40, ("damaged", "again")),
        ("other.safetensors", (2).to_bytes(8, "little") + b"{}", ("no model", "folder")),
    ],
)
def test_each_problem_file_has_its_way_out(settings, file, content, words):
    made = settings()
    folder = made.models_dir / "checkpoints"
    folder.mkdir(parents=True)
    (folder / file).write_bytes(content)
    first, problem = check_models(EN, made)
    assert first.state is State.OK
    assert problem.state is State.WARN
    assert Path(file).stem in problem.details
    assert all(word in problem.details + problem.fix for word in words)


def test_further_folders_are_named_with_what_they_were_taken_for(settings, tmp_path):
    (tmp_path / "webui" / "models" / "Stable-diffusion").mkdir(parents=True)
    (tmp_path / "webui" / "models" / "Stable-diffusion" / "half.safetensors").write_bytes(b"\xff" * 40)
    made = settings(PINCEL_MODEL_FOLDERS=f"{tmp_path / 'webui'};{tmp_path / 'gone'}")
    _, webui, gone, half = check_models(EN, made)
    assert webui.state is State.OK
    assert "A1111" in webui.details
    assert gone.state is State.WARN
    assert "PINCEL_MODEL_FOLDERS" in gone.fix
    assert "half" in half.details


def test_a_tagger_without_its_list_of_tags(settings):
    made = settings()
    folder = made.models_dir / "taggers"
    folder.mkdir(parents=True)
    (folder / "colours.onnx").write_bytes(b"\x08\x08" + bytes(50))
    missing = check_models(EN, made)[1]
    assert missing.state is State.WARN
    assert "colours" in missing.details
    assert "wd-tagger" in missing.fix
    (folder / "colours.csv").write_text("tag_id,name,category,count\n")
    assert len(check_models(EN, made)) == 1


def test_catalogue_that_an_operator_broke(settings):
    made = settings()
    made.data.mkdir()
    (made.data / "catalogue.toml").write_text('[[model]]\nkey = "x"\nkind = "picture"\n')
    _, broken = check_models(EN, made)
    assert broken.state is State.WARN
    assert "line 3" in broken.details
    assert broken.fix


@pytest.mark.parametrize(
    ("gigabytes", "state", "word"), [(1, State.OK, "1.0 GB"), (1.9, State.WARN, "soon"), (3, State.WARN, "more than")]
)
def test_disk_budget(settings, gigabytes, state, word):
    made = settings(PINCEL_DISK_BUDGET_GB=2)
    folder = made.models_dir / "checkpoints"
    folder.mkdir(parents=True)
    with (folder / "big.safetensors").open("wb") as file:
        file.truncate(int(gigabytes * 10**9))
    *_, budget = check_models(EN, made)
    assert budget.state is state
    assert word in budget.details


# --- card, torch, worker ----------------------------------------------------------------------------------------------

NVIDIA, AMD, NO_CARD = Card("nvidia", "RTX 5060", "590.1", "8192 MiB"), Card("amd"), Card("none")
USABLE = TorchFacts("2.15.0", "13.2", None, ("RTX 5060",))
BLIND = TorchFacts("2.15.0", "13.2", None, ())
CPU_BUILD = TorchFacts("2.15.0+cpu", None, None, ())


def test_cards_are_described():
    assert "RTX 5060" in check_card(EN, NVIDIA).details
    assert check_card(EN, AMD).state is State.OK
    none = check_card(EN, NO_CARD)
    assert none.state is State.WARN
    assert "slower" in none.details


@pytest.mark.parametrize(
    ("facts", "card", "device", "state", "word"),
    [
        (USABLE, NVIDIA, "auto", State.OK, "RTX 5060"),
        (USABLE, NVIDIA, "cuda:0", State.OK, "RTX 5060"),
        (USABLE, NVIDIA, "cpu", State.WARN, "PINCEL_DEVICE=auto"),
        (USABLE, NVIDIA, "cuda:1", State.FAIL, "only 1"),
        (BLIND, NO_CARD, "auto", State.OK, "processor"),
        (BLIND, NO_CARD, "cuda", State.FAIL, "no card"),
        (BLIND, NVIDIA, "auto", State.WARN, "Update the driver"),
        (BLIND, NVIDIA, "cuda", State.FAIL, "Update the driver"),
        (CPU_BUILD, NVIDIA, "auto", State.WARN, "Delete the folder .venv"),
        (BLIND, AMD, "auto", State.WARN, "ROCm"),
        (None, NO_CARD, "auto", State.FAIL, "cannot be loaded"),
    ],
)
def test_torch_is_judged(facts, card, device, state, word):
    check = judge_torch(EN, facts, card, device)
    assert check.state is state
    assert word in check.details + check.fix
    assert bool(check.fix) == (state is not State.OK)


@pytest.mark.parametrize(
    ("device", "drawing", "state", "word"),
    [
        ("cuda:1", "auto", State.OK, "Second"),
        ("cuda:0", "cuda:1", State.OK, "First"),
        ("cuda", "auto", State.WARN, "share"),
        ("cuda:2", "auto", State.FAIL, "only 2"),
        ("cpu", "cuda", State.OK, "cpu"),
        ("cpu", "cpu", State.WARN, "share"),
    ],
)
def test_card_for_trainings_is_judged(device, drawing, state, word):
    facts = TorchFacts("2.9.0", "13.0", None, ("First", "Second"))
    check = judge_training_device(EN, facts, device, drawing)
    assert check is not None
    assert check.state is state
    assert word in check.details + check.fix
    assert judge_training_device(EN, facts, "", drawing) is None


def test_torch_that_cannot_be_loaded(tmp_path):
    assert read_torch(str(tmp_path / "no-python")) is None


@pytest.mark.slow
def test_torch_is_read_from_a_child():
    before = "torch" in sys.modules  # another test of this process may have had its reasons
    facts = read_torch()
    assert facts is not None
    assert facts.version.startswith("2.")
    assert ("torch" in sys.modules) is before


def test_worker_that_cannot_start_is_told_with_its_last_words(settings):
    made = settings(PINCEL_DEVICE="auto").model_copy(update={"device": "--nonsense"})
    assert is_failure_with_fix(check_worker(EN, made), "exit code 2")


def test_no_worker_wanted(settings):
    assert check_worker(EN, settings(PINCEL_WORKERS=0)).state is State.OK


# --- the whole --------------------------------------------------------------------------------------------------------


def test_a_problem_without_a_next_step_cannot_be_made():
    with pytest.raises(AssertionError, match="no next step"):
        Check("disk", "Disk", State.WARN, "full")


def test_texts_ask_for_the_same_values_in_both_languages():
    english, spanish = load_language("en"), load_language("es")
    assert english.keys() == spanish.keys()

    def names(text):
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert [key for key in english if names(english[key]) != names(spanish[key])] == []


def test_summary_counts_failures():
    fine, bad = Check("a", "A", State.WARN, "x", "y"), Check("b", "B", State.FAIL, "x", "y")
    assert "Nothing keeps" in summary(EN, [fine])
    assert summary(EN, [fine, bad]).startswith("1 problem ")
    assert summary(EN, [bad, bad]).startswith("2 problems ")


def test_json_names_everything():
    (held,) = json.loads(to_json([Check("disk", "Disk", State.FAIL, "full", "free it")]))
    assert held == {"name": "disk", "label": "Disk", "state": "fail", "details": "full", "fix": "free it"}


def test_main_ends_well_and_prints_json(settings, capsys):
    settings(PINCEL_WORKERS=0, PINCEL_PLAYGROUND_PORT=0)
    assert main(["--json"]) == 0
    names = [check["name"] for check in json.loads(capsys.readouterr().out)]
    assert names == [
        "python", "settings", "folder", "disk", "database", "backups", "port", "models", "token", "gpu", "torch",
        "worker", "addons",
    ]  # fmt: skip


def test_main_with_bad_settings_says_so_and_fails(settings, capsys):
    settings(PINCEL_WORKERS=0)
    os.environ["PINCEL_MAX_SIDE"] = "1"
    try:
        assert main([]) == 1
    finally:
        del os.environ["PINCEL_MAX_SIDE"]
    printed = capsys.readouterr().out
    assert "PROBLEM" in printed
    assert "PINCEL_MAX_SIDE is a multiple of 8" in printed


def test_doctor_never_loads_torch():
    code = "import sys; sys.modules['torch'] = None; sys.modules['numpy'] = None; import bot.doctor.__main__"
    subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=True)
