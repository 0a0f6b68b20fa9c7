"""Who may have files made from which, asked for by a command or by Retry."""

from types import SimpleNamespace

import pytest

from bot.domain.ids import ChannelId, GuildId, JobId, UserId
from bot.domain.job import Action, Job, JobStatus, Lane, MadeModel
from bot.domain.limits import Limits
from bot.domain.model_rules import EVERYWHERE, Rule, Scope
from bot.domain.stewards import Steward
from bot.errors import UserFacingError
from bot.storage.database import open_database
from bot.storage.model_audit import ModelAudit, ModelTest
from bot.storage.model_rules import ModelRules
from bot.studio.conversions import Conversions
from bot.studio.model_admin.files import ModelFiles
from bot.studio.model_admin.makings import Makings
from bot.studio.model_admin.retries import Retries
from bot.studio.models import Models
from bot.studio.stewards import Stewards
from bot.ui.codec import Address, Verb
from gpu_worker.protocol.specs import BakedLora, BakeSpec, ConvertSpec, MergeSpec, Txt2Img
from tests.bot.studio.library_files import model_file

GUILD, OTHER = 10, 20
ADMIN, OPERATOR = Steward(1, GUILD, operator=False), Steward(2, GUILD, operator=True)
FILES = (
    model_file("base", "checkpoint", id="base"),
    model_file("off", "checkpoint", id="off"),
    model_file("theirs", "checkpoint", id="theirs", added_in=OTHER),
    model_file("ours", "checkpoint", id="ours", added_in=GUILD, size_bytes=500),
    model_file("ink", "lora", id="ink"),
    model_file("their ink", "lora", id="their ink", added_in=OTHER, alias="ti"),
    model_file("their vae", "vae", id="their vae", added_in=OTHER),
)


def interaction(user=1, manages=True, guild=GUILD):
    return SimpleNamespace(
        user=SimpleNamespace(id=user), guild_id=guild, channel_id=11, channel=None,
        permissions=SimpleNamespace(manage_guild=manages),
    )  # fmt: skip


class Room:
    full = False

    def made_bytes(self, spec):
        return 1

    async def require(self, steward, size_bytes=0):
        if self.full and not steward.operator:
            raise UserFacingError("quota_full", used="1", quota="1")


@pytest.fixture
async def rig(tmp_path):
    """What arrives at the intake is in `begun`, and what is tested in `drawn`."""
    database = await open_database(tmp_path / "pincel.sqlite")
    rules = ModelRules(database)
    await rules.load()
    await rules.put(Rule(EVERYWHERE, Scope.SERVER, EVERYWHERE, "off", enabled=False))
    found = SimpleNamespace(begun=[], drawn=[], jobs={}, room=Room(), audit=ModelAudit(database), rules=rules)

    async def begin(_, spec, action, **more):
        found.begun.append((spec, action))
        return JobId("new")

    async def draw(_, file, steward):
        found.drawn.append((file.name, steward))

    async def job(id_):
        return found.jobs.get(id_)

    def named(kind, name):
        return next((file for file in FILES if file.kind == kind and name in (file.name, file.alias)), None)

    library = SimpleNamespace(files=lambda: FILES, find=named, get=lambda id_: named("checkpoint", id_))
    found.refusal, found.posted = None, []

    async def begin_by_reaction(**_):
        if found.refusal is not None:
            raise found.refusal

    async def post(job, card, *, nonce):
        found.posted.append((nonce, str(card.view.to_components())))

    intake = SimpleNamespace(begin=begin, begin_by_reaction=begin_by_reaction)
    jobs = SimpleNamespace(get=job)
    models = Models(SimpleNamespace(models=lambda: ()), library=library, rules=rules)
    conversions = Conversions(
        intake=intake, jobs=jobs, library=library, models=models, room=found.room, limits=Limits(),
        poster=SimpleNamespace(post=post),
    )  # fmt: skip
    found.conversions = conversions
    found.makings = Makings(conversions, ModelFiles(library, rules, found.audit))
    found.retries = Retries(
        jobs=jobs, intake=intake, library=library, audit=found.audit, stewards=Stewards([2], playground=False),
        makings=found.makings, trials=SimpleNamespace(draw=draw),
    )  # fmt: skip
    yield found
    await database.close()


def baked(*loras):
    return tuple(BakedLora(name=name) for name in loras)


