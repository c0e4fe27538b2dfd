"""Readers of one process pause together when they have overlapped for long, so that a writer gets its turn."""

import threading
import time
from pathlib import Path

import pytest

from lookalike.storage import read_gate
from lookalike.storage.read_gate import ReadGate, gate_of


def test_a_reader_does_not_wait_when_none_has_read_for_long() -> None:
    gate = ReadGate()
    with gate.reading():
        assert gate._readers == 1
    assert gate._readers == 0


def test_a_thread_that_is_within_enters_again_although_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = ReadGate()
    monkeypatch.setattr(read_gate, "_LONGEST_S", -1.0)
    with gate.reading(), gate.reading(), gate.reading(counts=False):
        assert gate._readers == 1
    with gate.reading(counts=False), gate.reading():
        assert gate._readers == 0


def test_a_reader_that_waits_for_another_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = ReadGate()
    monkeypatch.setattr(read_gate, "_LONGEST_S", 0.0)
    monkeypatch.setattr(read_gate, "_PATIENCE_S", 0.05)
    entered = []

    def read() -> None:
        with gate.reading():
            entered.append(gate._readers)

    with gate.reading():
        thread = threading.Thread(target=read)
        thread.start()
        thread.join(30)
        assert entered == [2]
    assert gate._readers == 0


def test_a_new_reader_waits_for_the_others_after_a_long_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, order = ReadGate(), []
    entered = threading.Event()
    monkeypatch.setattr(read_gate, "_LONGEST_S", -1.0)  # any overlap is too long

    def late() -> None:
        entered.set()
        with gate.reading():
            order.append("late")

    thread = threading.Thread(target=late)
    with gate.reading():
        thread.start()
        entered.wait()
        while not gate._is_draining:
            time.sleep(0.001)
        order.append("first")
    thread.join()
    assert order == ["first", "late"]
    assert not gate._is_draining


def test_readers_that_never_pause_are_all_out_again_and_again() -> None:
    """Without the gate, some reader of eight would be within all the time."""
    gate, ended, pauses = ReadGate(), threading.Event(), []
    leave = gate._leave

    def counted() -> None:
        leave()
        if not gate._readers:
            pauses.append(1)

    gate._leave = counted  # type: ignore[method-assign]

    def read() -> None:
        while not ended.is_set():
            with gate.reading():
                time.sleep(0.005)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    while len(pauses) < 5:
        time.sleep(0.01)
    ended.set()
    for thread in threads:
        thread.join()
    assert gate._readers == 0


def test_an_error_within_lets_the_reader_out() -> None:
    gate = ReadGate()
    with pytest.raises(ZeroDivisionError), gate.reading():
        _ = 1 / 0
    assert gate._readers == 0


def test_all_users_of_a_file_in_a_process_share_its_gate(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert gate_of(tmp_path / "catalog") is not gate_of(tmp_path / "other")
    gate = gate_of(tmp_path / "catalog")
    assert gate_of(tmp_path / "link" / "catalog") is gate
