"""Cards of downloads: settled once, never stuck behind one attachment, and told whatever Discord refuses."""

import asyncio
import errno
from types import SimpleNamespace

import discord
import pytest

from bot.domain.stewards import Steward
from bot.downloads import Download, DownloadWish
from bot.errors import UserFacingError
from bot.storage import download_cards
from bot.storage.download_cards import DownloadCard
from bot.studio.model_admin import board as module
from bot.studio.model_admin.board import Addition
from bot.ui.codec import Address, Verb
from tests.bot.studio.admin_rig import GUILD, Talk, until

OPERATOR = Steward(1, GUILD, operator=True)


class Channel:
    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []

    async def send(self, *, view, nonce):
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.sent.append(view)


def refusal(status):
    return discord.HTTPException(SimpleNamespace(status=status, reason="no"), {"code": 0, "message": "no"})


class Known:
    """The downloads as they stand."""

    def __init__(self, *found):
        self.found = {download.id: download for download in found}
        self.listener = None

    def subscribe(self, listener):
        self.listener = listener

    async def get(self, id_):
        return self.found.get(id_)

    async def add(self, wish):
        self.found["d9"] = Download("d9", wish, "waiting")
        return self.found["d9"]

    async def add_file(self, path, wish):
        self.bytes = path.read_bytes()
        path.unlink()
        return await self.add(wish)


@pytest.fixture
async def told(rig, monkeypatch):
    """A finished download on a card whose channel was not told yet."""
    monkeypatch.setattr(module, "EDIT_EVERY_S", 0.02)
    monkeypatch.setattr(module, "RETRY_S", 0.02)
    rig.channel, rig.direct = Channel(), Channel()

    async def fetch_user(_):
        return rig.direct

    rig.client = SimpleNamespace(get_partial_messageable=lambda *_, **__: rig.channel, fetch_user=fetch_user)
    rig.downloads = Known()
    await rig.start()
    done = Download("d1", DownloadWish("x"), "done", file_ids=(rig.lora().id,))
    rig.downloads.found["d1"] = done
    card = DownloadCard(GUILD, 7, 1, 0, "en-US", downloads=("d1",))
    rig.card_id = await rig.cards.add(card)
    yield rig
    await rig.board.stop()


async def over(rig):
    async with asyncio.timeout(60):
        while not (await rig.cards.get(rig.card_id)).told:
            await asyncio.sleep(0.01)


async def test_a_crash_before_the_log_is_written_leaves_it_to_the_next_life(told, monkeypatch):
    async def killed(*_):
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(download_cards, "write_entry", killed)
        with pytest.raises(asyncio.CancelledError):
            await told.board._renew(told.card_id)
    await told.board.start()
    await over(told)
    entries, _ = await told.audit.page(None, 0, 12)
    assert [(entry.action, entry.name) for entry in entries] == [("add", "ink 0")]


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_what_a_channel_refuses_goes_to_its_asker(told, status):
    told.channel.answers = [refusal(status)]
    await told.board.start()
    await over(told)
    assert len(told.direct.sent) == 1


async def test_what_everybody_refuses_is_given_up_and_trouble_is_not(told):
    told.channel.answers = [refusal(503), refusal(400)]
    told.direct.answers = [refusal(400)]
    await told.board.start()
    await over(told)
    assert told.channel.answers == told.direct.answers == told.direct.sent == []


async def test_a_storage_error_does_not_end_the_follower(told, monkeypatch):
    real, tries = told.cards.card_of, []

    async def fails_once(id_):
        tries.append(id_)
        if len(tries) == 1:
            raise OSError(errno.EIO, "disk")
        return await real(id_)

    monkeypatch.setattr(told.cards, "card_of", fails_once)
    await told.board.start()
    await over(told)
    assert tries == ["d1", "d1"]


async def test_a_slow_attachment_keeps_no_other_card_waiting(told):
    go = asyncio.Event()

    async def save(_, path):
        assert path.is_relative_to(told.data)
        path.write_bytes(b"model")
        await go.wait()

    told.board._attachments = SimpleNamespace(save=save)
    attachment = SimpleNamespace(size=5, filename="a.safetensors")
    addition = Addition(attachment=attachment, attached=DownloadWish("a.safetensors"))
    await told.board.start()
    await over(told)
    adding = asyncio.create_task(told.board.add(talk := Talk(), OPERATOR, addition))
    await until(lambda: (told.data / "attached").is_dir() and list((told.data / "attached").rglob("attachment")))
    other = Download("d2", DownloadWish("y"), "done")
    told.downloads.found["d2"] = other
    told.card_id = await told.cards.add(DownloadCard(GUILD, 7, 1, 0, "en-US", downloads=("d2",)))
    told.downloads.listener(other)
    await over(told)
    go.set()
    await adding
    assert (told.downloads.bytes, talk.log) == (b"model", ["defer", "edit"])
    assert list((told.data / "attached").iterdir()) == []


@pytest.mark.parametrize(
    ("code", "size", "key"),
    [
        (errno.ENOSPC, 5, "download_disk_full"), (errno.EIO, 5, "download_disk"), (0, 1 << 60, "download_no_room"),
    ],
)  # fmt: skip
async def test_a_disk_that_takes_no_attachment_is_told(told, code, size, key):
    async def save(*_):
        raise OSError(code, "disk")

    told.board._attachments = SimpleNamespace(save=save)
    attachment = SimpleNamespace(size=size, filename="a.safetensors")
    with pytest.raises(UserFacingError, match=key):
        await told.board.add(Talk(), OPERATOR, Addition(attachment=attachment, attached=DownloadWish("a")))


async def test_stopping_a_download_is_answered_before_what_was_fetched_is_deleted(told):
    talk = Talk()

    async def cancel(_):
        assert talk.log == ["defer"]
        return True

    told.downloads.cancel = cancel
    await told.board.pressed(talk, Address(Verb.DOWNLOAD_CANCEL, "d1"))
    assert talk.log == ["defer", "send"]


@pytest.mark.parametrize(("user", "id_", "key"), [(3, "d1", "not_your_download"), (1, "d7", "download_gone")])
async def test_a_download_of_others_or_of_long_ago_is_not_stopped(told, user, id_, key):
    talk = Talk(user)
    with pytest.raises(UserFacingError, match=key):
        await told.board.pressed(talk, Address(Verb.DOWNLOAD_CANCEL, id_))
    assert talk.log == []
