"""Packets in order, whatever the network did to them, and only those of the source in force."""

from __future__ import annotations

import random
from collections.abc import Iterable

from voice_verify.telephony.rtp.media import Address
from voice_verify.telephony.rtp.packet import Packet
from voice_verify.telephony.rtp.reorder import Reorder
from voice_verify.telephony.rtp.stats import RtpStats

HERE: Address = ("192.0.2.1", 4000)
OTHER: Address = ("192.0.2.2", 4000)


class Recorder:
    """What a Reorder delivers, by its sequence numbers; a packet every 20 ms unless the test says when."""

    def __init__(self) -> None:
        self.stats = RtpStats()
        self.delivered: list[int] = []
        self.lost: list[int] = []
        self.switches: list[Address] = []
        self.order = Reorder(self.stats, self._deliver, self.switches.append)
        self.now = 100.0

    def send(self, numbers: Iterable[int], ssrc: int = 7, source: Address = HERE, *, rival: bool = False) -> None:
        for number in numbers:
            self.at(self.now, number, ssrc, source, rival=rival)
            self.now += 0.02

    def at(self, when: float, number: int, ssrc: int = 7, source: Address = HERE, *, rival: bool = False) -> None:
        packet = Packet(8, number & 0xFFFF, 160 * number & 0xFFFFFFFF, ssrc, b"")
        self.order.push(packet, when, source, rival=rival)

    def _deliver(self, packet: Packet, _: float, lost: int) -> None:
        self.delivered.append(packet.sequence)
        self.lost.append(lost)


def started(first: int = 0, count: int = 20) -> Recorder:
    recorder = Recorder()
    recorder.send(range(first, first + count))
    recorder.order.expire(recorder.now)
    return recorder


def test_packets_in_order_are_delivered_at_once() -> None:
    recorder = started()
    recorder.send([20])
    assert recorder.delivered == list(range(21))
    assert recorder.stats == RtpStats(packets=21)


def test_one_packet_is_no_stream() -> None:
    recorder = Recorder()
    recorder.send([5])
    recorder.order.expire(recorder.now + 1)
    assert recorder.delivered == []
    assert recorder.order.ssrc is None
    assert recorder.stats == RtpStats(unconfirmed=1)


def test_the_first_packets_may_be_out_of_order() -> None:
    recorder = Recorder()
    recorder.send([2, 1, 0, 3])
    recorder.order.expire(recorder.now + 0.2)
    assert recorder.delivered == [0, 1, 2, 3]


def test_a_swap_is_put_right() -> None:
    recorder = started()
    recorder.send([21, 20, 22])
    assert recorder.delivered == list(range(23))
    assert recorder.stats == RtpStats(packets=23, reordered=1)


def test_numbers_wrap() -> None:
    recorder = started(65520)
    recorder.send([4, 5, 7, 6])
    assert recorder.delivered == [number & 0xFFFF for number in range(65520, 65544)]


def test_a_gap_is_given_up_after_a_while() -> None:
    recorder = started()
    recorder.send([22])
    recorder.order.expire(recorder.now)
    assert recorder.delivered[-1] == 19
    recorder.order.expire(recorder.now + 0.2)
    assert recorder.delivered[-1] == 22
    assert recorder.lost[-1] == 2
    assert recorder.stats == RtpStats(packets=21, lost=2)


def test_what_comes_after_that_is_late_once_and_then_a_duplicate() -> None:
    recorder = started()
    recorder.send([21])
    recorder.order.expire(recorder.now + 0.2)
    recorder.send([20, 20, 21, 22])
    assert recorder.delivered == [*range(20), 21, 22]
    assert recorder.stats == RtpStats(packets=25, lost=1, late=1, duplicates=2)


def test_duplicates_are_dropped_also_while_they_wait() -> None:
    recorder = started()
    recorder.send([19, 21, 21, 20])
    assert recorder.delivered == list(range(22))
    assert recorder.stats.duplicates == 2


def test_a_gap_is_not_kept_open_for_more_packets_than_memory_is_for() -> None:
    recorder = started()
    for number in range(21, 21 + 65):
        recorder.at(recorder.now, number)
    recorder.order.expire(recorder.now)
    assert recorder.delivered[-1] == 85
    assert recorder.stats.lost == 1


def test_the_end_delivers_what_waits() -> None:
    recorder = started()
    recorder.send([21, 23])
    recorder.order.close()
    assert recorder.delivered == [*range(20), 21, 23]
    assert recorder.stats.lost == 2


