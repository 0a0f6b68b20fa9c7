"""X/Y/Z plots and prompt matrices against A1111's own code."""

import pytest
from reference import vectors

from bot.domain.limits import DEFAULT_LIMITS
from bot.domain.plots.axes import find_axis
from bot.domain.plots.checking import PlotContext
from bot.errors import UserFacingError
from gpu_worker.language.matrix import DELIMITERS, matrix_texts
from gpu_worker.language.plots import ValuesError, in_order, loop_order, search_and_replace
from gpu_worker.protocol.messages import ModelFact

HERE = PlotContext((ModelFact(kind="checkpoint", name="other"),), DEFAULT_LIMITS)
MANY = 10_000


def plain(value):
    return tuple(value) if isinstance(value, list) else value


@pytest.mark.parametrize(("given", "expected"), vectors("xyz_axis_values"))
def test_values_and_labels_of_an_axis(given, expected):
    axis = find_axis(given["axis"])
    if "error" in expected:
        with pytest.raises((ValuesError, UserFacingError)) as refused:
            [axis.check(value, HERE) for value in axis.read(given["text"], MANY)]
        if isinstance(refused.value, ValuesError):
            cause = refused.value.__cause__
            assert f"{type(cause).__name__}: {cause}" == expected["error"]
        else:
            assert expected["error"].endswith(refused.value.values["name"])
        return
    values = axis.read(given["text"], MANY)
    expected_values = [plain(value) for value in expected["values"]]
    assert [round(value, 8) if isinstance(value, float) else value for value in values] == expected_values
    assert [*map(type, values)] == [*map(type, expected_values)]
    assert [axis.label(value) for value in values] == expected["labels"]


@pytest.mark.parametrize(("given", "expected"), vectors("xyz_prompt_sr"))
def test_search_and_replace(given, expected):
    texts = given["values"][0], given["value"], given["prompt"], given["negative_prompt"]
    if "error" in expected:
        with pytest.raises(LookupError, match=rf"^'{texts[0]}'$|^{texts[0]}$"):
            search_and_replace(*texts)
    else:
        assert search_and_replace(*texts) == (expected["prompt"], expected["negative_prompt"])


@pytest.mark.parametrize(("given", "expected"), vectors("xyz_prompt_order"))
def test_prompt_order(given, expected):
    assert in_order(given["order"], given["prompt"]) == expected


@pytest.mark.parametrize(("given", "expected"), vectors("xyz_loop_order"))
def test_loop_order(given, expected):
    costs = [0.5 if given[axis] == "UniPC Order" else find_axis(given[axis]).cost for axis in "xyz"]
    assert loop_order(costs) == (expected["outermost"], expected["second"])


@pytest.mark.parametrize(("given", "expected"), vectors("prompt_matrix"))
def test_prompt_matrix(given, expected):
    side, other = ("prompts", "negative_prompts")[:: 1 if given["prompt_type"] == "positive" else -1]
    text = given["prompt"] if side == "prompts" else given["negative_prompt"]
    made = matrix_texts(text, delimiter=DELIMITERS[given["delimiter"]], at_start=given["put_at_start"], most=MANY)
    assert [*made.texts] == expected[side]
    assert expected[other] == (given["negative_prompt"] if side == "prompts" else given["prompt"])
    assert (made.rows, made.columns) == (expected["grid_rows"], expected["grid_cols"])
    assert -(-len(made.texts) // given["batch_size"]) == expected["n_iter"]
    for titles, legend in ((made.column_titles, "col_legend"), (made.row_titles, "row_legend")):
        assert [[[*part] for part in title] for title in titles] == expected[legend]
    seeds = [given["seed"] + (at if given["different_seeds"] else 0) for at in range(len(made.texts))]
    assert seeds == expected["seeds"]
