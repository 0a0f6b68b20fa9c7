"""Log lines as JSON: one object a line, and found again by reference, job and worker."""

import io
import json
import logging
import sys
import threading

import pytest

from gpu_worker.language.log_lines import JsonLines, LineLog, catch_the_rest, message_of


@pytest.fixture
def heard():
    """A logger, and what was written so far, line by line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines({"worker": "w1"}))
    logger = logging.Logger("tests.lines")
    logger.addHandler(handler)
    return logger, lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_failed_job_is_found_by_its_reference_and_by_its_id(heard):
    logger, lines = heard
    logger.error("job %s failed (%s), reference %s: %s", "j1", "oom", "1a2b3c4d", "no memory\nleft\u2028")
    (line,) = lines()
    assert (line["job"], line["reference"], line["worker"]) == ("j1", "1a2b3c4d", "w1")
    assert (line["level"], line["logger"]) == ("error", "tests.lines")
    assert line["message"] == "job j1 failed (oom), reference 1a2b3c4d: no memory\nleft\u2028"
    assert line["time"].endswith("Z")


@pytest.mark.parametrize(
    ("template", "values", "found"),
    [
        ("worker %s refused job %s: %s", ("w7", "j2", "job x"), {"worker": "w7", "job": "j2"}),
        ("the %s of job %s, 100%% of %.1f s", ("done", "j3", 2.0), {"job": "j3"}),
        ("Worker %s could not start (%s).", ("t1", "?"), {"worker": "t1"}),
        ("training %s is paused by %s", ("j4", 7), {"job": "j4"}),
        ("%s jobs, and %s workers wait for %s", (1, 2, 3), {}),
        ("nothing is said of a job", (), {}),
    ],
)
def test_what_a_template_names(heard, template, values, found):
    logger, lines = heard
    logger.info(template, *values)
    assert {key: value for key, value in lines()[0].items() if key in ("job", "reference")} | (
        {"worker": lines()[0]["worker"]} if "worker" in found else {}
    ) == found


def test_traces_and_extras_are_in_the_same_line(heard):
    logger, lines = heard
    try:
        raise ValueError("a\nb")
    except ValueError:
        logger.exception("it broke", extra={"job": "j5"})
    (line,) = lines()
    assert line["job"] == "j5"
    assert line["exc"].startswith("Traceback")
    assert line["exc"].endswith("ValueError: a\nb")


def test_what_is_printed_becomes_lines_and_a_log_that_cannot_be_written_no_loop(heard):
    logger, lines = heard
    printed = LineLog(logger)
    print("half", end="", file=printed)
    assert lines() == []
    print(" a line\n\n 10%\r 20%", file=printed)
    assert [line["message"] for line in lines()] == ["half a line", " 10%", " 20%"]

    class Full(logging.Handler):
        def emit(self, record):
            print("no room", file=printed)

    logger.handlers = [Full()]
    print("something", file=printed)


def test_uncaught_errors_of_threads_become_lines(heard, monkeypatch):
    logger, lines = heard
    for name in ("excepthook", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    catch_the_rest(logger)
    logging.captureWarnings(False)
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    assert "ZeroDivisionError" in lines()[0]["exc"]


@pytest.mark.parametrize(
    ("line", "said"),
    [('{"message": "no card"}', "no card"), ("plain", "plain"), ("{broken", "{broken"), ('{"a": 1}', '{"a": 1}')],
)
def test_last_words_are_read_whichever_way_they_were_written(line, said):
    assert message_of(line) == said
