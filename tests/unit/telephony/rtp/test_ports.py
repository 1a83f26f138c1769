"""Pairs of ports: even and odd, in turn, around those of other programs, never lost."""

from __future__ import annotations

import socket

import pytest

from voice_verify.telephony.rtp import NoPorts, PortPool

from .conftest import free_ports


def test_a_pair_is_an_even_port_and_the_next(pool: PortPool) -> None:
    pair = pool.take()
    assert pair.port % 2 == 0
    assert pair.rtp.getsockname() == ("127.0.0.1", pair.port)
    assert pair.rtcp.getsockname() == ("127.0.0.1", pair.port + 1)
    pair.close()


def test_the_range_of_the_appliance_has_175_pairs() -> None:
    assert PortPool("", 20000, 20350).free == 175


def test_an_odd_first_port_is_rounded_up() -> None:
    assert PortPool("", 20001, 20005).free == 2


def test_pairs_are_handed_out_first_in_first_out(pool: PortPool) -> None:
    first = pool.take()
    first.close()
    taken = [pool.take() for _ in range(4)]
    assert [pair.port for pair in taken] == [first.port + 2, first.port + 4, first.port + 6, first.port]
    for pair in taken:
        pair.close()
    assert pool.free == 4


@pytest.mark.parametrize("offset", [0, 1])
def test_a_pair_that_another_program_holds_is_skipped(pool: PortPool, offset: int) -> None:
    probe = pool.take()
    probe.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", probe.port + 2 + offset))
        taken = [pool.take() for _ in range(3)]
        assert probe.port + 2 not in [pair.port for pair in taken]
        with pytest.raises(NoPorts):
            pool.take()
    later = pool.take()
    assert later.port == probe.port + 2
    for pair in [*taken, later]:
        pair.close()


def test_giving_back_twice_does_not_double_a_pair(pool: PortPool) -> None:
    pair = pool.take()
    pair.close()
    pair.close()
    assert pool.free == 4


def test_no_pair_is_lost_when_none_is_left(pool: PortPool) -> None:
    taken = [pool.take() for _ in range(4)]
    with pytest.raises(NoPorts, match="all RTP ports are taken"):
        pool.take()
    for pair in taken:
        pair.close()
    assert pool.free == 4


def test_an_address_that_is_not_ours_is_said() -> None:
    first = free_ports(2)
    pool = PortPool("192.0.2.1", first, first + 1)
    with pytest.raises(NoPorts, match=r"192\.0\.2\.1"):
        pool.take()
    assert pool.free == 1
