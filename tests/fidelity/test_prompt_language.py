"""The prompt grammar, the network tags, the names and the seeds, against what A1111 itself answered."""

from random import Random

import pytest
from reference import vectors

from gpu_worker.language.attention import parse_attention
from gpu_worker.language.names import resolve_sampler, sampler_and_schedule
from gpu_worker.language.networks import (
    LoraRef,
    NetworkTagError,
    lora_refs,
    parse_networks,
    parse_networks_of_batch,
    resolve_networks,
)
from gpu_worker.language.schedule import prompt_schedule, split_and, text_at
from gpu_worker.language.seeds import batch_seeds, fixed_seed


@pytest.mark.parametrize(("prompt", "expected"), vectors("prompt_attention"))
def test_attention(prompt, expected):
    if isinstance(expected, dict):  # A1111 raises; we read it literally
        assert parse_attention(prompt)
        return
    got = parse_attention(prompt)
    assert [text for text, _ in got] == [text for text, _ in expected]
    assert [weight for _, weight in got] == pytest.approx([weight for _, weight in expected], abs=1e-5)


def test_a_number_that_is_none_is_literal_text():
    assert parse_attention("(a:1..2)") == [("a:1..2", 1.1)]


@pytest.mark.parametrize(("prompt", "expected"), vectors("extra_network_parse"))
def test_network_tags(prompt, expected):
    clean, tags = parse_networks(prompt)
    got = {}
    for tag in tags:
        entry = {"items": list(tag.items), "positional": list(tag.positional), "named": tag.named}
        got.setdefault(tag.kind, []).append(entry)
    assert {"prompt": clean, "networks": got} == expected


@pytest.mark.parametrize(("prompt", "expected"), vectors("lora_multipliers"))
def test_lora_multipliers(prompt, expected):
    _, tags = parse_networks(prompt)
    if "error" in expected:
        with pytest.raises(NetworkTagError):
            lora_refs(tags)
        return
    refs = lora_refs(tags)
    assert [r.name for r in refs] == expected["names"]
    assert [r.te for r in refs] == expected["te"]
    assert [r.unet for r in refs] == expected["unet"]
    assert [r.rank for r in refs] == expected["dyn"]


@pytest.mark.parametrize(("prompts", "expected"), vectors("extra_network_parse_batch"))
def test_the_first_prompt_of_a_batch_decides_its_networks(prompts, expected):
    clean, tags = parse_networks_of_batch(prompts)
    assert list(clean) == expected["prompts"]
    assert {"lora": [list(tag.items) for tag in tags]} == expected["networks_taken_from_first_prompt"]


# The files of these vectors, in the order of the scan; another file has the alias "dup" too.
_FILES = [("fileA", "myalias"), ("fileB", None), ("fileC", "dup"), ("fileD", "dup")]


@pytest.mark.parametrize(("wanted", "expected"), vectors("lora_name_resolution"))
def test_lora_names(wanted, expected):
    refs = [LoraRef(name, te, te) for name, te in zip(wanted["names"], wanted["multipliers"], strict=True)]
    found, missing = resolve_networks(refs, _FILES)
    assert [[_FILES[index][0], ref.te] for index, ref in found] == expected["applied"]
    assert [f"Lora not found: {name}" for name in missing] == expected["comments"]


def test_an_alias_met_twice_means_nothing_but_a_file_of_that_name_does():
    ref = LoraRef("dup")
    assert resolve_networks([ref], _FILES) == ((), ("dup",))
    assert resolve_networks([ref], [*_FILES, ("dup", None)]) == (((4, ref),), ())
    assert resolve_networks([LoraRef("none")], [("x", "none")]) == ((), ("none",))
    assert resolve_networks([LoraRef("a")], [("a", None), ("a", "b")])[0][0][0] == 1


@pytest.mark.parametrize(("given", "expected"), vectors("prompt_schedule"))
def test_prompt_schedule(given, expected):
    made = prompt_schedule(
        given["prompt"], given["base_steps"], given["hires_steps"], old=given["use_old_scheduling"]
    )  # fmt: skip
    assert [list(entry) for entry in made] == expected


@pytest.mark.parametrize(("given", "expected"), vectors("prompt_text_per_model_call"))
def test_text_of_each_model_call(given, expected):
    schedule = prompt_schedule(given["prompt"], given["steps"])
    assert [text_at(schedule, call) for call in range(given["steps"])] == expected