@pytest.mark.parametrize(
    "spec",
    [
        ConvertSpec(output="x", model="off"),
        ConvertSpec(output="x", model="theirs"),
        ConvertSpec(output="x", model="base", vae="their vae"),
        MergeSpec(output="x", first="base", second="theirs"),
        MergeSpec(output="x", method="add difference", first="base", second="ours", third="off"),
        BakeSpec(output="x", checkpoint="theirs", loras=baked("ink")),
        BakeSpec(output="x", checkpoint="base", loras=baked("ink", "ti")),
    ],
)
async def test_only_an_operator_makes_files_from_what_is_not_enabled_here(rig, spec):
    with pytest.raises(UserFacingError, match="model_disabled"):
        await rig.makings.begin(interaction(), spec, ADMIN)
    assert not rig.begun
    await rig.makings.begin(interaction(2), spec, OPERATOR)
    assert len(rig.begun) == 1


async def test_what_is_enabled_here_can_be_made_from(rig):
    await rig.rules.put(Rule(GUILD, Scope.CHANNEL, 11, "theirs", enabled=True))
    await rig.makings.begin(interaction(), MergeSpec(output="x", first="ours", second="theirs"), ADMIN)
    ((spec, action),) = rig.begun
    assert (spec.owner, action) == (GUILD, Action.MERGE)
    assert [entry.action for entry in (await rig.audit.page(GUILD, 0, 9))[0]] == ["merge"]


# --- the picture of what was made -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locale", "refusal", "said"),
    [
        ("en-US", None, None),
        ("en-US", UserFacingError("queue_full", n=5), "is not drawn: You already have 5"),
        ("es-ES", UserFacingError("queue_full", n=5), "no se dibuja: Ya tienes 5"),
    ],
)
async def test_a_picture_that_is_refused_is_told_on_the_card_of_what_was_made(rig, locale, refusal, said):
    preview = Txt2Img(prompt="p", width=64, height=64, seed=1, checkpoint="base")
    spec = MergeSpec(output="x", first="base", second="ours", preview=preview)
    rig.jobs["j"] = Job(
        JobId("j"), Action.MERGE, UserId(1), GuildId(GUILD), ChannelId(2), locale, Lane.BATCH, spec,
        JobStatus.DELIVERING, 1.0, 1, 0, None, 0.0, result=MadeModel("i", "checkpoint", "x", 5, "fp16"),
    )  # fmt: skip
    rig.refusal = refusal
    await rig.conversions.follow(JobId("j"))
    assert len(rig.posted) == (said is not None)
    for nonce, text in rig.posted:
        assert nonce == "jn"
        assert said in text


# --- once more --------------------------------------------------------------------------------------------------------


async def retried(rig, given, **job):
    rig.jobs["j"] = SimpleNamespace(id="j", user_id=1, **({"files": None, "action": Action.CONVERT} | job))
    await rig.retries.pressed(given, Address(Verb.RETRY, "j"))


async def test_retry_of_files_asks_what_the_command_asks(rig):
    spec = ConvertSpec(output="x", model="ours", owner=OTHER, size_bytes=1)
    with pytest.raises(UserFacingError, match="admins_only"):
        await retried(rig, interaction(manages=False), files=spec)
    with pytest.raises(UserFacingError, match="model_disabled"):
        await retried(rig, interaction(), files=spec.model_copy(update={"model": "theirs"}))
    rig.room.full = True
    with pytest.raises(UserFacingError, match="quota_full"):
        await retried(rig, interaction(), files=spec)
    rig.room.full = False
    await retried(rig, interaction(user=3), files=spec)
    ((again, _),) = rig.begun
    assert (again.owner, again.size_bytes) == (GUILD, 500)


async def test_retry_of_a_test_is_a_test_of_the_file_as_it_is_called_now(rig):
    await rig.audit.add_test(ModelTest("j", "old id", GUILD))
    with pytest.raises(UserFacingError, match="admins_only"):
        await retried(rig, interaction(manages=False), action=Action.TEST)
    with pytest.raises(UserFacingError, match="model_gone"):
        await retried(rig, interaction(), action=Action.TEST)
    await rig.rules.renamed("old id", "off", "checkpoint", "old", "off")
    await retried(rig, interaction(), action=Action.TEST)
    assert rig.drawn == [("off", ADMIN)]


async def test_anybody_retries_a_picture(rig):
    await retried(rig, interaction(manages=False), action=Action.IMAGINE, task="spec", source_image_id=None)
    assert rig.begun == [("spec", Action.IMAGINE)]
