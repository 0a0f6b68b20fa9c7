"""Saved epochs that nobody has published: whose they are, and what else is called like them."""

from bot.domain.ids import JobId, UserId
from bot.storage.training_results import SavedName
from bot.studio.unpublished import Unpublished
from gpu_worker.protocol.messages import ModelFact


class Results:
    async def names(self):
        return [SavedName("zorb", JobId("job"), UserId(1), "base")]


async def test_a_second_name_leads_nobody_to_what_somebody_else_has_trained():
    """What is published under another name still has that of its training in its metadata."""
    unpublished = Unpublished(Results(), operators=[9])
    await unpublished.load()
    published = ModelFact(kind="lora", name="Round ones", alias="zorb")
    trained = ModelFact(kind="lora", name="zorb", trained_in="job")
    for viewer in (1, 9):
        assert unpublished.seen((published, trained), viewer) == (published, trained)
        assert unpublished.hidden((published, trained), viewer) == set()
    (seen,) = unpublished.seen((published, trained), 2)
    assert (seen.name, seen.alias) == ("Round ones", None)
    assert unpublished.hidden((published, trained), 2) == {"zorb"}
