"""The edge in front of a stand-in for the service: what it passes on, what it adds, what it refuses."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-sip_edge"]
HERE = Path(__file__).parent
WORKER, CLIENT = ((HERE / name).read_text(encoding="utf-8") for name in ("worker.py", "client.py"))
FOLDER, STATE, SEEN = "/data/tls/current", "/run/voice-verify/tls.json", "/root/seen"
ADDRESS = "192.0.2.10"
START_S = 20


@pytest.fixture(scope="module", autouse=True)
def surroundings(host: Host) -> None:
    """An address, the stand-in, an authority in /root/ca.pem, and two certificates of one key."""
    host.check_output("ip link add card type veth peer name other; ip address add %s/24 dev card", ADDRESS)
    host.check_output("systemd-run --unit=worker python3 -c %s 5070 5071 %s", WORKER, SEEN)
    host.check_output(f"mkdir -p {FOLDER} /run/voice-verify /root/renewed")
    key = "-newkey rsa:2048 -nodes -days 9"
    host.check_output(
        f"openssl req -x509 {key} -subj /CN=CA -addext keyUsage=critical,keyCertSign"
        " -keyout /root/ca.key -out /root/ca.pem"
    )
    host.check_output(
        f"openssl req {key} -subj /CN=vv -addext subjectAltName=DNS:vv.example.org"
        f" -keyout {FOLDER}/private-key.pem -out /root/request.pem"
    )
    sign = (
        "openssl x509 -req -days 9 -CA /root/ca.pem -CAkey /root/ca.key -copy_extensions copyall -in /root/request.pem"
    )
    host.check_output(f"{sign} -out {FOLDER}/certificate.pem; {sign} -out /root/renewed/certificate.pem")
    host.check_output("systemctl daemon-reload")
    switch(host, tls=True)


def switch(host: Host, *, tls: bool) -> None:
    """As role certificate does when something changed."""
    host.check_output("printf '%%s' %s > " + STATE, json.dumps({"enabled": tls}))
    restart(host)


def restart(host: Host) -> None:
    host.check_output(
        "systemctl reset-failed kamailio; systemctl try-reload-or-restart kamailio; systemctl start kamailio"
    )
    deadline = time.monotonic() + START_S
    while host.run("ss --listening --numeric --udp --tcp | grep -c ':5060 '").stdout.strip() != "2":
        assert time.monotonic() < deadline, host.run("journalctl --unit kamailio --lines 30").stdout
        time.sleep(0.2)


def client(host: Host, action: str, address: str, *arguments: str) -> Any:
    words = " %s" * (len(arguments) + 3)
    return json.loads(host.check_output("python3 -c" + words, CLIENT, action, address, *arguments))


def seen(host: Host, text: str) -> list[dict[str, Any]]:
    """The messages that the worker got and that hold `text`."""
    messages = (json.loads(line) for line in host.file(SEEN).content_string.splitlines())
    return [message for message in messages if text in json.dumps(message)]


def values(message: dict[str, Any], name: str) -> list[str]:
    return [value for found, value in message["headers"] if found.lower() == name.lower()]


def counter(host: Host, name: str) -> int:
    said = host.check_output("kamcmd -s unix:/run/kamailio/control stats.get_statistics script:")
    return int(said.partition(f"script:{name} = ")[2].split()[0])


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_request_reaches_the_worker_and_says_where_it_is_from(host: Host, transport: str, method: str) -> None:
    told = client(host, "request", "127.0.1.1", method, transport)
    assert told["status"] == "200"
    (message,) = seen(host, told["source"])
    assert message["first"].startswith(f"{method} sip:agent@127.0.0.1 SIP/2.0")
    assert values(message, "X-Edge-Source") == [told["source"]]
    assert message["peer"] == ["127.0.0.1", 5071]


@pytest.mark.parametrize(
    "forged",
    [
        "X-Edge-Source: udp:192.0.2.99:5060",
        "x-edge-source : udp:192.0.2.99:5060",
        "X-EDGE-SOURCE:\r\n udp:192.0.2.99:5060",
        "X-Edge-Source: a\r\nX-Edge-Source: udp:192.0.2.99:5060",
    ],
    ids=["plain", "with spaces", "folded", "twice"],
)
def test_forged_source_is_removed(host: Host, forged: str) -> None:
    told = client(host, "request", "127.0.1.2", "INVITE", "udp", *forged.replace("\r\nX", "|X").split("|"))
    (message,) = seen(host, told["source"])
    assert values(message, "X-Edge-Source") == [told["source"]]
    assert seen(host, "192.0.2.99") == []


@pytest.mark.parametrize(("transport", "port"), [("udp", "5060"), ("tcp", "5060"), ("tls", "5061")])
def test_dialog_goes_through_the_edge_and_back_to_where_it_came_from(host: Host, transport: str, port: str) -> None:
    told = client(host, "call", "127.0.1.3", transport, "hangup", "<sip:caller@192.0.2.77:5999>")
    assert told["ended"].startswith("BYE sip:caller@192.0.2.77:5999 SIP/2.0")
    outer, inner = told["routes"]
    assert ADDRESS in outer
    assert port == "5060" or f"{ADDRESS}:{port}" in outer
    assert "127.0.0.1:5071" in inner


def test_answers_and_requests_come_to_the_port_that_a_gateway_names(host: Host) -> None:
    told = client(host, "call_that_waits_elsewhere", "127.0.1.22")
    assert told["ended"].startswith("BYE ")
    assert told["elsewhere"] == ""


def test_dialog_outlives_the_callers_connection(host: Host) -> None:
    assert client(host, "call_over_a_closed_connection", "127.0.1.4")["ended"].startswith("BYE ")


def test_call_is_cancelled(host: Host) -> None:
    assert client(host, "cancel", "127.0.1.5") == ["200", "487"]


def test_retransmission_reaches_the_worker_once(host: Host) -> None:
    assert client(host, "retransmitted", "127.0.1.6")["status"] == "200"
    assert len(seen(host, "INVITE sip:agent@127.0.0.1 SIP/2.0")) >= 1
    assert len([message for message in seen(host, '"retransmitted"') if message["first"].startswith("INVITE")]) == 1


def test_nothing_is_relayed_to_anybody_but_the_worker(host: Host) -> None:
    assert client(host, "relay", "127.0.1.7") == {"status": "200", "victim": ""}
    (message,) = seen(host, "INVITE sip:x@127.0.0.200:5999")
    assert values(message, "Route") == []


def test_answers_to_nothing_go_nowhere(host: Host) -> None:
    assert client(host, "answer_for_somebody_else", "127.0.1.8") == {"victim": ""}


@pytest.mark.parametrize("to_tag", ["", ";tag=made-up"], ids=["new", "of no dialog"])
def test_worker_reaches_nobody_but_its_callers(host: Host, to_tag: str) -> None:
    assert client(host, "from_the_worker", "127.0.1.9", to_tag) == {"status": "403", "victim": ""}


def test_contact_cannot_say_where_answers_go(host: Host) -> None:
    told = client(host, "call", "127.0.1.10", "udp", "forger", "<sip:a@127.0.1.10;alias=127.0.0.200~5999~1>")
    assert told["routes"] == []
    assert seen(host, "INVITE sip:forger@") == []


@pytest.mark.parametrize("method", ["REGISTER", "MESSAGE", "SUBSCRIBE", "PUBLISH", "BYE"])
def test_other_requests_are_refused(host: Host, method: str) -> None:
    told = client(host, "request", "127.0.1.11", method, "udp")
    assert told["status"] == "405"
    assert "Allow: INVITE" in told["answer"]


def test_malformed_messages_never_reach_the_worker(host: Host) -> None:
    before = len(seen(host, ""))
    told = client(host, "malformed", "127.0.1.12")
    assert set(told["answers"]) <= {"", "400"}
    assert told["then"] == "200"
    assert len(seen(host, "")) == before + 1


@pytest.mark.parametrize(("part", "status"), [("body", "200"), ("headers", "513")])
def test_large_metadata_passes_and_endless_headers_do_not(host: Host, part: str, status: str) -> None:
    assert client(host, "large", "127.0.1.13", part)["status"] == status


def test_scanner_is_not_answered_and_banned_when_it_goes_on(host: Host) -> None:
    assert client(host, "scan", "127.0.1.14", "5") == {"answers": "", "then": "200"}
    assert client(host, "scan", "127.0.1.14", "20") == {"answers": "", "then": ""}
    assert counter(host, "scanner") >= 20


def test_flood_is_banned_and_others_are_served(host: Host) -> None:
    before = counter(host, "banned")
    assert client(host, "flood", "127.0.1.15", "2000")["then"] == ""
    assert client(host, "request", "127.0.1.16", "OPTIONS", "udp")["status"] == "200"
    assert counter(host, "flood") >= 1
    assert counter(host, "banned") > before
    assert "127.0.1.15" in host.check_output("kamcmd -s unix:/run/kamailio/control htable.dump banned")
    assert "SIP from 127.0.1.15 is not heard" in host.check_output("journalctl --unit kamailio --output cat")


def test_caller_is_told_that_the_worker_does_not_run(host: Host) -> None:
    host.check_output("systemctl kill --signal=STOP worker")
    told = client(host, "request", "127.0.1.17", "INVITE", "udp")
    host.check_output("systemctl kill --signal=CONT worker")
    assert told["status"] == "500"
    assert "Retry-After: 5" in told["answer"]


def test_tls_goes_and_comes_with_the_certificate(host: Host) -> None:
    first = client(host, "certificate", "127.0.1.18")
    assert first["version"] == "TLSv1.3"
    switch(host, tls=False)
    assert client(host, "certificate", "127.0.1.18") == {"serial": ""}
    assert client(host, "request", "127.0.1.18", "OPTIONS", "tcp")["status"] == "200"
    host.check_output(f"cp /root/renewed/certificate.pem {FOLDER}")
    switch(host, tls=True)
    assert client(host, "certificate", "127.0.1.18")["serial"] not in {"", first["serial"]}


@pytest.mark.parametrize("broken", ["openssl genrsa 2048", "true"], ids=["other key", "empty"])
def test_certificate_that_cannot_be_used_leaves_the_other_ports_open(host: Host, broken: str) -> None:
    key = f"{FOLDER}/private-key.pem"
    host.check_output(f"cp -n {key} /root/kept.pem; {broken} > {key} 2>/dev/null")
    switch(host, tls=True)
    assert client(host, "certificate", "127.0.1.19") == {"serial": ""}
    assert client(host, "request", "127.0.1.19", "OPTIONS", "udp")["status"] == "200"
    assert "SIP goes on without TLS" in host.check_output("journalctl --unit kamailio --output cat")
    host.check_output(f"cp /root/kept.pem {key}")
    switch(host, tls=True)


def test_address_of_the_properties_wins(host: Host) -> None:
    host.check_output("echo SIP_EDGE_ADDRESS=203.0.113.7 > /run/voice-verify/sip-edge.env")
    restart(host)
    outer, _ = client(host, "call", "127.0.1.20", "udp", "hangup")["routes"]
    host.check_output("rm /run/voice-verify/sip-edge.env")
    restart(host)
    assert "203.0.113.7" in outer


def test_machine_without_an_address_is_waited_for(host: Host) -> None:
    host.check_output("ip address del %s/24 dev card", ADDRESS)
    host.run("systemctl restart kamailio")
    assert "no address yet" in host.check_output("journalctl --unit kamailio --lines 10 --output cat")
    host.check_output("ip address add %s/24 dev card", ADDRESS)
    restart(host)
    assert client(host, "request", "127.0.1.21", "OPTIONS", "udp")["status"] == "200"


def test_unit_is_sandboxed_and_not_roots(host: Host) -> None:
    report = host.check_output("systemd-analyze security --no-pager kamailio.service")
    assert float(report.splitlines()[-1].split(":")[1].split()[0]) < 3.0
    pid = host.check_output("systemctl show --property=MainPID --value kamailio")
    assert host.check_output("stat --format=%%U /proc/%s", pid) == "kamailio"


def test_only_the_declared_sockets_are_open(host: Host) -> None:
    def listening() -> set[tuple[str, str]]:
        lines = host.check_output("ss --no-header --listening --numeric --udp --tcp").splitlines()
        return {(line.split()[0], line.split()[4]) for line in lines}

    with_edge = listening()
    assert host.file("/run/kamailio/control").mode == 0o600
    host.check_output("systemctl stop kamailio")
    assert with_edge - listening() == {
        ("udp", "0.0.0.0:5060"), ("tcp", "0.0.0.0:5060"), ("tcp", "0.0.0.0:5061"), ("udp", "127.0.0.1:5071"),
    }  # fmt: skip
