"""Models made from models, through the playground: by the worker, into the library, whatever is killed meanwhile."""

import asyncio
import json
import sys
import time
from pathlib import Path

import pytest
from safetensors import safe_open

sys.path.append(str(Path(__file__).parents[1] / "fidelity"))

from make_checkpoint import write_checkpoint

from tests.e2e.model_files import listed
from tests.e2e.visitor import finished

LONG_BYTES = 3 << 29
PATIENCE_S = 240


def long_checkpoint(path):
    """A small checkpoint beside gigabytes of zeros, which take no room until they are written out."""
    write_checkpoint(path, "sd15-small")
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    end = len(data) - 8 - length
    for number in range(24):
        size = LONG_BYTES // 24
        header[f"model.filler.{number}"] = {
            "dtype": "F32", "shape": [size // 4], "data_offsets": [end, end + size],
        }  # fmt: skip
        end += size
    raw = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw + data[8 + length :])
        file.truncate(8 + len(raw) + end)


@pytest.fixture
def smithy(own_product):
    product = own_product()
    folder = product.data / "models" / "checkpoints"
    folder.mkdir(parents=True)
    for name, seed in (("red", 0), ("blue", 1)):
        write_checkpoint(folder / f"{name}.safetensors", "sd15-small", seed=seed)
    long_checkpoint(folder / "long.safetensors")
    return listed(product.start(), 3)


def checkpoints(product):
    return sorted(path.name for path in (product.data / "models" / "checkpoints").iterdir())


def leftovers(product):
    return [path for path in (product.data / "outbox").rglob("*") if ".safetensors" in path.name]


async def writing(person, product, card):
    """Until a good part of the file is there."""
    await person.shown("general", card, lambda m: "Writing" in m.text, PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while not any(path.stat().st_size > 20_000_000 for path in leftovers(product)):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


@pytest.mark.timeout(900)
async def test_merge_with_a_picture_then_killed_then_cancelled(smithy):
    async with smithy.person("Admin") as admin:
        await admin.set_locale("en-US")
        answer = await admin.slash("general", "model-admin merge", {
            "first": "red", "second": "blue", "multiplier": 0.5, "name": "violet",
            "preview": "a violet apple --steps 2 --size 64x64",
        })  # fmt: skip
        card = await admin.shown("general", admin.started(answer), lambda m: "is in the library" in m.text, PATIENCE_S)
        assert "red + blue → violet" in card.text
        assert card.labels == ()
        with safe_open(smithy.data / "models" / "checkpoints" / "violet.safetensors", "pt") as file:
            assert json.loads(file.metadata()["sd_merge_recipe"])["multiplier"] == 0.5
        picture = await admin.wait_for_message(
            "general", lambda m: "a violet apple" in m.text and finished(m), PATIENCE_S
        )
        assert admin.spec(picture)["checkpoint"] == "violet"
        assert admin.job(picture)["parent_id"] == admin.job(card)["id"]
        assert not leftovers(smithy)

        answer = await admin.slash("general", "model-admin convert", {"model": "long", "name": "short"})
        running = admin.started(answer)
        await writing(admin, smithy, running)
        # Whoever draws meanwhile is answered.
        begun = await admin.begin(prompt="while it works", steps=1, count=1)
        assert "Queued" in (await admin.shown("general", begun, lambda m: True, 5)).text
        smithy.kill()
    assert "short.safetensors" not in checkpoints(smithy)

    smithy.start()
    async with smithy.person("Admin") as admin:
        await admin.shown("general", running, lambda m: "is in the library" in m.text, PATIENCE_S)
        assert checkpoints(smithy).count("short.safetensors") == 1
        assert not [name for name in checkpoints(smithy) if name.startswith("short (")]
        assert (smithy.data / "models" / "checkpoints" / "short.safetensors").stat().st_size > LONG_BYTES / 2
        assert finished(await admin.shown("general", begun))
        assert not leftovers(smithy)
        (smithy.data / "models" / "checkpoints" / "short.safetensors").unlink()

        answer = await admin.slash("general", "model-admin convert", {"model": "long", "name": "never"})
        cancelled = admin.started(answer)
        await writing(admin, smithy, cancelled)
        await admin.click(await admin.shown("general", cancelled, lambda m: "Writing" in m.text), "Cancel")
        card = await admin.shown("general", cancelled, lambda m: "No file was made" in m.text, 60)
        assert card.labels == ("Try again", "Delete")
        assert not leftovers(smithy)
        assert "never.safetensors" not in checkpoints(smithy)

        answer = await admin.slash("general", "model-admin convert", {"model": "red", "weights": "ema-only"})
        card = await admin.shown("general", admin.started(answer), lambda m: "did not work" in m.text, 60)
        assert "has no EMA weights" in card.text
