"""What the notebook's cells call, piece by piece; launch.py is a stub that writes down what it was asked."""

import ast
import json
import re
import sys
import time
import types
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.catalogue import operators_catalogue
from bot.i18n import load_language, texts_for
from bot.settings import Settings, setting_keys
from notebooks.colab import Kept, StoppedError, drive_folder, open_notebook, secrets_of, serving
from notebooks.colab.copies import KEPT
from notebooks.colab.links import KINDS, read_links
from notebooks.colab.machine import SECRETS
from notebooks.colab.places import _SECRET

CHECKOUT = Path(__file__).resolve().parents[2]
MODULES = sorted((CHECKOUT / "notebooks").rglob("*.py"))
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
ALL = Kept()

READY = "attic is ready on cpu with 3 models"
"""What an agent says once a card draws."""

STUB = """
import json, os, sys, time
from pathlib import Path
data = Path(os.environ["PINCEL_DATA"])
with open("asked.jsonl", "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
words = sys.argv[1:]
if words[:1] == ["backup"]:
    (data / "backups").mkdir(exist_ok=True)
    number = len(list((data / "backups").iterdir()))
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(time.time() + number))
    (data / "backups" / f"pincel-backup-{stamp}.zip").write_bytes((data / "pincel.sqlite").read_bytes())
elif words[:1] == ["restore"]:
    held = Path(words[1]).read_bytes()
    if held == b"damaged":
        sys.exit(71)
    (data / "pincel.sqlite").write_bytes(held)
elif words in ([], ["worker"]):
    print("token", os.environ.get("DISCORD_TOKEN"))
    print("invite", os.environ.get("PINCEL_INVITE"))
    if "STUB_LIVES" in os.environ:
        print(os.environ.get("STUB_READY", "connected as Stub"), flush=True)
        died = Path("died")
        if os.environ["STUB_LIVES"] == "2" and not died.exists():
            died.touch()
            sys.exit(1)
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            sys.exit(0)
    sys.exit(int(os.environ.get("STUB_STATUS", "0")))
"""


class Machine:
    def __init__(self, folder):
        self.drive = folder / "drive"
        self.drive.mkdir()
        self.said = []
        self.begin_anew(folder / "first")

    def begin_anew(self, folder):
        """A new machine; Drive stays."""
        self.checkout, self.data = folder, folder / "data"
        folder.mkdir()
        (folder / "launch.py").write_text(STUB)
        (folder / ".env.example").write_text("# a token\nDISCORD_TOKEN=\nPINCEL_MAX_SIDE=\n")

    def open(self, *, kept=ALL, drive=True, join=None, **secrets):
        return open_notebook(
            language="en", drive=self.drive if drive else None, kept=kept, secrets=secrets, join=join,
            data=self.data, checkout=self.checkout, write=self.said.append,
        )  # fmt: skip

    @property
    def asked(self):
        file = self.checkout / "asked.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def copies(self):
        return sorted(path.name for path in (self.drive / "backups").glob("*.zip"))


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def sentence(key, **values):
    return texts_for("en")(f"colab.{key}", **values)


# --- Drive ------------------------------------------------------------------------------------------------------------


def test_without_drive_everything_stays_here(machine):
    notebook = machine.open(drive=False)
    assert sentence("drive.none") in machine.said
    assert not any(path.is_symlink() for path in machine.data.iterdir())
    (machine.data / "pincel.sqlite").write_bytes(b"here")
    assert notebook.save() is False
    assert machine.asked == []


