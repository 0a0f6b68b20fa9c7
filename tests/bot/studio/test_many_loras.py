"""/imagine with several LoRAs in its one option."""

from gpu_worker.protocol import messages as m
from tests.stage.painter import FACTS


async def test_names_weights_and_completion(stage):
    stage.painter.facts = (*FACTS, m.ModelFact(kind="lora", name="brush", family="sd1"))
    await stage.painter.announce()
    member = await stage.visitor()
    card = await member.imagine(prompt="a hill", checkpoint="dreamy", lora="inkwash:0.8, brush", count=1)
    assert member.spec(card)["prompt"] == "a hill <lora:inkwash:0.8> <lora:brush:1>"
    rows = await member.autocomplete("general", "imagine", "lora", {"lora": "inkwash:0.8, bru", "checkpoint": "dreamy"})
    assert [row["value"] for row in rows] == ["inkwash:0.8, brush"]
    rows = await member.autocomplete("general", "imagine", "lora", {"lora": "inkwash", "checkpoint": "dreamy"})
    assert [row["value"] for row in rows][:3] == ["inkwash", "inkwash:1", "inkwash:0.8"]


async def test_what_cannot_be_used(stage):
    member = await stage.visitor()
    for lora, sentence in (
        ("inkwash, nobody", "no LoRA called"),
        ("inkwash:much", "numbers in the tag"),
        ("inkwash, neon", "another kind of model"),
    ):
        answer = await member.slash("general", "imagine", {"prompt": "x", "checkpoint": "dreamy", "lora": lora})
        assert sentence in await member.told(answer)