@pytest.mark.parametrize(("prompts", "expected"), vectors("composable_and"))
def test_composition(prompts, expected):
    places: dict[str, int] = {}
    indexes = [[[places.setdefault(text, len(places)), weight] for text, weight in split_and(p)] for p in prompts]
    assert {"indexes": indexes, "prompts": list(places)} == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        # Loose brackets and colons are text and leave edits alone; a bar outside of an alternation does not.
        ("a (b [c:d:2]", ["a (b c", "a (b d"]), (":) [c:d:2]", [":) c", ":) d"]), ("[x:y:z:3] [c:d:2]", None),
        ("(x:y:1.2) [c:d:2]", ["(x:y:1.2) c", "(x:y:1.2) d"]), ("[(x:y:1.2):d:2]", ["[(x:y:1.2):d:2]"]),
        ("a|b [c:d:2]", ["a|b [c:d:2]"]), ("{a|b} [c:d:2]", ["{a|b} [c:d:2]"]),
        ("[a|b:2] [c:d:2]", ["[a|b:2] [c:d:2]"]),
        ("\\| [c:d:2]", ["\\| c", "\\| d"]), ("[c:d:2]\\", ["[c:d:2]\\"]), ("[c:d:2]\\\n", ["[c:d:2]\\\n"]),
        ("[c:d:1.]", ["c"]), ("[c:d:+2]", ["c", "d"]), ("[c:d:2e0]", ["c", "d"]), ("[c:d:2_0]", ["[c:d:2_0]"]),
        ("[c:d:\u00a02\n]", ["c", "d"]), ("[c:d:٢]", ["[c:d:٢]"]), ("[c:d:1e999]", ["c"]), ("[c:d:-.5e9]", ["d"]),
        ("[::2]", ["", ""]), ("[:2]", ["", ""]), ("[c:(d):2]", ["c", "(d)"]), ("[[c]:[d:e]:2]", ["[[c]:[d:e]:2]"]),
        ("[c:d(2]", ["[c:d(2]"]), ("(c:[d:2])", ["(c:)", "(c:d)"]),
    ],
)  # fmt: skip
def test_the_edges_of_the_grammar(prompt, expected):
    """Where loose brackets leave A1111's parser a choice, it is by chance, and this is one of its answers."""
    expected = expected or ["[x:y:z:3] c", "[x:y:z:3] d"]
    assert [text for _, text in prompt_schedule(prompt, 4)] == expected


@pytest.mark.parametrize(("value", "expected"), vectors("get_fixed_seed"))
def test_fixed_seeds(value, expected):
    drawn = fixed_seed(value, Random(1))
    assert drawn == (expected if isinstance(expected, int) else Random(1).randrange(4294967294))


def test_seeds_that_are_no_numbers_are_drawn():
    for value in (None, [], float("nan"), float("inf"), "1.5"):
        assert fixed_seed(value, Random(1)) == Random(1).randrange(4294967294)
    assert [fixed_seed(value, Random(1)) for value in (-2, 2.7, " 12 ", True)] == [-2, 2, 12, 1]


@pytest.mark.parametrize(("given", "expected"), vectors("batch_seeds"))
def test_seeds_of_a_batch(given, expected):
    seeds, subseeds = batch_seeds(
        given["seed"], given["subseed"], given["subseed_strength"], given["n_iter_times_batch_size"]
    )  # fmt: skip
    assert {"seeds": seeds, "subseeds": subseeds} == expected


@pytest.mark.parametrize(("wanted", "expected"), vectors("sampler_and_scheduler_from_name"))
def test_sampler_names(wanted, expected):
    choice = sampler_and_schedule(wanted["sampler"], wanted["scheduler"], wanted["convert_automatic"])
    assert [choice.sampler, choice.schedule] == expected


@pytest.mark.parametrize(
    ("name", "schedule", "expected"),
    [
        ("Foo", None, ("DPM++ 2M", "Automatic")), ("Euler", "sgm_uniform", ("Euler", "SGM Uniform")),
        ("Euler karras", None, ("Euler", "Karras")), ("Euler", "SGMUniform", ("Euler", "Automatic")),
        ("Euler Automatic", "Karras", ("Euler", "Automatic")), ("k_euler", None, ("DPM++ 2M", "Automatic")),
        # One ending of each schedule is cut off, in the order of the list.
        ("Euler SGM Uniform", None, ("DPM++ 2M", "Uniform")), ("Euler Karras Uniform", None, ("Euler", "Karras")),
    ],
)  # fmt: skip
def test_sampler_names_read_to_the_letter(name, schedule, expected):
    choice = sampler_and_schedule(name, schedule)
    assert (choice.sampler, choice.schedule) == expected


@pytest.mark.parametrize(("wanted", "expected"), vectors("sampler_and_scheduler_from_name"))
def test_people_may_write_sampler_names_as_they_like(wanted, expected):
    """`resolve_sampler` agrees, except that case does not matter to it and that nothing unknown becomes a sampler."""
    if wanted["sampler"] is None or not wanted["convert_automatic"]:
        return
    if wanted["sampler"] == "euler a":
        expected = ["Euler a", "Automatic"]
    choice = resolve_sampler(wanted["sampler"], wanted["scheduler"])
    assert choice is not None
    assert [choice.sampler, choice.schedule] == expected
