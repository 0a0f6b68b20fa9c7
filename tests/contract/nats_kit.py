"""The kit of the NATS transport: a real broker for the session, and workers that outlive every bot, as remote ones do.

Each has an agent, kept by what a service manager would be: it starts it again when it was killed, and forks what has
imported everything, so that a new life takes no time. The process that draws is the agent's child.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from pathlib import Path

from bot.dispatch.nats.transport import NatsTimes, NatsTransport
from bot.dispatch.transport import BotTransport
from gpu_worker.protocol.nats.access import Access
from gpu_worker.protocol.nats.link import LinkTimes
from gpu_worker.protocol.nats.subjects import Subjects

CHECKOUT = Path(__file__).parents[2]
KEEPER = CHECKOUT / "tests" / "contract" / "nats_keeper.py"
ADDRESS = "PINCEL_TEST_NATS"
"""In the environment, so that a bot which a test starts finds the session's broker."""
KEEPERS = "PINCEL_TEST_KEEPERS"
"""As ADDRESS: the folder into which wishes for workers go."""

LINK_TIMES = LinkTimes(ping_s=1.0, reconnect_s=0.05, answer_s=5.0, anew_s=5.0)


def server_program() -> str | None:
    beside = Path(sys.executable).with_name("nats-server")
    return str(beside) if beside.is_file() else shutil.which("nats-server")


class Broker:
    """A nats-server on loopback that can be killed and started again where it was."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        program = server_program()
        assert program is not None
        self._program, self._folder, self._port = program, folder, -1
        folder.mkdir(parents=True, exist_ok=True)
        self._settings = folder / "nats.conf"
        self._settings.write_text(settings)
        self.start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    def start(self) -> None:
        for old in self._folder.glob("*.ports"):
            old.unlink()
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._program, "-c", str(self._settings), "-a", "127.0.0.1", "-p", str(self._port), "-js",
                    "-sd", str(self._folder / "store"), "--ports_file_dir", str(self._folder),
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError, StopIteration, IndexError):
                ports = json.loads(next(self._folder.glob("*.ports")).read_text())
                self._port = int(ports["nats"][0].rpartition(":")[2])
                return
            time.sleep(0.01)
        raise AssertionError((self._folder / "log").read_text())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def session_broker(folder: Path) -> Generator[None]:
    """Sets the environment that `NatsKit` reads."""
    broker = Broker(folder / "broker")
    wishes = folder / "wishes"
    wishes.mkdir()
    os.environ[ADDRESS], os.environ[KEEPERS] = broker.url, str(wishes)
    keepers = subprocess.Popen([sys.executable, str(KEEPER), str(wishes), str(os.getpid())], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        for process in (keepers, broker):
            process.kill()
        keepers.wait()
        del os.environ[ADDRESS], os.environ[KEEPERS]


def subjects_of(root: Path) -> Subjects:
    """Tests share a broker and never meet on it."""
    return Subjects("t" + hashlib.sha256(str(root).encode()).hexdigest()[:12])


def agent_pid_file(root: Path, worker: str) -> Path:
    return root / "keepers" / f"{worker}.pid"


def child_pid_file(root: Path, worker: str) -> Path:
    return root / "keepers" / f"{worker}.child"


def outbox_of(root: Path, worker: str) -> Path:
    """Each is a machine of its own."""
    return root / "remote" / worker


def sent(pid_file: Path, number: int) -> bool:
    """False where that process is not running just now."""
    try:
        os.kill(int(pid_file.read_text()), number)
    except (OSError, ValueError):
        return False
    return True


class NatsKit:
    outlives_bots = True
    times = NatsTimes(assign_timeout_s=1.0, redeliver_s=0.1, look_round_s=0.5, retry_s=0.1)

    def __init__(
        self,
        bot_url: Access | str | None = None,
        worker_url: str | None = None,
        link_times: LinkTimes = LINK_TIMES,
        invites: Mapping[str, str] | None = None,
    ) -> None:
        """Both by default: the session's broker. `link_times` are the bot's; `invites` what workers have instead."""
        self._bot_url, self._worker_url, self._link_times = bot_url, worker_url, link_times
        self._invites = invites or {}

    def make(self, root: Path, names: tuple[str, ...]) -> NatsTransport:
        url = self._bot_url or os.environ[ADDRESS]
        for name in names:
            self._keep(root, name, self._invites.get(name) or self._worker_url or str(url))
        return NatsTransport(
            url, root=root / "outbox", subjects=subjects_of(root), times=self.times, link_times=self._link_times
        )

    def signal(self, transport: BotTransport, worker: str, number: int) -> bool:
        """To the whole machine: its agent, and the process that draws."""
        assert isinstance(transport, NatsTransport)
        root = transport.root.parent
        reached = sent(agent_pid_file(root, worker), number)
        return sent(child_pid_file(root, worker), number) or reached

    def box(self, root: Path, worker: str) -> Path:
        return outbox_of(root, worker) / worker

    def clear(self, root: Path) -> None:
        """Ends all workers of one test."""
        for path in (root / "keepers").glob("*.keeper"):
            with contextlib.suppress(OSError, ValueError):
                os.killpg(int(path.read_text()), signal.SIGKILL)
        for path in (root / "keepers").glob("*.child"):
            sent(path, signal.SIGKILL)  # it leads a group of its own

    def _keep(self, root: Path, name: str, url: str) -> None:
        folder = root / "keepers"
        folder.mkdir(exist_ok=True)
        try:
            (folder / f"{name}.keeper").touch(exist_ok=False)
        except FileExistsError:
            return  # an earlier bot of this test began with it
        wish = Path(os.environ[KEEPERS]) / f"{subjects_of(root).prefix}-{name}.part"
        wish.write_text(json.dumps({"root": str(root), "name": name, "url": url}))
        wish.replace(wish.with_suffix(".json"))
