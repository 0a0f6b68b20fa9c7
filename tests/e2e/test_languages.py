"""The same bot in Spanish and in English: commands, options, cards, refusals, help, autocomplete."""

from tests.e2e.visitor import finished


async def test_a_spanish_member_reads_spanish(admin):
    names = {row["name"] for row in (await admin.commands("general"))["slash"]}
    assert {"imagine", "style save", "queue", "cancel", "help"} <= names
    card_id = await admin.begin(prompt="un gato", steps=30, count=2)
    first = await admin.shown("general", card_id, lambda m: True, 5)
    assert "En cola" in first.text
    assert first.labels == ("Cancelar",)
    card = await admin.shown("general", card_id)
    assert "30 pasos" in card.text
    assert "semillas" in card.text
    assert card.labels[-4:] == ("Otra tirada", "Editar", "Borrar", "Más")
    form = await admin.click(card, "Editar")
    assert form.modal["title"] == "Editar y dibujar de nuevo"
    assert "No hay" in await admin.told(await admin.slash("general", "imagine", {"prompt": "x", "checkpoint": "nada"}))


async def test_the_card_speaks_the_language_of_its_owner(admin, member):
    card = await admin.imagine(prompt="un zorro", steps=2, count=1)
    again = await member.press(card, "Otra tirada")
    assert "Reroll" in again.labels
    form = await admin.click(again, "Edit")
    assert form.modal["title"] == "Editar y dibujar de nuevo"


async def test_help(member, admin):
    for visitor, word in ((member, "Buttons"), (admin, "Botones")):
        text = await visitor.told(await visitor.slash("general", "help"))
        assert word in text
        assert "U1–U4" in text
        assert "/imagine" in text
        assert "pincel-demo" in text


async def test_autocomplete_is_fuzzy_and_short(member, admin):
    for visitor in (member, admin):
        everything = await visitor.autocomplete("general", "imagine", "checkpoint", {"checkpoint": ""})
        assert 1 <= len(everything) <= 25
        assert everything[0]["value"] == "pincel-demo"
        misspelt = await visitor.autocomplete("general", "imagine", "checkpoint", {"checkpoint": "pinsel dmo"})
        assert [choice["value"] for choice in misspelt] == ["pincel-demo"]
        assert await visitor.autocomplete("general", "imagine", "lora", {"lora": ""}) == []


async def test_every_option_is_described_in_both_languages(member, admin):
    spanish = {row["name"]: row for row in (await admin.commands("general"))["slash"]}
    await admin.set_locale("en-US")
    try:
        english = {row["name"]: row for row in (await admin.commands("general"))["slash"]}
    finally:
        await admin.set_locale("es-ES")
    assert spanish.keys() == english.keys()
    # An admin sees what members do not.
    assert {row["name"] for row in (await member.commands("general"))["slash"]} < english.keys()
    for name, row in english.items():
        assert row["description"] != spanish[name]["description"], name
        for here, there in zip(row["options"], spanish[name]["options"], strict=True):
            assert here["description"] != there["description"], (name, here["name"])


async def test_language_follows_the_person_not_the_server(member):
    await member.set_locale("es-419")
    try:
        card = await member.shown("general", await member.begin(prompt="a star", steps=2, count=1))
        assert "Otra tirada" in card.labels
        assert finished(card)
    finally:
        await member.set_locale("en-US")