def test_a_call_shorter_than_the_probation_is_heard() -> None:
    recorder = Recorder()
    recorder.send([1, 2, 3])
    recorder.order.close()
    assert recorder.delivered == [1, 2, 3]


def test_another_source_takes_over_when_the_first_stops() -> None:
    recorder = started()
    recorder.send(range(5000, 5020), ssrc=8)
    assert recorder.delivered == [*range(20), *range(5000, 5020)]
    assert recorder.order.ssrc == 8
    assert recorder.stats == RtpStats(packets=40, restarts=1)


def test_stragglers_of_the_old_source_do_not_hold_up_the_new() -> None:
    recorder = started()
    recorder.send([5000], ssrc=8)
    recorder.send([20])
    recorder.send(range(5001, 5020), ssrc=8)
    assert recorder.delivered == [*range(21), *range(5000, 5020)]


def test_two_sources_at_once_do_not_take_turns() -> None:
    recorder = started()
    for number in range(20, 100):
        recorder.send([number])
        recorder.send([5000 + number], ssrc=8)
    recorder.order.expire(recorder.now + 0.2)
    assert recorder.delivered == list(range(100))
    assert recorder.stats.restarts == 0
    assert recorder.stats.unconfirmed == 80


def test_a_rival_need_not_wait_for_the_first_to_stop() -> None:
    recorder = started()
    for number in range(20, 40):
        recorder.send([number])
        recorder.send([5000 + number], ssrc=8, source=OTHER, rival=True)
    assert recorder.order.ssrc == 8
    assert recorder.switches[-1] == OTHER


def test_a_stray_packet_far_off_changes_nothing() -> None:
    recorder = started()
    recorder.send([40000, *range(20, 40)])
    recorder.order.expire(recorder.now)
    assert recorder.delivered == list(range(40))
    assert recorder.stats.unconfirmed == 1


def test_a_numbering_that_starts_anew_is_followed() -> None:
    recorder = started()
    recorder.send(range(40000, 40020))
    assert recorder.delivered == [*range(20), *range(40000, 40020)]
    assert recorder.stats.restarts == 1


def test_a_long_loss_is_counted() -> None:
    recorder = started()
    recorder.send(range(2020, 2040))
    recorder.order.expire(recorder.now + 0.2)
    assert recorder.stats.lost == 2000
    assert recorder.delivered[-1] == 2039


def test_junk_before_the_call_does_not_keep_it_out() -> None:
    recorder = Recorder()
    for number in range(30):
        recorder.send([number])
        for junk in range(20):
            recorder.at(recorder.now, 7 * junk, ssrc=1000 + 20 * number + junk)
    assert recorder.order.ssrc == 7
    assert recorder.delivered == list(range(30))


def test_packets_that_come_while_others_are_read_have_as_long_as_those() -> None:
    recorder = started()
    recorder.at(recorder.now + 0.005, 21)
    recorder.at(recorder.now + 0.005, 5000, ssrc=8)
    recorder.order.expire(recorder.now)
    assert recorder.delivered[-1] == 19
    assert recorder.stats.unconfirmed == 0


def test_a_clock_that_is_set_back_stalls_nothing() -> None:
    recorder = started()
    recorder.send([21])
    recorder.order.expire(recorder.now - 3600)
    assert recorder.delivered[-1] == 21


def test_what_was_not_dropped_arrives_once_and_in_order() -> None:
    chance = random.Random(3550)  # noqa: S311
    for _ in range(300):
        first, loss = chance.randrange(65536), chance.choice([0.0, 0.02, 0.3])
        # Two in sequence make it a stream; the rest is chance.
        sent = [number for number in range(120) if number < 2 or chance.random() >= loss]
        arrivals = [(0.02 * number + chance.uniform(0, 0.15), number) for number in sent]
        arrivals += [(when + 0.01, number) for when, number in arrivals if chance.random() < 0.1]
        recorder = Recorder()
        tick = 100.1
        for when, number in sorted(arrivals):
            while 100 + when > tick:
                recorder.order.expire(tick)
                tick += 0.1
            recorder.at(100 + when, first + number)
        recorder.order.close()
        assert recorder.delivered == [(first + number) & 0xFFFF for number in sent]
        assert recorder.stats.lost == sent[-1] + 1 - len(sent)
        assert recorder.stats.duplicates + recorder.stats.unconfirmed == len(arrivals) - len(sent)
        assert recorder.stats.late == recorder.stats.restarts == 0
