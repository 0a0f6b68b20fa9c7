import json
import math

import pytest

from bench.report import Figure, as_json, as_table, share_at
from bench.weight import heaviest


@pytest.mark.parametrize(
    ("share", "wanted"),
    [(0.5, 100), (0.99, 198), (1.0, 200)],
)
def test_share_is_the_nearest_rank(share, wanted):
    assert share_at(range(200, 0, -1), share) == wanted


def test_share_of_few_and_of_none():
    assert share_at([3.0], 0.99) == 3.0
    assert math.isnan(share_at([], 0.5))


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure("t", "n", 0.4, goal=0.5), True),
        (Figure("t", "n", 0.5, goal=0.5), False),
        (Figure("t", "n", 1.15, goal=1.15, sense="<="), True),
        (Figure("t", "n", 1, goal=0, sense="="), False),
        (Figure("t", "n", float("nan"), goal=0.5), False),
        (Figure("t", "n", 7), None),
    ],
)
def test_a_goal_is_met_or_missed(figure, met):
    assert figure.met is met


def test_table_groups_by_topic_and_names_what_was_missed():
    lines = as_table(
        [
            Figure("Memory", "RSS", 70.25, "MiB", goal=120),
            Figure("Memory", "PSS", 50.0, "MiB"),
            Figure("Ratio", "a ÷ b", 1.2, goal=1.15, sense="<="),
        ]
    ).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["Memory", "RSS", "PSS", "Ratio", "a"]
    assert lines[2].split() == ["RSS", "70.2", "MiB", "<", "120", "met"]
    assert lines[5].endswith("1.200  at most 1.150  MISSED")


def test_json_holds_no_nan():
    read = json.loads(as_json({"cores": 2}, [Figure("t", "n", float("nan"), goal=1)]), parse_constant=pytest.fail)
    assert read["machine"] == {"cores": 2}
    assert (read["figures"][0]["value"], read["figures"][0]["met"]) == (None, False)


def test_imports_are_summed_by_package():
    report = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       100 |        100 |   discord.http\n"
        "import time:        50 |        150 | discord\n"
        "import time:       120 |        120 | aiohttp\n"
        "a library's own line\n"
    )
    assert heaviest(report, 1) == [("discord", 150e-6)]
    assert [name for name, _ in heaviest(report, 10)] == ["discord", "aiohttp"]
