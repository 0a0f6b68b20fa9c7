"""A real worker process on real pipes, with the bot's ends in the hand of the test."""

import os
import subprocess
import sys
import time
from pathlib import Path

from setting import DEMO, PICTURES

from gpu_worker.protocol import messages as m
from gpu_worker.protocol.frames import Unframer, frame

ROOT = Path(__file__).parents[3]
PATIENCE_S = 120


class WorkerProcess:
    def __init__(self, data, *more):
        inputs = data / "outbox" / "inputs"
        inputs.mkdir(parents=True, exist_ok=True)
        for name, picture in PICTURES.items():
            (inputs / name).write_bytes(picture)
        self.box = data / "outbox" / "w1"
        self.said = []
        self._unframer = Unframer()
        command = [sys.executable, "-m", "gpu_worker", "--data", str(data), "--demo", str(DEMO), "--device", "cpu"]
        self.process = subprocess.Popen([*command, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
                                        env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
        self.say(m.Welcome(hb_s=0.5))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def say(self, *messages):
        for message in messages:
            self.process.stdin.write(frame(message))
        self.process.stdin.flush()

    def until(self, condition):
        """The first message, from now on, that is as wanted."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, "the worker has ended"
            found = None
            for raw in self._unframer.feed(data):
                message = m.parse_to_bot(raw)
                self.said.append(message)
                found = found or (message if condition(message) else None)
            if found is not None:
                return found
        raise AssertionError("waited in vain")

    def end(self, job, attempt):
        """How the attempt ended; its entry is taken from the outbox, as a bot does."""
        kinds = m.Done | m.Failed | m.Cancelled | m.Paused
        end = next(
            (one for one in self.said if isinstance(one, kinds) and one.job == job and one.attempt == attempt), None
        )
        end = end or self.until(lambda one: isinstance(one, kinds) and (one.job, one.attempt) == (job, attempt))
        (self.box / f"{job}.{attempt}.fin").unlink()
        return end

    def step(self, job, attempt, least):
        def wanted(one):
            if getattr(one, "job", None) != job or one.attempt != attempt:
                return False
            assert not isinstance(one, m.Failed), one
            return isinstance(one, m.Progress) and one.phase == "training" and one.step >= least

        return self.until(wanted)

    def last_saved(self, job):
        return [one for one in self.said if isinstance(one, m.Partial) and one.job == job][-1]

    def kill(self):
        """As a crash does: no word, no time."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
