"""The machine's certificate: what is taken, what is refused, and what a power cut leaves. With the real openssl."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from vv_certificate import actions, check, openssl, pem, state
from vv_certificate.refused import Refused
from vv_certificate.store import CERTIFICATE, KEY, REQUEST, Store

from .authority import CLIENT, NOW, Authority, new_key
from .authority import pem as as_pem

NAMES = ["voiceverify.example.org", "kibana.example.org", "grafana.example.org", "example.org"]
WARN_DAYS = 30
AUTHORITY = Authority()
ROOT = as_pem(AUTHORITY.certificate)
OURS = new_key()
PAIR = AUTHORITY.issue(OURS, NAMES) + as_pem(OURS)


@pytest.fixture
def stored(tmp_path: Path) -> Store:
    """An empty store."""
    store = Store(tmp_path / "tls")
    with store.locked():
        return store


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store whose machine has made its key, which takes seconds."""
    folder = tmp_path_factory.mktemp("made") / "tls"
    store = Store(folder)
    with store.locked():
        actions.keep_request(store, NAMES)
    return folder


@pytest.fixture
def own(made: Path, tmp_path: Path) -> Store:
    """A store of its own whose machine has made its key."""
    shutil.copytree(made, tmp_path / "tls", symlinks=True)
    return Store(tmp_path / "tls")


def install(stored: Store, text: str, now: datetime = NOW) -> list[openssl.Facts]:
    return actions.install(stored, pem.read(text.encode(), "cert.pem"), "", now)


def judge(stored: Store, now: datetime = NOW) -> state.State:
    return state.judge(stored, NAMES, now, WARN_DAYS)


def tree(stored: Store) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in stored.current.iterdir()} if stored.current.exists() else {}


def test_request_has_the_names_of_the_machine_and_its_own_key(own: Store) -> None:
    request = x509.load_pem_x509_csr(own.read(REQUEST).encode())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == NAMES
    assert request.subject.rfc4514_string() == f"CN={NAMES[0]}"
    key = serialization.load_pem_private_key(own.read(KEY).encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == openssl.KEY_BITS
    assert request.public_key() == key.public_key()


def test_key_is_made_once(own: Store) -> None:
    before = tree(own)
    actions.keep_request(own, NAMES)
    assert tree(own) == before


def test_new_domain_gives_a_new_request_with_the_same_key(own: Store) -> None:
    before = tree(own)
    actions.keep_request(own, ["voiceverify.example.net"])
    assert own.read(KEY) == before[KEY].decode()
    assert openssl.requested_names(own.read(REQUEST)) == ("voiceverify.example.net",)


def test_machine_without_a_domain_makes_no_request(stored: Store) -> None:
    with pytest.raises(Refused, match="no domain") as refused:
        actions.keep_request(stored, actions.names("", ["voiceverify"]))
    assert "property domain" in refused.value.hint


def test_certificate_of_the_request_is_taken_with_its_chain(own: Store) -> None:
    install(own, AUTHORITY.sign(own.read(REQUEST)) + ROOT)
    found = judge(own)
    assert (found["enabled"], found["names_fit"], found["problem"]) == (True, True, "")
    assert own.read(CERTIFICATE).count("BEGIN CERTIFICATE") == 2
    assert datetime.fromisoformat(found["not_after"]) > NOW + timedelta(days=360)


def test_everything_is_for_root_only(own: Store) -> None:
    install(own, AUTHORITY.sign(own.read(REQUEST)))
    assert own.current.resolve().parent.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in own.current.iterdir()} == {0o600}


def test_certificate_with_its_key_replaces_the_key(own: Store) -> None:
    install(own, PAIR)
    assert own.read(KEY) == as_pem(OURS)
    # The old one was for the key before.
    assert own.read(REQUEST) == ""
    assert judge(own)["enabled"]


def test_renewed_certificate_keeps_key_and_request(own: Store) -> None:
    request = own.read(REQUEST)
    install(own, AUTHORITY.sign(request))
    before = judge(own)
    install(own, AUTHORITY.sign(request))
    assert own.read(REQUEST) == request
    assert judge(own)["fingerprint"] != before["fingerprint"]


