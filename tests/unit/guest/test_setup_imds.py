"""EC2's user data, asked for with a token."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from vv_setup.environment import Environment, Interface, Unreadable
from vv_setup.sources import imds

from tests.doubles.imds import Imds

PATIENCE_S = 5.0
Start = Callable[..., Imds]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the metadata service of an instance."""
    running: list[Imds] = []

    def run(**instance: Any) -> Imds:
        service = Imds(("127.0.0.1", 0), instance)
        running.append(service)
        threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return service

    yield run
    for service in running:
        service.shutdown()
        service.server_close()


def read(service: Imds, patience_s: float = PATIENCE_S) -> Environment:
    return imds.read(("127.0.0.1", service.server_address[1]), patience_s)


def test_user_data_become_properties(start: Start) -> None:
    found = read(start(user_data="#voice-verify\ndomain: example.org\nweb_sources: 192.0.2.0/24\n"))
    assert found.properties == {"domain": "example.org", "web_sources": "192.0.2.0/24"}
    assert (found.source, found.problem) == ("EC2 user data", "")
    assert found.only_our_keys
    assert found.assigns_addresses


def test_every_question_carries_a_token_that_was_asked_for_once(start: Start) -> None:
    service = start(user_data="hostname: vv1")
    read(service)
    assert [method for method, _, _ in service.asked].count("PUT") == 1
    assert service.asked[0] == ("PUT", "/latest/api/token", 200)
    assert {status for _, _, status in service.asked} <= {200, 404}


def test_instance_without_user_data_has_no_properties(start: Start) -> None:
    assert read(start()).properties == {}


def test_key_pair_and_amazons_time_server_are_known_to_the_platform(start: Start) -> None:
    found = read(start(public_key="ssh-ed25519 AAAA launch-key"))
    assert found.defaults == {"ntp": "169.254.169.123", "ssh_key": "ssh-ed25519 AAAA launch-key"}


def test_second_network_interface_is_found(start: Start) -> None:
    cards = [
        {"mac": "0e:00:00:00:00:02", "device_number": 1, "local_ipv4s": ["10.0.1.20", "10.0.1.21"]},
        {"mac": "0e:00:00:00:00:01", "device_number": 0, "local_ipv4s": ["10.0.0.4"]},
    ]
    assert read(start(interfaces=cards)).interfaces == (Interface(1, "0e:00:00:00:00:02", ("10.0.1.20", "10.0.1.21")),)


def test_wrong_user_data_leave_the_key_pair_to_log_in(start: Start) -> None:
    found = read(start(user_data="#!/bin/sh\necho", public_key="ssh-ed25519 AAAA launch-key"))
    assert "script" in found.problem
    assert found.properties == {}
    assert found.defaults["ssh_key"]


def test_failures_of_a_moment_are_waited_out(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imds, "PAUSE_S", 0.01)
    assert read(start(user_data="hostname: vv1", refusals=3)).properties == {"hostname": "vv1"}


def test_token_that_ran_out_is_renewed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imds, "PAUSE_S", 0.01)
    service = start(user_data="hostname: vv1")
    answer, asked = service.content, []

    def forgetful(path: str) -> str | None:
        if not asked:
            service.forget_tokens()
        asked.append(path)
        return answer(path)

    service.content = forgetful  # type: ignore[method-assign]
    assert read(service).properties == {"hostname": "vv1"}
    assert [method for method, _, _ in service.asked].count("PUT") == 2


def test_network_that_comes_up_late_is_waited_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imds, "PAUSE_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    found: list[Environment] = []
    reader = threading.Thread(target=lambda: found.append(imds.read(("127.0.0.1", port), PATIENCE_S)))
    reader.start()
    time.sleep(0.2)
    service = Imds(("127.0.0.1", port), {"user_data": "hostname: vv1"})
    threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01}).start()
    reader.join()
    service.shutdown()
    service.server_close()
    assert found[0].properties == {"hostname": "vv1"}


def test_disabled_metadata_are_told_at_once(start: Start) -> None:
    began = time.monotonic()
    with pytest.raises(Unreadable, match="enable the metadata endpoint"):
        read(start(enabled=False))
    assert time.monotonic() - began < PATIENCE_S


def test_silence_ends_after_the_patience() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    with pytest.raises(Unreadable, match="did not answer for 0 s"):
        imds.read(("127.0.0.1", port), 0.2)
