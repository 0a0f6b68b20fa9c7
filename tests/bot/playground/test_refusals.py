"""Each thing that Discord refuses, one by one, over the wire, with its status and code."""

import asyncio
import json

import aiohttp
import pytest

from bot.playground.person import Refused

V2 = 1 << 15
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


class Wire:
    """Plain HTTP with the bot's token."""

    def __init__(self, playground, session):
        self.playground = playground
        self.session = session
        state = playground.world.discord
        self.channels = {channel.name: channel.id for channel in state.channels.values()}
        self.application = state.application_id

    async def call(self, method, path, payload=None, files=(), token=True):
        headers = {"Authorization": f"Bot {self.playground.endpoints.token}"} if token is True else {}
        arguments = {}
        if files:
            form = aiohttp.FormData()
            form.add_field("payload_json", json.dumps(payload))
            for index, (name, data) in enumerate(files):
                import io

                form.add_field(f"files[{index}]", io.BytesIO(data), filename=name)
            arguments["data"] = form
        elif payload is not None:
            arguments["json"] = payload
        url = self.playground.endpoints.api + path
        async with self.session.request(method, url, headers=headers, **arguments) as response:
            body = await response.json() if response.content_length else {}
            return response.status, body

    async def send(self, payload, files=(), channel="studio"):
        status, body = await self.call("POST", f"/channels/{self.channels[channel]}/messages", payload, files)
        return status, body.get("code"), body

    async def sync(self, commands):
        status, body = await self.call("PUT", f"/applications/{self.application}/commands", commands)
        return status, body.get("code") if isinstance(body, dict) else None


@pytest.fixture
async def wire(playground):
    async with aiohttp.ClientSession() as session:
        yield Wire(playground, session)


def row(*children):
    return {"type": 1, "components": list(children)}


def button(custom_id="x", **more):
    return {"type": 2, "style": 1, "label": "L", "custom_id": custom_id, **more}


def text(content="t"):
    return {"type": 10, "content": content}


def gallery(*urls):
    return {"type": 12, "items": [{"media": {"url": url}} for url in urls]}


def menu(count=1, **more):
    return {"type": 3, "custom_id": "m", "options": [{"label": f"{i}", "value": f"{i}"} for i in range(count)], **more}


BAD_MESSAGES = {
    "empty": {"content": ""},
    "content over 2000": {"content": "x" * 2001},
    "nonce over 25": {"content": "x", "nonce": "n" * 26},
    "eleven embeds": {"embeds": [{"title": "x"}] * 11},
    "embeds over 6000": {"embeds": [{"description": "x" * 3001}] * 2},
    "embed names no file": {"embeds": [{"image": {"url": "attachment://none.png"}}]},
    "six buttons in a row": {"content": "x", "components": [row(*[button(str(i)) for i in range(6)])]},
    "six rows": {"content": "x", "components": [row(button(str(i))) for i in range(6)]},
    "custom_id over 100": {"content": "x", "components": [row(button("c" * 101))]},
    "custom_id empty": {"content": "x", "components": [row(button(""))]},
    "custom_id twice": {"content": "x", "components": [row(button(), button())]},
    "label over 80": {"content": "x", "components": [row(button(label="l" * 81))]},
    "button without a face": {"content": "x", "components": [row(button(label=""))]},
    "link to javascript": {
        "content": "x",
        "components": [row({"type": 2, "style": 5, "label": "L", "url": "javascript:1"})],
    },
    "26 select options": {"content": "x", "components": [row(menu(26))]},
    "two defaults, one allowed": {
        "content": "x",
        "components": [row({**menu(), "options": [{"label": i, "value": i, "default": True} for i in "ab"]})],
    },
    "select beside a button": {"content": "x", "components": [row(menu(), button())]},
    "V2 component without the flag": {"components": [text()]},
    "V2 with content": {"content": "x", "flags": V2, "components": [text()]},
    "V2 with embeds": {"embeds": [{"title": "x"}], "flags": V2, "components": [text()]},
    "41 components": {"flags": V2, "components": [text() for _ in range(41)]},
    "texts over 4000 in all": {"flags": V2, "components": [text("x" * 2001), text("x" * 2000)]},
    "11 gallery items": {"flags": V2, "components": [gallery(*["https://example.org/a.png"] * 11)]},
    "empty gallery": {"flags": V2, "components": [gallery()]},
    "gallery names no file": {"flags": V2, "components": [gallery("attachment://none.png")]},
    "gallery with a data address": {"flags": V2, "components": [gallery("data:image/png;base64,AA")]},
    "file that is no attachment": {"flags": V2, "components": [{"type": 13, "file": {"url": "https://example.org/a"}}]},
    "empty container": {"flags": V2, "components": [{"type": 17, "components": []}]},
    "section without accessory": {"flags": V2, "components": [{"type": 9, "components": [text()]}]},
    "alt text over 1024": {
        "flags": V2,
        "components": [
            {"type": 12, "items": [{"media": {"url": "https://example.org/a.png"}, "description": "d" * 1025}]}
        ],
    },
}