def test_drive_is_colabs_once_leave_is_given(tmp_path, monkeypatch):
    monkeypatch.delenv("COLAB_DRIVE", raising=False)
    assert drive_folder() is None
    monkeypatch.setenv("COLAB_DRIVE", str(tmp_path))
    assert drive_folder() == tmp_path / "Pincel"

    def refuse(_where):
        raise ValueError("mount failed")

    for name, module in {
        "google": types.ModuleType("google"),
        "google.colab": types.ModuleType("google.colab"),
        "google.colab.drive": types.SimpleNamespace(mount=refuse),
        "google.colab.userdata": types.SimpleNamespace(get={"DISCORD_TOKEN": "t0ken"}.__getitem__),
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    assert drive_folder() is None
    assert secrets_of({"PINCEL_OPERATORS": "5", "DISCORD_TOKEN": ""}) == {
        "DISCORD_TOKEN": "t0ken",
        "PINCEL_OPERATORS": "5",
    }


def test_folders_move_to_drive_and_come_back(machine):
    (machine.data / "outputs").mkdir(parents=True)
    (machine.data / "outputs" / "old.png").write_bytes(b"old")
    (machine.data / "models" / "loras").mkdir(parents=True)
    (machine.data / "models" / "loras" / "a").write_bytes(b"mine")
    (machine.drive / "models" / "loras").mkdir(parents=True)
    (machine.drive / "models" / "loras" / "a").write_bytes(b"other")
    machine.open()
    assert (machine.drive / "outputs" / "old.png").read_bytes() == b"old"
    assert (machine.drive / "models" / "loras" / "a").read_bytes() == b"other"
    assert (machine.data / "models-here-1" / "loras" / "a").read_bytes() == b"mine"
    assert sentence("drive.same_names", folder=machine.data / "models-here-1") in machine.said
    machine.open(kept=Kept(models=True, pictures=False, settings=True))
    assert not (machine.data / "outputs").exists()
    assert (machine.data / "models").is_symlink()


def test_settings_come_from_drive_without_secrets(machine):
    machine.open()
    file = machine.drive / "settings.env"
    assert "PINCEL_MAX_SIDE=" in file.read_text()
    assert "DISCORD_TOKEN" not in file.read_text()
    file.write_text("PINCEL_MAX_SIDE=512\nDISCORD_TOKEN=t0ken\nPINCEL_PASSWORD=\n")
    machine.open()
    assert (machine.checkout / ".env").read_text() == "PINCEL_MAX_SIDE=512\n"
    assert sentence("drive.secrets_ignored", names="DISCORD_TOKEN", file=file) in machine.said


def test_every_secret_setting_is_kept_off_drive():
    secret = [key for key, name in setting_keys().items() if isinstance(Settings.model_fields[name].default, SecretStr)]
    assert len(secret) >= 5
    assert [key for key in secret if not _SECRET.match(f"{key}=x")] == []
    assert set(secret) - set(SECRETS) == {"PINCEL_PASSWORD"}  # for the playground, which nobody can open there


def test_a_drive_that_takes_nothing_is_said(machine):
    machine.drive.rmdir()
    machine.drive.write_text("no folder")
    with pytest.raises(StoppedError, match="could not be made or linked"):
        machine.open()


# --- copies -----------------------------------------------------------------------------------------------------------


def test_after_a_disconnect_the_newest_sound_copy_goes_on(machine, tmp_path):
    notebook = machine.open()
    assert notebook.save() is False  # nothing to keep yet
    for state in (b"one", b"two"):
        (machine.data / "pincel.sqlite").write_bytes(state)
        (machine.data / "catalogue.toml").write_bytes(state)
        assert notebook.save()
    first, second = machine.copies()
    (machine.drive / "backups" / second).write_bytes(b"damaged")

    machine.begin_anew(tmp_path / "second")
    machine.open()
    assert (machine.data / "pincel.sqlite").read_bytes() == b"one"
    assert (machine.data / "catalogue.toml").read_bytes() == b"two"
    assert machine.said[-3:-1] == [sentence("copies.unsound", name=second), sentence("copies.restored", name=first)]
    # It waited minutes, so what waited is drawn; and a cell that runs twice changes nothing.
    assert machine.asked[-1] == ["restore", str(machine.drive / "backups" / first), "--keep-queue"]
    before = machine.asked
    machine.open()
    assert machine.asked == before


def test_what_waited_in_an_old_copy_is_not_drawn(machine):
    (machine.drive / "backups").mkdir()
    (machine.drive / "backups" / "pincel-backup-20200101-000000.zip").write_bytes(b"old")
    machine.open()
    assert machine.asked[0][2:] == []


def test_nothing_begins_anew_over_copies_that_cannot_be_read(machine):
    (machine.drive / "backups").mkdir()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    (machine.drive / "backups" / f"pincel-backup-{stamp}.zip").write_bytes(b"damaged")
    with pytest.raises(StoppedError, match="rename that folder"):
        machine.open()


def test_copies_on_drive_are_bounded_and_a_full_drive_is_told(machine):
    notebook = machine.open()
    (machine.data / "pincel.sqlite").write_bytes(b"x")
    (machine.drive / "backups").mkdir()
    (machine.drive / "backups" / "pincel-backup-20200101-000000.zip.part").write_bytes(b"half")
    for _ in range(KEPT + 2):
        assert notebook.save()
    assert len(machine.copies()) == KEPT
    assert not list((machine.drive / "backups").glob("*.part"))
    for path in (machine.drive / "backups").iterdir():
        path.unlink()
    (machine.drive / "backups").rmdir()
    (machine.drive / "backups").write_text("no folder")
    assert notebook.save() is False
    assert machine.said[-1].startswith("The copy of the database could not be put on Drive")


# --- models -----------------------------------------------------------------------------------------------------------


def test_links_become_entries_of_the_operators_catalogue(machine):
    notebook = machine.open()
    sha = "Ab" * 32
    page = "https://civitai.com/models/4384?modelVersionId=128713"
    notebook.models(f'{page}, lora https://example.org/a%20"b".safetensors {sha}', names="start", all_controlnet=True)
    by_page, by_hash = [entry for entry in operators_catalogue(machine.data).entries if entry.key.startswith("link-")]
    assert (by_page.kind, by_page.page, by_page.installable) == ("checkpoint", page, False)
    assert (by_hash.kind, by_hash.sha256, by_hash.installable) == ("lora", sha.lower(), True)
    assert machine.asked == [
        ["models", "verify", by_page.key, "controlnet", "annotators"],
        ["models", "install", by_page.key, by_hash.key, "start", "controlnet", "annotators", "--yes"],
    ]
    written = (machine.data / "catalogue.toml").read_text()
    notebook.models(page)
    assert (machine.data / "catalogue.toml").read_text() == written


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("http://example.org/a", "no_link"),
        ("lora", "no_link"),
        ("https://[bad/a", "no_link"),
        ("song https://example.org/a", "unknown_kind"),
        ("https://example.org/a 1234", "no_hash"),
        ("https://me:pw@example.org/a", "secret"),
        ("https://civitai.com/api/download/models/1?token=t0ken", "secret"),
    ],
)
def test_a_bad_link_is_told_and_the_others_go_on(machine, link, reason):
    machine.open().models(f"{link}, https://example.org/good")
    (bad,) = read_links(link)[1]
    assert sentence(f"links.{reason}", link=bad.shown, kinds=", ".join(KINDS)) in machine.said
    assert "t0ken" not in "".join(machine.said)
    assert "pw@" not in "".join(machine.said)
    assert len(machine.asked) == 2


