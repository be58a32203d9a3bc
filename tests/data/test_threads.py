"""What `in_order` promises: the order of one thread, at the speed of several."""

import threading
import time

import pytest

from st_keras.data.threads import in_order

_SECONDS = 10  # Until a thread that waits for another gives up.


def test_results_come_in_the_order_of_the_items():
    def slow_at_first(number):
        time.sleep(0.05 if number == 0 else 0.0)
        return number * number

    assert list(in_order(slow_at_first, range(9), threads=3)) == [
        *(0, 1, 4, 9, 16, 25, 36, 49, 64)
    ]


def test_several_are_under_way_at_a_time():
    together = threading.Barrier(3, timeout=_SECONDS)

    def wait_for_two_others(number):
        together.wait()
        return number

    assert list(in_order(wait_for_two_others, range(6), threads=3)) == [*range(6)]


def test_items_are_read_a_few_ahead_and_no_more():
    read = []

    def endless():
        while True:
            read.append(len(read))
            yield read[-1]

    results = in_order(abs, endless(), threads=2)
    assert [next(results) for _ in range(10)] == [*range(10)]
    # One for each of two threads, two that wait, and the next.
    assert len(read) <= 10 + 2 + 2 + 1


def test_an_error_of_the_function_comes_in_its_turn():
    results = in_order(lambda number: 6 // (3 - number), range(9), threads=2)
    assert [next(results) for _ in range(3)] == [2, 3, 6]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_an_error_of_reading_comes_after_what_was_read():
    def two_and_no_more():
        yield from (5, 7)
        raise ValueError("damaged.")

    found = []
    with pytest.raises(ValueError, match="damaged"):
        for result in in_order(str, two_and_no_more(), threads=4):
            found.append(result)
    assert found == ["5", "7"]


def test_an_error_that_is_kept_keeps_no_thread_and_reads_no_further():
    before, read = threading.active_count(), []

    def endless():
        try:
            while True:
                read.append(len(read))
                yield read[-1]
        finally:
            read.append("closed")

    results = in_order(lambda number: 6 // (3 - number), endless(), threads=2)
    with pytest.raises(ZeroDivisionError) as kept:
        list(results)
    assert read[-1] == "closed"
    assert threading.active_count() == before
    assert kept.value.__traceback__ is not None


def test_who_has_had_enough_leaves_no_thread_behind():
    before = threading.active_count()
    results = in_order(abs, iter(range(1000)), threads=3)
    next(results)
    assert threading.active_count() > before
    results.close()
    assert threading.active_count() == before