@pytest.mark.parametrize("name", BAD_MESSAGES)
async def test_bad_messages(wire, member, name):
    status, code, _ = await wire.send(BAD_MESSAGES[name])
    assert (status, code) in ((400, 50035), (400, 50006))
    assert await member.messages("studio") == []


async def test_good_messages_of_the_same_shape(wire):
    """The control for the refusals above: each stands at its limit, and is accepted."""
    assert (await wire.send({"content": "x" * 2000, "nonce": "n" * 25}))[0] == 200
    assert (
        await wire.send({"content": "x", "components": [row(*[button(str(i), label="l" * 80) for i in range(5)])]})
    )[0] == 200
    assert (await wire.send({"content": "x", "components": [row(button("c" * 100))]}))[0] == 200
    assert (await wire.send({"content": "x", "components": [row(menu(25))]}))[0] == 200
    assert (await wire.send({"flags": V2, "components": [text("x" * 100) for _ in range(40)]}))[0] == 200
    assert (await wire.send({"flags": V2, "components": [text("x" * 4000)]}))[0] == 200
    assert (await wire.send({"flags": V2, "components": [gallery(*["https://example.org/a.png"] * 10)]}))[0] == 200


async def test_v2_files_must_be_referenced_and_the_flag_stays(wire):
    shown = {
        "flags": V2,
        "components": [gallery("attachment://a.png")],
        "attachments": [{"id": 0, "filename": "a.png"}],
    }
    assert (await wire.send(shown, [("a.png", PNG), ("b.png", PNG)]))[:2] == (400, 50035)
    status, _, message = await wire.send(shown, [("a.png", PNG)])
    assert status == 200
    path = f"/channels/{wire.channels['studio']}/messages/{message['id']}"
    for change in ({"flags": 0}, {"content": "x"}, {"components": []}, {"embeds": [{"title": "x"}]}):
        status, body = await wire.call("PATCH", path, change)
        assert (status, body.get("code")) == (400, 50035) or (change == {"flags": 0} and body["flags"] & V2)
    status, body = await wire.call("PATCH", path, {"components": [gallery("attachment://a.png")]})
    assert status == 200
    assert body["components"][0]["items"][0]["media"]["url"].startswith("http://127.0.0.1:")


async def test_an_address_that_was_handed_out_may_come_back(wire):
    shown = {
        "flags": V2,
        "components": [gallery("attachment://a.png")],
        "attachments": [{"id": 0, "filename": "a.png"}],
    }
    _, _, message = await wire.send(shown, [("a.png", PNG)])
    url = message["components"][0]["items"][0]["media"]["url"]
    path = f"/channels/{wire.channels['studio']}/messages/{message['id']}"
    status, body = await wire.call("PATCH", path, {"components": [gallery(url), text()]})
    assert (status, body["components"][0]["items"][0]["media"]["url"]) == (200, url)