def test_a_catalogue_that_cannot_be_read_is_left_alone(machine):
    notebook = machine.open()
    (machine.data / "catalogue.toml").write_text("[[model")
    notebook.models("https://example.org/a", names="start")
    assert (machine.data / "catalogue.toml").read_text() == "[[model"
    assert machine.asked == [["models", "install", "start", "--yes"]]


# --- the bot, training ------------------------------------------------------------------------------------------------


def test_a_refused_start_is_told_and_no_line_shows_the_token(machine, monkeypatch):
    monkeypatch.setenv("STUB_STATUS", "73")
    notebook = machine.open(DISCORD_TOKEN="t0ken")
    with pytest.raises(StoppedError, match="exit code 73"):
        notebook.keep()
    limit = time.monotonic() + 10
    while "token •••" not in machine.said and time.monotonic() < limit:
        time.sleep(0.02)  # the line comes from a thread
    assert "token •••" in machine.said
    assert "t0ken" not in "".join(machine.said)


def test_the_bot_is_saved_at_intervals_and_at_its_end(machine, monkeypatch):
    monkeypatch.setenv("STUB_LIVES", "1")
    monkeypatch.setattr(serving, "SAVE_EVERY_S", 0.2)
    notebook = machine.open()
    (machine.drive / "zorbs").mkdir()
    notebook._serving.start()
    assert not notebook.train("zorbs", "zorb", base="pincel-demo", epochs=1, resolution=64)
    assert machine.said[-1] == sentence("train.bot_runs")
    notebook._serving._save = Saves(until=lambda times: times == 2)
    notebook.keep()
    assert notebook._serving._save.times == 3
    assert sentence("keep.stopping") in machine.said
    assert not notebook._serving.running
    assert machine.asked == [[]]


def test_a_bot_that_fell_over_is_started_again(machine, monkeypatch):
    monkeypatch.setenv("STUB_LIVES", "2")
    monkeypatch.setattr(serving, "RESTART_AFTER_S", 0.0)
    monkeypatch.setattr(serving, "SAVE_EVERY_S", 0.2)
    notebook = machine.open()
    notebook._serving._save = Saves(until=lambda _times: len(machine.asked) == 2)
    notebook.keep()
    assert machine.asked == [[], []]
    assert sentence("keep.again", code=1, seconds=0) in machine.said


