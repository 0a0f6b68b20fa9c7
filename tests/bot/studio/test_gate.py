"""Disabled models: out of the lists, refused by name, refused on old records; what is drawn with is counted."""

from types import SimpleNamespace

import pytest

from bot.domain.model_rules import Rule, Scope, Where
from bot.domain.models import find_lora, names_of
from bot.errors import UserFacingError
from bot.storage.database import open_database
from bot.storage.model_rules import ModelRules
from bot.storage.training_results import SavedName
from bot.studio.gate import ModelGate
from bot.studio.models import Models
from bot.studio.unpublished import Unpublished
from gpu_worker.protocol.messages import ModelFact
from gpu_worker.protocol.specs import Txt2Img
from tests.bot.studio.library_files import model_file

GUILD = 10
HERE = Where(GUILD, 11, frozenset(), 1)
FACTS = tuple(
    ModelFact(kind=kind, name=name)
    for kind, name in (("checkpoint", "base"), ("lora", "ink"), ("lora", "theirs"), ("embedding", "easy"))
)
SPEC = Txt2Img(prompt="a <lora:ink:1>", checkpoint="base", width=512, height=512, seed=1)


@pytest.fixture
async def rules(tmp_path):
    database = await open_database(tmp_path / "pincel.sqlite")
    found = ModelRules(database)
    await found.load()
    yield found
    await database.close()


class Library:
    def __init__(self):
        self.counted = []
        self.broken = False

    def files(self):
        owners = {"theirs": 20}
        return tuple(model_file(fact.name, fact.kind, id=fact.name, added_in=owners.get(fact.name)) for fact in FACTS)

    def facts(self):
        return FACTS

    async def used(self, names, user_id):
        if self.broken:
            raise OSError
        self.counted.append((list(names), user_id))


def models_of(rules, library):
    return Models(SimpleNamespace(models=lambda: FACTS), library=library, rules=rules)


async def test_another_servers_files_and_disabled_ones(rules):
    models = models_of(rules, Library())
    assert names_of("lora", models.facts(HERE)) == ["ink"]
    assert names_of("lora", models.facts()) == ["ink", "theirs"]
    await rules.put(Rule(GUILD, Scope.SERVER, GUILD, "ink", enabled=False))
    facts = models.facts(HERE)
    assert names_of("lora", facts) == []
    with pytest.raises(UserFacingError, match="model_disabled"):
        find_lora("ink", facts)
    assert names_of("lora", models.facts(Where(None, 5))) == ["ink"]


async def test_old_records_are_looked_at_again(rules):
    gate = ModelGate(models_of(rules, Library()), Library())
    gate.require(SPEC, HERE)
    await rules.put(Rule(GUILD, Scope.CHANNEL, 11, "ink", enabled=False))
    with pytest.raises(UserFacingError, match="model_disabled"):
        gate.require(SPEC, HERE)
    gate.require(SPEC, Where(GUILD, 12))
    gate.require(SPEC, HERE, {("lora", "ink")})  # an admin tests it
    await rules.put(Rule(GUILD, Scope.CHANNEL, 11, "easy", enabled=False))
    with pytest.raises(UserFacingError, match="model_disabled"):
        gate.require(SPEC.model_copy(update={"negative_prompt": "(easy:1.2)"}), HERE, {("lora", "ink")})


async def test_use_is_counted_and_never_in_the_way(rules, caplog):
    library = Library()
    gate = ModelGate(models_of(rules, library), library)
    await gate.used(SPEC, 5)
    assert library.counted == [([("checkpoint", "base"), ("lora", "ink")], 5)]
    library.broken = True
    await gate.used(SPEC, 5)
    assert "could not be counted" in caplog.text


async def test_what_somebody_trains_is_there_for_them_alone(tmp_path, rules):
    """For others it is as if there was no such thing, whichever of its names they say."""
    saved = [SavedName("zorb-000002", "job1", 5, "base"), SavedName("ink", "job1", 5, "base")]

    class Results:
        async def names(self):
            return saved

    unpublished = Unpublished(Results(), operators={9})
    await unpublished.load()
    told = ModelFact(kind="lora", name="zorb-000002", alias="zorb", trained_in="job1")
    old = ModelFact(kind="lora", name="gone", trained_in="job0")
    models = Models(
        SimpleNamespace(models=lambda: (*FACTS, told, old)), library=Library(), rules=rules, unpublished=unpublished
    )
    gate = ModelGate(models, Library())
    owner, operator, other = (Where(20, 11, user_id=user) for user in (5, 9, 1))
    assert names_of("lora", models.facts(owner)) == ["ink", "theirs", "zorb-000002"]  # the library's `ink` stands
    assert find_lora("zorb", models.facts(operator)) is told
    assert names_of("lora", models.facts(other)) == ["ink", "theirs"]
    for name in ("zorb-000002", "zorb"):
        spec = SPEC.model_copy(update={"prompt": f"a <lora:{name}:1>"})
        gate.require(spec, owner)
        with pytest.raises(UserFacingError) as refused:
            gate.require(spec, other)
        assert refused.value.key == "lora_unknown"
        assert "zorb" not in refused.value.values["closest"]
    saved.clear()
    await unpublished.load()
    assert names_of("lora", models.facts(owner)) == ["ink", "theirs"]