async def test_uploads(wire):
    limit = 10 * 1024 * 1024
    assert (await wire.send({"content": "x"}, [("a.bin", bytes(limit))]))[0] == 200
    assert (await wire.send({"content": "x"}, [("a.bin", bytes(limit + 1))]))[:2] == (413, 40005)
    assert (await wire.send({"content": "x"}, [(f"{i}.bin", bytes(9 * 1024 * 1024)) for i in range(3)]))[:2] == (
        413,
        40005,
    )
    assert (await wire.send({"content": "x"}, [(f"{i}.bin", b"x") for i in range(11)]))[:2] == (400, 30015)


async def test_refused_uploads_leave_nothing_behind(wire, playground, tmp_path):
    await wire.send({"content": "x" * 2001}, [("a.bin", b"x")])
    assert list((tmp_path / "playground" / "attachments" / "incoming").iterdir()) == []


async def test_permissions_and_access(wire):
    assert (await wire.send({"content": "x"}, channel="announcements"))[:2] == (403, 50013)
    status, body = await wire.call("POST", "/channels/1/messages", {"content": "x"})
    assert (status, body["code"]) == (404, 10003)
    status, body = await wire.call("GET", f"/channels/{wire.channels['studio']}/messages/1")
    assert (status, body["code"]) == (404, 10008)
    status, body = await wire.call("GET", "/users/@me", token=False)
    assert (status, body["code"]) == (401, 0)


async def test_another_persons_message_cannot_be_edited(wire, member):
    message_id = await member.say("studio", "mine")
    path = f"/channels/{wire.channels['studio']}/messages/{message_id}"
    status, body = await wire.call("PATCH", path, {"content": "x"})
    assert (status, body["code"]) == (403, 50005)


async def test_what_is_not_there_is_said_loudly(wire):
    status, body = await wire.call("POST", "/guilds/1/templates", {})
    assert status == 501
    assert "does not implement" in body["message"]


async def test_reactions(wire):
    _, _, message = await wire.send({"content": "x"})
    path = f"/channels/{wire.channels['studio']}/messages/{message['id']}/reactions"
    status, body = await wire.call("PUT", f"{path}/word/@me")
    assert (status, body["code"]) == (404, 10014)
    for code in range(0x1F600, 0x1F600 + 20):
        assert (await wire.call("PUT", f"{path}/{chr(code)}/@me"))[0] == 204
    status, body = await wire.call("PUT", f"{path}/{chr(0x1F44D)}/@me")
    assert (status, body["code"]) == (400, 30010)


# ---------------------------------------------------------------- interactions


class Interactions:
    """A gateway client that only notes interactions, so that a test decides when and how they are answered."""

    def __init__(self, wire):
        self.wire = wire
        self.incoming = asyncio.Queue()

    async def run(self, ready):
        endpoints = self.wire.playground.endpoints
        async with self.wire.session.ws_connect(endpoints.gateway) as socket:
            await socket.send_json({"op": 2, "d": {"token": endpoints.token, "intents": 1}})
            async for message in socket:
                frame = json.loads(message.data)
                if frame.get("t") == "READY":
                    ready.set()
                if frame.get("t") == "INTERACTION_CREATE":
                    self.incoming.put_nowait(frame["d"])

    async def answer(self, payload, kind=4, data=None, files=(), with_response=True):
        path = f"/interactions/{payload['id']}/{payload['token']}/callback"
        body = {"type": kind} | ({} if data is None else {"data": data})
        status, body = await self.wire.call("POST", path + "?with_response=1" * with_response, body, files, token=False)
        return status, body.get("code")

    async def webhook(self, method, payload, tail="", body=None):
        path = f"/webhooks/{self.wire.application}/{payload['token']}{tail}"
        status, body = await self.wire.call(method, path, body, token=False)
        return status, body.get("code"), body


COMMANDS = [
    {
        "name": "go",
        "description": "Goes",
        "options": [{"type": 3, "name": "word", "description": "W", "autocomplete": True}],
    }
]


