"""Nobody is ever pinged by a text that somebody typed: the client's default forbids it, and only the ping that a member
asked for says otherwise, for that member alone."""

import ast
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
MAY_PING = {"bot/delivery/ping.py"}


def calls():
    for package in ("bot", "cogs"):
        for file in sorted((CHECKOUT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    yield file.relative_to(CHECKOUT).as_posix(), node


def test_no_message_allows_a_ping_but_the_one_that_was_asked_for():
    found = [
        (file, ast.unparse(node))
        for file, node in calls()
        if ast.unparse(node.func).rpartition(".")[2] in ("AllowedMentions", "all", "everyone")
        and "AllowedMentions" in ast.unparse(node.func)
        and file not in MAY_PING
    ]
    assert found == []


def test_no_call_takes_the_default_away():
    wrong = [
        (file, ast.unparse(keyword.value))
        for file, node in calls()
        for keyword in node.keywords
        if keyword.arg == "allowed_mentions"
        and file not in MAY_PING
        and ast.unparse(keyword.value) not in ("discord.AllowedMentions.none()", "AllowedMentions.none()")
    ]
    assert wrong == []


def test_a_reply_pings_nobody_by_itself():
    wrong = [
        (file, ast.unparse(node))
        for file, node in calls()
        for keyword in node.keywords
        if keyword.arg == "mention_author" and ast.unparse(keyword.value) != "False"
    ]
    assert wrong == []
