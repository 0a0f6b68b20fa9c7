"""Installed add-ons as bot and worker find them; broken ones are named and stop nothing.

The example is really installed as far as Python can tell: its dist-info lies on the path.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from gpu_worker.language.addons import API, Addon, SamplerPart, UpscalerPart, find_addons

CHECKOUT = Path(__file__).resolve().parents[3]
EXAMPLE = CHECKOUT / "tests" / "gpu_worker" / "addon_example"


def run(program: str, **environment: str) -> object:
    path = os.pathsep.join((str(CHECKOUT), str(EXAMPLE)))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


FOUND = """
import json, sys
from gpu_worker.language.addons import installed_addons
from gpu_worker.language.names import effective_schedule, is_second_order, resolve_sampler, sampler_choices
found = {
    one.name: [one.package, one.version, one.off, (one.problem or "")[:19], list(one.heavy)]
    for one in installed_addons()
}
choice = resolve_sampler("k_midpoint")
schedule = choice and effective_schedule(choice.sampler, choice.schedule)
known = choice and [choice.sampler, schedule, is_second_order(choice.sampler)]
print(json.dumps([found, known, "Midpoint" in sampler_choices(), "torch" in sys.modules]))
"""


def test_an_installed_package_is_found_by_both_sides_and_brings_no_torch():
    found, sampler, listed, torch = run(FOUND)
    assert found["example"] == ["pincel-addon-example", "1.2", False, "", []]
    assert found["missing"][3] == "ModuleNotFoundError"
    assert sampler == ["Midpoint", "Karras", True]
    assert (listed, torch) == (True, False)


@pytest.mark.parametrize("off", ["all", " Example , missing"])
def test_what_the_operator_leaves_alone_is_not_even_imported(off):
    found, sampler, listed, _ = run(FOUND, PINCEL_ADDONS_OFF=off)
    assert [facts[2] for facts in found.values()] == [True, True]
    assert (sampler, listed) == (None, False)


def entry(value: str, name: str = "x") -> metadata.EntryPoint:
    return metadata.EntryPoint(name, value, "pincel.addons")


class Boom:
    """What entry points of the tests below name."""

    good = Addon("t", samplers=(SamplerPart("A", "m:f"),))
    newer = Addon("t", api=API + 1)
    no_place = Addon("t", upscalers=(UpscalerPart("A", "http://x/y"),))
    no_name = Addon("t", samplers=(SamplerPart("", "m:f"),))
    no_module = Addon("t", cogs=("../x",))
    no_addon = 5

    @staticmethod
    def leaves() -> Addon:
        raise SystemExit(3)


sys.modules["addons_of_a_test"] = Boom  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("newer", "version"),
        ("no_place", "module:function"),
        ("no_name", "no name"),
        ("no_module", "no module"),
        ("no_addon", "names no Addon"),
        ("leaves", "SystemExit"),
        ("nothing_there", "AttributeError"),
    ],
)
def test_a_broken_one_is_named_with_its_reason(value, said):
    broken, good = find_addons([entry(f"addons_of_a_test:{value}", "a"), entry("addons_of_a_test:good", "b")])
    assert broken.addon is None
    assert said in (broken.problem or "")
    assert good.addon is Boom.good


def test_of_two_with_one_name_the_second_is_left_out():
    first, second = find_addons([entry("addons_of_a_test:good"), entry("addons_of_a_test:newer", "X")])
    assert {first.problem is None, second.problem is None} == {True, False}