@pytest.fixture
async def interactions(wire):
    found, ready = Interactions(wire), asyncio.Event()
    task = asyncio.create_task(found.run(ready))
    await ready.wait()
    assert (await wire.sync(COMMANDS))[0] == 200
    yield found
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def opened(interactions, member):
    """A fresh, unanswered slash-command interaction."""
    action = asyncio.create_task(member.slash("studio", "go"))
    yield await interactions.incoming.get()
    action.cancel()
    await asyncio.gather(action, return_exceptions=True)


async def test_three_seconds(interactions, opened, clock):
    clock.advance(3.1)
    assert await interactions.answer(opened, data={"content": "late"}) == (404, 10062)


async def test_the_person_is_told_that_no_answer_came(interactions, member):
    answer = await member.slash("studio", "go")
    assert answer.kind is None


async def test_answering_twice(interactions, opened):
    assert await interactions.answer(opened, data={"content": "x"}) == (200, None)
    assert await interactions.answer(opened, data={"content": "x"}) == (400, 40060)
    assert await interactions.answer(opened, 6) == (400, 40060)


async def test_a_refused_answer_can_be_repeated(interactions, opened):
    assert await interactions.answer(opened, data={"content": "x" * 2001}) == (400, 50035)
    assert await interactions.answer(opened, data={"content": "x"}, with_response=False) == (204, None)


async def test_the_token_lives_fifteen_minutes(interactions, opened, clock):
    assert (await interactions.webhook("POST", opened, body={"content": "x"}))[:2] == (404, 10015)
    assert await interactions.answer(opened, 5) == (200, None)
    clock.advance(14 * 60 + 50)
    assert (await interactions.webhook("PATCH", opened, "/messages/@original", {"content": "x"}))[0] == 200
    clock.advance(11)
    for method, tail in (("PATCH", "/messages/@original"), ("POST", ""), ("GET", "/messages/@original")):
        assert (await interactions.webhook(method, opened, tail, {"content": "x"}))[:2] == (401, 50027)
    assert (await interactions.webhook("POST", {"token": "1.nonsense"}, body={"content": "x"}))[:2] == (401, 50027)


async def test_wrong_kinds_of_answers(interactions, opened):
    assert await interactions.answer(opened, 7, {"content": "x"}) == (400, 50035)
    assert await interactions.answer(opened, 8, {"choices": []}) == (400, 50035)
    assert await interactions.answer(opened, 99) == (400, 50035)
    assert await interactions.answer(opened, 5, {"flags": V2}) == (400, 50035)


def modal(**more):
    field = {"type": 18, "label": "L", "component": {"type": 4, "custom_id": "f", "style": 1}}
    return {"custom_id": "m", "title": "T", "components": [field], **more}


@pytest.mark.parametrize(
    "change",
    [
        {"title": "t" * 46},
        {"title": ""},
        {"custom_id": "c" * 101},
        {"components": []},
        {
            "components": [
                {"type": 18, "label": "L", "component": {"type": 4, "custom_id": str(i), "style": 1}} for i in range(6)
            ]
        },
        {"components": [{"type": 4, "custom_id": "f", "style": 1}]},
        {"components": [{"type": 18, "label": "l" * 46, "component": {"type": 4, "custom_id": "f", "style": 1}}]},
        {
            "components": [
                {
                    "type": 18,
                    "label": "L",
                    "component": {"type": 21, "custom_id": "f", "options": [{"label": "a", "value": "a"}]},
                }
            ]
        },
    ],
)
async def test_bad_modals(interactions, opened, change):
    assert await interactions.answer(opened, 9, modal(**change)) == (400, 50035)
    assert await interactions.answer(opened, 9, modal()) == (200, None)


