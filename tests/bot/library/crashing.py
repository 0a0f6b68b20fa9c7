"""Kills itself with signal 9 before each of its steps in turn, and says what the next start finds.

    python crashing.py FOLDER [CHANGE …]

One fork sets a library up, one changes it and dies before its n-th step (of those on disk and in the database), one
looks at what is left and repeats the change. One line of JSON for each: the change, n, what was found, and what there
is after the repetition.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path

from bot.errors import UserFacingError
from bot.library import Arrival, Library
from bot.library.scanner import Scanner
from bot.storage.database import open_database
from bot.storage.library import LibraryStore
from tests.gpu_worker.language.test_models import KOHYA, VAE, write

STORE = ("put_record", "drop_record", "put_trash", "drop_trash", "put_files", "drop_files", "rename_usage")
STEPS_MAX = 60


async def opened(data):
    database = await open_database(data / "pincel.sqlite")
    library = Library(database, models_dir=data / "models", demo_dir=data / "none")
    await library.load()
    return database, library


async def adopt(library, data):
    arrival = Arrival(data / "new.part", "lora", "New.safetensors", "https://x.test/2", added_by=7, added_in=9)
    return await library.adopt(arrival)


async def rename(library, data):
    await library.rename(library.find("lora", "Old").id, "New")


async def remove(library, data):
    await library.remove(library.find("lora", "Old").id)


async def restore(library, data):
    await library.restore((data / "undo").read_text())


async def scan(library, data):
    await library.refresh()


CHANGES = {"adopt": adopt, "rename": rename, "remove": remove, "restore": restore, "scan": scan}


async def set_up(data, name):
    database, library = await opened(data)
    write(data / "old.part", KOHYA)
    old = await library.adopt(Arrival(data / "old.part", "lora", "Old", "https://x.test/1", added_by=7, added_in=9))
    old.path.with_suffix(".preview.png").write_bytes(b"picture")
    await library.annotate(old.id, note="mine")
    await library.refresh()
    write(data / "new.part", KOHYA)
    if name == "restore":
        (data / "undo").write_text(await library.remove(old.id))
    for number in range(250 if name == "scan" else 0):
        write(data / "models" / "vae" / f"{number}.safetensors", VAE)
    await database.close()


async def change(data, name, at):
    database, library = await opened(data)
    count_down(at)
    await CHANGES[name](library, data)
    await database.close()


def count_down(steps):
    left = [steps]

    def counted(work):
        def step(*arguments, **options):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*arguments, **options)

        return step

    for owner, names in ((LibraryStore, STORE), (Path, ("rename", "replace", "unlink")), (shutil, ("copy2", "rmtree"))):
        for name in names:
            setattr(owner, name, counted(getattr(owner, name)))
    os.link = counted(os.link)


async def look(data, name):
    read = []
    real = Scanner._entry
    Scanner._entry = lambda self, listed, *rest: read.append(listed.path.name) or real(self, listed, *rest)
    database, library = await opened(data)
    await library._editing.mend()
    await library.refresh()
    found = state(library, data)
    with contextlib.suppress(UserFacingError, AttributeError):  # it had happened already
        await CHANGES[name](library, data)
    await library.refresh()
    print(json.dumps({"found": found, "read": len(read), "then": state(library, data)}))
    await database.close()


def state(library, data):
    return {
        "models": [[f.name, f.added_by, f.note, f.source, f.problem] for f in library.files("lora")],
        "others": len(library.files("vae")),
        "preview": [f.preview is not None for f in library.files("lora") if f.note],
        "disk": sorted(path.name for path in (data / "models" / "loras").rglob("*")),
        "trash": sorted(path.name for path in (data / "trash").rglob("*") if path.is_file()),
    }


def forked(work):
    """Its exit status, and what it printed."""
    sys.stdout.flush()
    read, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(write_end, 1)
        status = 1
        try:
            asyncio.run(work)
            sys.stdout.flush()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    work.close()
    os.close(write_end)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    return os.waitpid(child, 0)[1], text


def main():
    root = Path(sys.argv[1])
    for name in sys.argv[2:] or CHANGES:
        for at in range(1, STEPS_MAX):
            data = root / f"{name}-{at}"
            assert forked(set_up(data, name))[0] == 0
            status, _ = forked(change(data, name, at))
            looked, text = forked(look(data, name))
            print(
                json.dumps({"change": name, "at": at, "status": status, "looked": looked, **json.loads(text or "{}")})
            )
            shutil.rmtree(data)
            if status == 0:
                break


if __name__ == "__main__":
    main()