def weak() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    return AUTHORITY.issue(key, NAMES) + as_pem(key)


def locked() -> str:
    method = serialization.BestAvailableEncryption(b"secret")
    key = OURS.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, method)
    return AUTHORITY.issue(OURS, NAMES) + key.decode()


WRONG = {
    "belongs to another private key": AUTHORITY.issue(new_key(), NAMES),
    "expired on": AUTHORITY.issue(OURS, NAMES, begins=NOW - timedelta(days=9), days=-1) + as_pem(OURS),
    "is not valid before": AUTHORITY.issue(OURS, NAMES, begins=NOW + timedelta(days=1)) + as_pem(OURS),
    "is not one for servers": AUTHORITY.issue(OURS, NAMES, usage=CLIENT) + as_pem(OURS),
    "key is too short": weak(),
    "has a passphrase": locked(),
    "holds 2 private keys": PAIR + as_pem(OURS),
    "there is no certificate": as_pem(OURS),
    "is a signing request": openssl.make_request(as_pem(OURS), NAMES),
    "PKCS #7": "-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n",
    "cannot be read": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    # Cut off, so that no block is whole.
    "there is no certificate ": PAIR[:300],
}


@pytest.mark.parametrize("why", WRONG)
def test_refuses_what_cannot_be_served_and_keeps_what_is_in_force(own: Store, why: str) -> None:
    install(own, AUTHORITY.sign(own.read(REQUEST)))
    before = tree(own)
    with pytest.raises(Refused, match=why.strip()) as refused:
        install(own, WRONG[why])
    assert refused.value.hint
    assert tree(own) == before
    # Nor is a refused private key left lying about.
    assert as_pem(OURS) not in [path.read_text() for path in own.current.resolve().parent.glob("*/*")]


def test_refuses_der_and_says_how_to_convert_it() -> None:
    der = AUTHORITY.certificate.public_bytes(serialization.Encoding.DER)
    with pytest.raises(Refused, match="not PEM") as refused:
        pem.read(der, "cert.cer")
    assert "openssl x509 -inform DER" in refused.value.hint


def test_refuses_a_certificate_without_any_key(stored: Store) -> None:
    with pytest.raises(Refused, match="no private key for it"):
        install(stored, AUTHORITY.issue(OURS, NAMES))


def test_certificate_for_other_names_is_taken_with_a_problem(own: Store) -> None:
    install(own, AUTHORITY.issue(OURS, ["vv.example.net"]) + as_pem(OURS))
    found = judge(own)
    assert found["enabled"]
    assert not found["names_fit"]
    assert found["problem"] == "the certificate is for vv.example.net, not for voiceverify.example.org"


@pytest.mark.parametrize(
    ("names", "name", "expected"),
    [
        (["voiceverify.example.org"], "voiceverify.example.org", True),
        (["VoiceVerify.Example.org"], "voiceverify.example.org", True),
        (["*.example.org"], "voiceverify.example.org", True),
        (["*.example.org"], "example.org", False),
        (["*.example.org"], "a.b.example.org", False),
        (["example.org"], "voiceverify.example.org", False),
        ([], "voiceverify.example.org", False),
        (["192.0.2.1"], "192.0.2.1", True),
    ],
)
def test_names_are_compared_as_clients_do(names: list[str], name: str, expected: bool) -> None:
    # The common name is not looked at, which clients do not either.
    assert check.covers(openssl.describe(AUTHORITY.issue(OURS, names)), name) is expected


def test_any_name_will_do_for_a_machine_without_a_domain(own: Store) -> None:
    install(own, AUTHORITY.issue(OURS, ["vv.example.net"]) + as_pem(OURS))
    found = state.judge(own, [], NOW, WARN_DAYS)
    assert (found["names_fit"], found["problem"]) == (True, "")