async def test_a_modal_cannot_answer_a_modal(interactions, member):
    first = asyncio.create_task(member.slash("studio", "go"))
    await interactions.answer(await interactions.incoming.get(), 9, modal())
    second = asyncio.create_task(member.submit_modal(await first, {"f": "x"}))
    submitted = await interactions.incoming.get()
    assert submitted["data"]["components"][0]["component"]["value"] == "x"
    assert await interactions.answer(submitted, 9, modal()) == (400, 50035)
    assert await interactions.answer(submitted, 7, {"content": "x"}) == (400, 50035)
    assert await interactions.answer(submitted, data={"content": "x"}) == (200, None)
    await second


@pytest.mark.parametrize(
    "choices",
    [
        [{"name": "n", "value": "v"}] * 26,
        [{"name": "n" * 101, "value": "v"}],
        [{"name": "", "value": "v"}],
        [{"name": "n", "value": "v" * 101}],
    ],
)
async def test_bad_autocomplete(interactions, member, choices):
    action = asyncio.create_task(member.autocomplete("studio", "go", "word", {"word": "a"}))
    opened = await interactions.incoming.get()
    assert opened["data"]["options"] == [{"name": "word", "type": 3, "value": "a", "focused": True}]
    assert await interactions.answer(opened, 4, {"content": "x"}) == (400, 50035)
    assert await interactions.answer(opened, 8, {"choices": choices}) == (400, 50035)
    good = [{"name": str(i), "value": str(i)} for i in range(25)]
    assert await interactions.answer(opened, 8, {"choices": good}) == (200, None)
    assert await action == good


async def test_ephemeral_messages_are_out_of_reach_of_the_bots_token(interactions, opened, wire, member):
    assert await interactions.answer(opened, data={"content": "x", "flags": 64}) == (200, None)
    message = (await member.messages("studio"))[0]
    path = f"/channels/{message.channel_id}/messages/{message.id}"
    for method, body in (("GET", None), ("PATCH", {"content": "y"}), ("DELETE", None)):
        status, answer = await wire.call(method, path, body)
        assert (status, answer["code"]) == (404, 10008)
    assert (await interactions.webhook("PATCH", opened, "/messages/@original", {"content": "y"}))[0] == 200
    with pytest.raises(Refused, match=r"message\.gone"):
        await member.react(message, "👍")


async def test_the_limit_in_the_payload_is_the_one_enforced(interactions, opened):
    limit = opened["attachment_size_limit"]
    assert await interactions.answer(opened, data={"content": "x"}, files=[("a.bin", bytes(limit + 1))]) == (413, 40005)
    assert await interactions.answer(opened, data={"content": "x"}, files=[("a.bin", bytes(limit))]) == (200, None)


async def test_pressing_what_is_not_there(interactions, wire, member):
    _, _, sent = await wire.send(
        {"content": "x", "components": [row(button(), button("off", label="Off", disabled=True))]}
    )
    message = await member.message("studio", sent["id"])
    with pytest.raises(Refused, match=r"component\.gone"):
        await member.click(message, "Off")


# -------------------------------------------------------------------- commands


def command(**more):
    return {"name": "ok", "description": "d", "type": 1, **more}


def option(name="o", **more):
    return {"type": 3, "name": name, "description": "d", **more}


BAD_COMMANDS = {
    "name with capitals": command(name="Bad"),
    "name with a blank": command(name="a b"),
    "name over 32": command(name="n" * 33),
    "no description": command(description=""),
    "description over 100": command(description="d" * 101),
    "26 options": command(options=[option(f"o{i}") for i in range(26)]),
    "option twice": command(options=[option(), option()]),
    "required after optional": command(options=[option("a"), option("b", required=True)]),
    "26 choices": command(options=[option(choices=[{"name": f"{i}", "value": f"{i}"} for i in range(26)])]),
    "choice name over 100": command(options=[option(choices=[{"name": "n" * 101, "value": "v"}])]),
    "choices and autocomplete": command(options=[option(autocomplete=True, choices=[{"name": "n", "value": "v"}])]),
    "choice of the wrong type": command(options=[option(choices=[{"name": "n", "value": 1}])]),
    "over 8000 characters": command(
        options=[
            option(f"o{i}", choices=[{"name": f"{j}" + "n" * 90, "value": "v" * 90} for j in range(25)])
            for i in range(2)
        ]
    ),
    "unknown locale": command(name_localizations={"xx": "a"}),
    "localised name with capitals": command(name_localizations={"es-ES": "Malo"}),
    "localised description over 100": command(description_localizations={"es-ES": "d" * 101}),
    "menu with a description": {"name": "Menu", "type": 3, "description": "d"},
    "sub-commands mixed with options": command(options=[option(), {"type": 1, "name": "s", "description": "d"}]),
    "unknown type": command(type=9),
}


