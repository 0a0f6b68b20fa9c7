"""Keeps agents of remote workers running, each started again when it dies: nats_keeper.py FOLDER SESSION_PID.

One process for a session of tests, which has imported everything and forks a keeper for each file in FOLDER, as the kit
puts them there. All of it ends with the session.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests.contract.stub_agent import serve  # noqa: E402


def keep(root: Path, name: str, url: str, session: int) -> None:
    os.setsid()
    log = os.open(root / "keepers" / f"{name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    (root / "keepers" / f"{name}.keeper").write_text(str(os.getpid()))
    while True:
        child = _forked(lambda: serve(root, name, url))
        (root / "keepers" / f"{name}.pid").write_text(str(child))
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.02)
            if not _lives(session) or not root.exists():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, 9)
                return


def main(folder: Path, session: int) -> None:
    while _lives(session):
        for wanted in folder.glob("*.json"):
            told = json.loads(wanted.read_text())
            wanted.unlink()
            _forked(lambda told=told: keep(Path(told["root"]), told["name"], told["url"], session))
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        time.sleep(0.01)


def _forked(work) -> int:
    child = os.fork()
    if not child:
        code = 1
        try:
            code = work() or 0
        finally:
            os._exit(code)
    return child


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
