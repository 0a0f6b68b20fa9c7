"""A machine that sends without end: heard in part, complained of once in a while, and nothing of it stays on disk."""

import pytest

from bot.dispatch.nats.ear import BURST_BYTES, BYTES_A_SECOND, Ear
from bot.dispatch.nats.landing import _checked
from bot.dispatch.outbox import Outbox
from bot.dispatch.sparing import SILENT_S, Sparing
from gpu_worker.protocol.nats.mail import Manifest, SentFile
from gpu_worker.protocol.nats.pieces import pieces
from gpu_worker.protocol.nats.subjects import parse_entry


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def heard(ear, worker, body, number=0):
    return [ear.hears(worker, piece) for piece in pieces(body, number)][-1]


def until_refused(ear, body):
    for number in range(100_000):
        try:
            heard(ear, f"garage.{number % 99 + 1}", body, number)  # whatever card it says
        except ValueError:
            return number
    raise AssertionError("all of it was heard")


def test_what_cards_of_honest_machines_say_is_heard():
    clock = Clock()
    ear = Ear(clock)
    hello, preview = b"h" * 1_500_000, b"p" * 32_000
    for card in range(8):
        assert heard(ear, f"garage.{card}", hello) == hello
    for second in range(120):
        clock.now += 1
        for card in range(8):
            for step in range(2):
                assert heard(ear, f"garage.{card}", preview, second * 2 + step) == preview


def test_a_flood_is_heard_in_part_and_honest_words_are_heard_again_after_it():
    clock = Clock()
    ear = Ear(clock)
    taken = until_refused(ear, b"x" * 500_000)
    assert 10 < taken * 500_000 / 2**20 < BURST_BYTES / 2**20
    clock.now += 5
    assert heard(ear, "garage", b"heartbeat") == b"heartbeat"
    clock.now += 5
    assert until_refused(ear, b"x") < 12 * BYTES_A_SECOND / 2048


def test_cards_of_one_machine_send_their_pieces_side_by_side():
    ear = Ear()
    ours, theirs = pieces(b"a" * 1_200_000, 7), pieces(b"b" * 1_200_000, 7)
    found = [ear.hears(name, piece) for pair in zip(ours, theirs, strict=True)
             for name, piece in zip(("garage", "garage.2"), pair, strict=True)]  # fmt: skip
    assert [len(body) for body in found if body is not None] == [1_200_000, 1_200_000]


def test_begun_messages_of_a_hundred_cards_do_not_fill_the_memory():
    ear = Ear()
    for card in range(1, 100):
        ear.hears(f"garage.{card}", pieces(b"a" * 60_000 * 9 * 2, card)[0][:60_000])
    assert len(ear._joiner._begun) <= 16


def test_a_complaint_is_said_once_in_a_while():
    clock = Clock()
    sparing = Sparing(clock)
    assert [sparing.may("garage") for _ in range(3)] == [True, False, False]
    assert sparing.may("attic")
    clock.now += SILENT_S
    assert sparing.may("garage")
    for number in range(5000):
        sparing.may(str(number))
    assert len(sparing._said_at) <= 1000


def test_what_is_damaged_of_other_machines_goes_with_all_of_its_files(tmp_path):
    box = tmp_path / "garage"
    box.mkdir()
    for name in ("job.1.fin", "job.1.0.png", "job.1.zzz", "job.2.0.png"):
        (box / name).write_bytes(b"x")
    Outbox(tmp_path, keeps_damaged=False).set_aside(box / "job.1.fin")
    assert [path.name for path in box.iterdir()] == ["job.2.0.png"]
    (box / "job.3.k7.kept").write_bytes(b"x")
    (box / "job.3.k7.bin").write_bytes(b"x")
    Outbox(tmp_path, keeps_damaged=False).set_aside(box / "job.3.k7.kept")
    assert [path.name for path in box.iterdir()] == ["job.2.0.png"]
    Outbox(tmp_path).set_aside(box / "job.2.0.png")  # of our own worker: somebody may want to see it
    assert [path.name for path in box.iterdir()] == ["job.2.0.bad"]


@pytest.mark.parametrize(
    ("entry", "name", "fits"),
    [
        ("job.1.k7.kept", "job.1.k7.bin", True),
        ("job.1.k7.kept", "job.1.k7.kept.entry", False),  # the entry itself is in the manifest
        ("job.1.k7.kept", "job.1.k8.bin", False),
        ("job.1.k7.kept", "job.1.0.png", False),
        ("job.1.k7.kept", "job.1.anything", False),
        ("job.1.fin", "job.1.0.png", True),
        ("job.1.fin", "job.2.0.png", False),
        ("job.1.fin", "job.1.fin", False),
        ("job.1.fin", "job.1.0.looked.png", False),
        ("job.1.fin", "../job.1.0.png", False),
    ],
)
def test_a_part_brings_its_own_file_alone(entry, name, fits):
    manifest = Manifest(entry=b"x", files=(SentFile(name=name, size_bytes=1, data=b"x"),))
    if fits:
        assert _checked(parse_entry(entry), entry, manifest) == manifest.files
    else:
        with pytest.raises(ValueError, match="name"):
            _checked(parse_entry(entry), entry, manifest)
