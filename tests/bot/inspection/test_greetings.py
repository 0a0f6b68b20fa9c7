"""What a hostile machine says of itself fits cards, logs and memory, and asks for no more jobs than a card has."""

from bot.inspection.greetings import (
    JOBS_AT_ONCE,
    KEPT_MAX,
    MODELS_MAX,
    NAME_CHARS,
    RUNNING_MAX,
    checked_heartbeat,
    checked_hello,
)
from gpu_worker.protocol import messages as m

BOAST = "@everyone \u202e\n" + "x" * 100_000
HUGE = 2**62


def a_hello(**fields) -> m.Hello:
    return m.Hello.model_validate({"worker": "garage.2", "app_version": "1", "boot": "b", "name": "n", **fields})


def test_a_usual_hello_stays_as_it_is():
    fact = m.ModelFact(kind="lora", name="people/anna", sha256="a" * 64, family="sd1", alias="anna", native_px=512)
    running = (m.Running(job="j", attempt=1, phase="sampling", step=3, of=20),)
    usual = a_hello(
        gpu="NVIDIA GeForce RTX 3060", vram_mb=12288, tasks=("txt2img", "sheet"), models=(fact,), loaded="m1",
        lanes=("batch",), running=running, safety="nudenet", platform="Linux", fetches=True, models_room_mb=40_000,
        kept=("t1",), machine="garage", name="garage.2", addons=(m.AddonFact(name="a", version="1", parts=("p",)),),
    )  # fmt: skip
    assert checked_hello(usual) == usual


def test_a_boastful_hello_is_cut_to_size():
    facts = [{"kind": "lora", "name": f"m{n}"} for n in range(MODELS_MAX + 10)]
    facts[0] |= {"sha256": "no hash", "family": BOAST, "native_px": HUGE, "context": -1, "defaults": {"steps": "many"}}
    facts[1] |= {"name": BOAST}
    found = checked_hello(
        a_hello(
            app_version=BOAST, boot=BOAST, name=BOAST, gpu=BOAST, platform=BOAST, safety=BOAST, loaded=BOAST,
            machine="cellar", slots=HUGE, prefetch=HUGE, vram_mb=HUGE, models_room_mb=HUGE, proto_max=HUGE,
            tasks=[BOAST] * 1000, lanes=[BOAST] * 1000, models=facts, kept=[f"k{n}" for n in range(KEPT_MAX + 1)],
            running=[{"job": f"j{n}", "attempt": 1, "phase": BOAST, "step": -HUGE} for n in range(RUNNING_MAX + 1)],
            addons=[{"name": BOAST, "parts": [BOAST] * 1000, "problem": BOAST}] * 1000,
        )
    )  # fmt: skip
    assert (found.machine, found.name, found.loaded) == ("garage", "garage.2", None)
    assert (found.slots, found.prefetch) == (JOBS_AT_ONCE, JOBS_AT_ONCE)
    assert len(found.models) == MODELS_MAX - 1  # without the one that has no name
    first = found.models[0]
    assert (first.sha256, first.family, first.native_px, first.context, first.defaults) == (None,) * 5
    assert max(len(fact.name) for fact in found.models) <= NAME_CHARS
    assert (len(found.running), len(found.kept)) == (RUNNING_MAX, KEPT_MAX)
    rest = found.model_copy(update={"models": (), "running": found.running[:1], "kept": ()})
    said = rest.model_dump_json()
    assert len(said) < 1_500_000
    assert str(HUGE) not in said
    assert "\u202e" not in rest.model_dump()["gpu"]
    assert "\n" not in rest.model_dump()["gpu"]


def test_no_slots_are_one():
    assert checked_hello(a_hello(slots=-3, prefetch=-3)).slots == 1


def test_a_heartbeat_says_what_can_be_or_nothing():
    usual = m.Heartbeat(worker="garage", boot="b", loaded="m1", vram_free_mb=1, temperature_c=60, utilisation_pct=99,
                        power_w=200, running=(m.Running(job="j", attempt=1),))  # fmt: skip
    assert checked_heartbeat(usual) == usual
    boast = {"boot": BOAST, "loaded": BOAST, "vram_free_mb": HUGE, "temperature_c": -HUGE, "utilisation_pct": HUGE,
             "power_w": HUGE, "running": [{"job": "j", "attempt": 1}] * 1000}  # fmt: skip
    found = checked_heartbeat(m.Heartbeat.model_validate({"worker": "garage", **boast}))
    assert len(found.running) == RUNNING_MAX
    assert [found.loaded, found.vram_free_mb, found.temperature_c, found.utilisation_pct, found.power_w] == [None] * 5
    # A boot is known again in its heartbeats, however it is cut.
    assert found.boot == checked_hello(a_hello(boot=BOAST)).boot
