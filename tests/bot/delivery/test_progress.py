"""The one editor of cards that still change: what it shows, how often, and what it leaves alone."""

import asyncio
import time

import pytest

from bot.delivery.extras import waiting_card
from bot.delivery.machine import MachineState
from bot.delivery.progress import BY_BOT_EVERY_S, RUNNING_EVERY_S, CardEditor, _pace_s, _Watched
from bot.delivery.progress_state import ProgressState
from bot.dispatch.dispatcher import Standing
from bot.domain.job import JobStatus, TokenGrant
from gpu_worker.protocol.messages import Progress


class OneJob:
    def __init__(self, job):
        self.job = job

    async def get(self, _):
        return self.job


class Posts:
    """A poster that takes note; `stuck` never ends, as in a rate limit."""

    def __init__(self, *, lives=True, only=False, stuck=False):
        self.cards, self.lives, self.only, self.stuck = [], lives, only, stuck

    def token_lives(self, _):
        return self.lives

    def only_by_token(self, _):
        return self.only

    async def post(self, job, card, *, only_edit):
        assert only_edit
        self.cards.append(card)
        if self.stuck:
            await asyncio.Event().wait()


async def edited(editor, job):
    """One edit of a running card."""
    editor.watch(job.id)
    editor.progressed(Progress(job=job.id, attempt=1, n=1, phase="sampling", step=1, of=4, preview=b"jpeg"))
    watched = editor._watched[job.id]
    await editor._edit(job.id, watched)
    return watched


@pytest.fixture
def running(make_job):
    return make_job(status=JobStatus.ASSIGNED, message_id=5)


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_preview_is_shown_to_whoever_wants_one(running, wanted):
    posts = Posts()
    await edited(CardEditor(jobs=OneJob(running), poster=posts, wants_previews=lambda _: wanted), running)
    (card,) = posts.cards
    assert bool(card.files()) is wanted
    assert ("preview.webp" in str(card.view.to_components())) is wanted


async def test_a_card_that_no_token_reaches_any_more_is_left_alone(running):
    posts = Posts(lives=False, only=True)
    await edited(CardEditor(jobs=OneJob(running), poster=posts), running)
    assert posts.cards == []


async def test_edits_by_the_bots_own_token_are_rarer(running):
    watched = await edited(CardEditor(jobs=OneJob(running), poster=Posts()), running)
    assert _pace_s(watched) == RUNNING_EVERY_S
    watched = await edited(CardEditor(jobs=OneJob(running), poster=Posts(lives=False)), running)
    assert _pace_s(watched) == BY_BOT_EVERY_S


async def test_a_result_does_not_wait_for_an_edit_that_waits_for_its_turn(running, monkeypatch):
    monkeypatch.setattr("bot.delivery.progress.LATE_EDIT_S", 0.01)
    posts = Posts(stuck=True)
    editor = CardEditor(jobs=OneJob(running), poster=posts)
    watched = editor._watched[running.id] = _Watched(state=ProgressState(phase="sampling", step=1, of=4))
    watched.task = asyncio.create_task(editor._edit(running.id, watched))
    while not posts.cards:
        await asyncio.sleep(0)
    await asyncio.wait_for(editor.close(running.id), 60)
    assert watched.task.cancelled()


@pytest.mark.parametrize(("private", "sentence"), [(True, "direct message"), (False, "no member here")])
def test_who_would_lose_sight_of_the_card_is_told_before(make_job, private, sentence):
    job = make_job(private=private, grant=TokenGrant("t", time.time() + 60))

    def text(eta_s, *, only):
        standing = Standing(position=3, waiting=9, eta_s=eta_s)
        return str(waiting_card(job, standing, MachineState.READY, only_by_token=only).to_components())

    assert sentence in text(600, only=True)
    assert sentence not in text(30, only=True)
    assert sentence not in text(600, only=False)