@pytest.mark.parametrize("name", BAD_COMMANDS)
async def test_bad_commands(wire, name):
    assert await wire.sync([BAD_COMMANDS[name]]) == (400, 50035)


async def test_command_counts_and_good_ones(wire):
    assert await wire.sync([command(name=f"c{i}") for i in range(101)]) == (400, 30032)
    assert await wire.sync([{"name": f"M {i}", "type": 3} for i in range(16)]) == (400, 30032)
    assert await wire.sync([command(), command()]) == (400, 50035)
    menus = [{"name": f"M {i}", "type": 3} for i in range(15)]
    assert (await wire.sync([*(command(name=f"c{i}") for i in range(100)), *menus]))[0] == 200
    names = ["ñandú", "estilo-guardar", "色", "हिन्दी"]
    assert (await wire.sync([command(name=n) for n in names]))[0] == 200


async def test_age_restricted_commands_show_only_in_age_restricted_channels(wire, member):
    await wire.sync([command(nsfw=True)])
    assert (await member.commands("studio"))["slash"] == []
    assert [row["name"] for row in (await member.commands("after-dark"))["slash"]] == ["ok"]


async def test_commands_for_the_team_are_hidden_from_members(wire, member, moderator):
    await wire.sync([command(default_member_permissions=str(1 << 13))])
    assert (await member.commands("studio"))["slash"] == []
    assert len((await moderator.commands("studio"))["slash"]) == 1


# --------------------------------------------------------------------- gateway


@pytest.mark.parametrize(
    ("data", "code"),
    [({"token": "wrong", "intents": 1}, 4004), ({"intents": 1 << 15}, 4014), ({"intents": 1, "shard": [3, 2]}, 4010)],
)
async def test_gateway_refusals(wire, data, code):
    endpoints = wire.playground.endpoints
    async with wire.session.ws_connect(endpoints.gateway) as socket:
        assert (await socket.receive_json())["op"] == 10
        await socket.send_json({"op": 2, "d": {"token": endpoints.token, **data}})
        await socket.receive()
        assert socket.close_code == code


async def test_gateway_heartbeat_bad_resume_and_members(wire):
    endpoints = wire.playground.endpoints
    async with wire.session.ws_connect(endpoints.gateway) as socket:
        await socket.receive_json()
        await socket.send_json({"op": 1, "d": None})
        assert (await socket.receive_json())["op"] == 11
        await socket.send_json({"op": 6, "d": {"token": endpoints.token, "session_id": "gone", "seq": 3}})
        assert await socket.receive_json() == {"op": 9, "d": False}
        await socket.send_json({"op": 2, "d": {"token": endpoints.token, "intents": 1, "shard": [0, 1]}})
        ready, guild = await socket.receive_json(), await socket.receive_json()
        assert (ready["t"], guild["t"]) == ("READY", "GUILD_CREATE")
        assert len(guild["d"]["members"]) == 1
        assert {c["name"]: c["nsfw"] for c in guild["d"]["channels"]}["after-dark"] is True
        await socket.send_json({"op": 8, "d": {"guild_id": guild["d"]["id"], "query": "mem", "limit": 5, "nonce": "n"}})
        chunk = (await socket.receive_json())["d"]
        assert ([m["user"]["username"] for m in chunk["members"]], chunk["nonce"]) == (["member"], "n")