@pytest.mark.parametrize(
    ("days", "problem"), [(31, ""), (29, "expires in 28 days"), (0.5, "expires in 0 days"), (-1, "expired on")]
)
def test_expiry_is_announced_and_leaves_tls_on(own: Store, days: float, problem: str) -> None:
    certificate = AUTHORITY.issue(OURS, NAMES, begins=NOW - timedelta(days=60), days=days)
    install(own, certificate + as_pem(OURS), NOW - timedelta(days=50))
    found = judge(own)
    assert found["enabled"]
    assert found["problem"].startswith(f"the certificate {problem}" if problem else "")
    assert bool(found["problem"]) == bool(problem)


def test_order_of_the_chain_is_looked_at() -> None:
    other = openssl.describe(as_pem(Authority().certificate))
    own, root = openssl.describe(AUTHORITY.issue(OURS, NAMES)), openssl.describe(ROOT)
    assert check.broken_chain([own, root]) == ""
    assert check.broken_chain([own]) == ""
    assert "was issued by CN=Test CA" in check.broken_chain([own, own, other])


def test_machine_without_a_certificate_has_no_tls_and_no_problem(own: Store) -> None:
    found = judge(own)
    assert (found["enabled"], found["problem"], found["not_after"]) == (False, "", "")


def test_damaged_certificate_on_the_disk_turns_tls_off_and_is_told(own: Store) -> None:
    install(own, PAIR)
    (own.current / CERTIFICATE).write_text(AUTHORITY.issue(new_key(), NAMES))
    found = judge(own)
    assert not found["enabled"]
    assert "another private key" in found["problem"]


def test_interrupted_change_leaves_what_was_in_force(own: Store) -> None:
    before = tree(own)

    def interrupted() -> None:
        with own.change() as staged:
            (staged / KEY).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert tree(own) == before


def test_leftovers_of_a_power_cut_are_overlooked(own: Store) -> None:
    before = own.read(KEY)
    used = own.current.readlink().name
    other = own.current.parent / ("b" if used == "a" else "a")
    other.mkdir(exist_ok=True)
    (other / KEY).write_text("half")
    (own.current.parent / "current.new").symlink_to(other.name)
    actions.keep_request(own, ["voiceverify.example.net"])
    assert own.read(KEY) == before


def test_property_is_taken_once_and_a_later_one_by_hand_stays(own: Store, tmp_path: Path) -> None:
    given = tmp_path / "certificate.pem"
    given.write_text(PAIR)
    assert actions.take_property(own, given) == ""
    assert own.read(KEY) == as_pem(OURS)
    newer = new_key()
    by_hand = pem.read((AUTHORITY.issue(newer, NAMES) + as_pem(newer)).encode(), "cert.pem")
    actions.install(own, by_hand, actions.digest(given), NOW)
    assert actions.take_property(own, given) == ""
    assert own.read(KEY) == as_pem(newer)
    given.write_text(PAIR + "\n")
    actions.take_property(own, given)
    assert own.read(KEY) == as_pem(OURS)


def test_refused_property_is_told_until_it_is_corrected(own: Store, tmp_path: Path) -> None:
    given = tmp_path / "certificate.pem"
    given.write_text(AUTHORITY.issue(new_key(), NAMES))
    for _ in range(2):
        assert "another private key" in actions.take_property(own, given)
    given.unlink()
    assert actions.take_property(own, given) == ""


def test_others_are_told_only_what_matters_to_them(own: Store, tmp_path: Path) -> None:
    path = tmp_path / "run" / "tls.json"
    install(own, PAIR)
    assert state.publish(judge(own), path)
    assert path.stat().st_mode & 0o777 == 0o644
    # Another number of days left is news for a person only.
    assert not state.publish(judge(own, NOW + timedelta(days=350)), path)
    assert "expires in" in json.loads(path.read_text())["problem"]
    install(own, AUTHORITY.issue(OURS, NAMES))
    assert state.publish(judge(own), path)


def test_store_waits_for_the_one_who_changes_it(own: Store) -> None:
    folder = own.current.parent
    with own.locked():
        waiting = subprocess.run(["flock", "--nonblock", str(folder), "true"], check=False)
    assert waiting.returncode == 1
    assert subprocess.run(["flock", "--nonblock", str(folder), "true"], check=False).returncode == 0
