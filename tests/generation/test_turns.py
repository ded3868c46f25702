"""Turns are served in the order in which they were asked for."""

from __future__ import annotations

import threading
import time

import pytest

from backend.generation.turns import Turns


def test_nobody_is_overtaken() -> None:
    turns, order = Turns(), []

    def take(name: int) -> None:
        with turns:
            order.append(name)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
    with turns, turns:  # the holder may enter again
        for number, thread in enumerate(threads):
            thread.start()
            until = time.monotonic() + 5
            while turns.waiting <= number and time.monotonic() < until:
                time.sleep(0.001)
        assert order == []
    for thread in threads:
        thread.join(5)
    assert order == list(range(8))


def test_a_greedy_thread_lets_others_in() -> None:
    turns, stop = Turns(), threading.Event()

    def greedy() -> None:
        while not stop.is_set():
            with turns:
                time.sleep(0.002)

    thread = threading.Thread(target=greedy)
    thread.start()
    began = time.monotonic()
    for _ in range(10):
        with turns:
            pass
    stop.set()
    thread.join(5)
    assert time.monotonic() - began < 2


def test_an_error_gives_the_turn_back() -> None:
    turns, inside, most = Turns(), 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with turns:
                inside += 1
                most = max(most, inside)
                time.sleep(0.0001)
                inside -= 1

    with pytest.raises(ZeroDivisionError), turns:
        raise ZeroDivisionError
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (inside, most) == (0, 1)
