"""Ctrl-C is told from a `KeyboardInterrupt` that code raises, and handled as before afterwards."""

from __future__ import annotations

import signal
import threading

import pytest

from counteract._interrupts import Interrupt, are_told, telling_interrupts


@pytest.mark.usefixtures("heard")
def test_ctrl_c_raises_an_exception_of_its_own() -> None:
    before = signal.getsignal(signal.SIGINT)
    assert not are_told()
    with telling_interrupts():
        assert are_told()
        with pytest.raises(Interrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_stays_ignored_where_it_is() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with telling_interrupts():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_change_nothing() -> None:
    seen = []

    def work() -> None:
        with telling_interrupts():
            seen.append(are_told())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