class Saves:
    """Presses the stop button once it is so."""

    def __init__(self, until):
        self.times, self.until = 0, until

    def __call__(self):
        self.times += 1
        if self.until(self.times):
            self.until = lambda _times: False
            raise KeyboardInterrupt


@pytest.mark.parametrize("given", ["pincel1-field", "pincel1-secret"])
def test_a_worker_gets_the_invite_alone_and_nobody_reads_it(machine, monkeypatch, given):
    monkeypatch.setenv("STUB_LIVES", "1")
    monkeypatch.setenv("STUB_READY", READY)
    (machine.drive / "backups").mkdir()
    (machine.drive / "backups" / "pincel-backup-20200101-000000.zip").write_bytes(b"of the bot")
    join = f" {given} " if given == "pincel1-field" else ""
    notebook = machine.open(join=join, DISCORD_TOKEN="t0ken", PINCEL_INVITE="pincel1-secret")
    notebook.models("https://example.org/a", names="start", all_controlnet=True)
    notebook.keep(0.02)
    assert sentence("join.models") in machine.said
    assert machine.asked == [["worker"]]
    assert "invite •••" in machine.said
    assert "token None" in machine.said
    assert not {"t0ken", "pincel1"} & set(re.findall(r"t0ken|pincel1", "".join(machine.said)))
    # What is the bot's on Drive stays as it is: it may be running elsewhere.
    assert (machine.data / "models").is_symlink()
    assert not (machine.data / "outputs").exists()
    assert not (machine.data / "pincel.sqlite").exists()
    assert machine.copies() == ["pincel-backup-20200101-000000.zip"]


def test_the_bot_is_not_told_of_an_invite(machine, monkeypatch):
    monkeypatch.setenv("STUB_LIVES", "1")
    machine.open(PINCEL_INVITE="pincel1-secret").keep(0.01)
    assert "invite None" in machine.said


def test_joining_without_an_invite_is_told_before_anything_is_fetched(machine):
    with pytest.raises(StoppedError, match="/workers add"):
        machine.open(join=" ")
    assert not machine.data.exists()


def test_training_goes_through_launch_py(machine):
    notebook = machine.open()
    values = {"base": "pincel-demo", "epochs": 2, "resolution": 128}
    assert not notebook.train("", "zorb", **values)
    assert not notebook.train("zorbs", "zorb", **values)
    assert machine.said[-2:] == [sentence("train.nothing"), sentence("train.no_folder", folder=machine.drive / "zorbs")]
    (machine.drive / "zorbs").mkdir()
    assert not notebook.train("zorbs", "zorb", more='--x "', **values)
    assert machine.asked == []
    assert notebook.train("zorbs", "zorb", more="--network_dim 8", **values)
    (words,) = machine.asked
    assert words[0] == "train"
    assert words[words.index("--output_dir") + 1] == str(machine.drive / "trained")
    assert words[-3:] == ["--network_dim", "8", "--publish"]


# --- what is in the tree ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_it_needs_nothing_but_python_and_our_texts(module):
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert name.split(".")[0] in sys.stdlib_module_names | {"notebooks"} or name in ("bot", "bot.i18n"), name


def test_kinds_are_the_catalogues():
    from typing import get_args

    from gpu_worker.protocol.messages import ModelKind

    assert get_args(ModelKind) == KINDS


def test_every_text_is_used():
    code = "".join(path.read_text(encoding="utf-8") for path in MODULES)
    keys = [key.removeprefix("colab.") for key in load_language("en") if key.startswith("colab.")]
    assert len(keys) > 20
    assert [key for key in keys if f'"{key}"' not in code and f'"{key.removeprefix("links.")}"' not in code] == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_stripped_and_have_the_guides_fields(notebook):
    held = json.loads(notebook.read_text(encoding="utf-8"))
    code = [cell for cell in held["cells"] if cell["cell_type"] == "code"]
    assert all((cell["outputs"], cell["execution_count"], cell["metadata"]) == ([], None, {}) for cell in code)
    assert set(held["metadata"]) == {"accelerator", "kernelspec", "language_info"}
    text = "".join(line for cell in code for line in cell["source"])
    fields = set(re.findall(r"^(\w+) = .*  # @param ", text, re.MULTILINE))
    assert fields >= {
        "guardar_imagenes_en_drive", "guardar_configuracion_en_drive", "enlaces_adicionales",
        "todos_modelos_controlnet",
    }  # fmt: skip
    assert max(len("".join(cell["source"]).splitlines()) for cell in code) <= 25
