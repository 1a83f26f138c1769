"""`vvctl licence`: from a new key to a licence that an appliance takes."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from voice_verify.licence import SignedLicence, sign
from vvctl import appliance
from vvctl.cli import app
from vvctl.errors import VvctlError
from vvctl.licence import files, keys
from vvctl.licence.errors import FileExists, KeyUnusable, LicencePast, LicenceRefused, TermsRefused

from .conftest import IssueTerms

TODAY = datetime.now(UTC).date()


@pytest.fixture
def checkout(root: Path, tmp_path: Path, issuer: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One whose images take the licences of the vendor of these tests."""
    content = yaml.safe_load((root / "appliance.yml").read_text(encoding="utf-8"))
    content["licence"]["issuers"] = [issuer]
    (tmp_path / "appliance.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (tmp_path / "ansible").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def declared(checkout: Path) -> appliance.Licence:
    return appliance.load(checkout / "appliance.yml").licence


def vvctl(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["licence", *map(str, words)])


def issue(checkout: Path, *words: str) -> Result:
    common = ["--key", "key.pem", "--customer", "Example Bank", "--calls", "50", "--output", "licence.json"]
    return vvctl("issue", *common, *words)


def test_a_licence_from_a_new_key_is_taken_once_the_key_is_declared(checkout: Path) -> None:
    made = vvctl("keygen", "--output", "key.pem")
    assert made.exit_code == 0
    public = made.stdout.strip()
    assert (checkout / "key.pem").stat().st_mode & 0o777 == 0o600
    assert issue(checkout, "--expires", str(TODAY + timedelta(400))).exit_code == 0
    refused = vvctl("verify", "licence.json")
    assert isinstance(refused.exception, LicenceRefused)
    assert public in refused.exception.hint
    content = yaml.safe_load((checkout / "appliance.yml").read_text(encoding="utf-8"))
    content["licence"]["issuers"].append(public)
    (checkout / "appliance.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    taken = vvctl("verify", "licence.json")
    assert taken.exit_code == 0
    assert f"Example Bank until {TODAY + timedelta(400)}" in taken.stdout


def test_others_can_check_the_signature(checkout: Path, terms: IssueTerms) -> None:
    """With OpenSSL, which knows nothing of us."""
    keys.generate(checkout / "key.pem")
    signed = sign(terms(), keys.load(checkout / "key.pem"))
    (checkout / "message").write_bytes(signed.licence.message)
    (checkout / "signature").write_bytes(bytes.fromhex(signed.signature))
    checked = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-inkey", "key.pem", "-rawin", "-in", "message", "-sigfile", "signature"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Signature Verified Successfully" in checked.stdout, checked.stderr


def test_show_says_what_is_in_it(checkout: Path) -> None:
    vvctl("keygen", "--output", "key.pem")
    issued = issue(checkout, "--expires", str(TODAY), "--feature", "sip", "--feature", "websocket")
    shown = vvctl("show", "licence.json")
    assert issued.stdout == shown.stdout
    for value in ("Example Bank", "50", "websocket, sip", str(TODAY)):
        assert value in shown.stdout
    document = json.loads(vvctl("show", "licence.json", "--json").stdout)
    assert document == json.loads((checkout / "licence.json").read_text())
    assert document["licence"]["features"] == ["websocket", "sip"]


def test_all_features_are_allowed_unless_some_are_named(vendor: Ed25519PrivateKey, declared: appliance.Licence) -> None:
    signed = files.issue(vendor, declared, customer="Example Bank", calls=1, features=[], expires=TODAY)
    assert signed.licence.features == declared.features
    assert signed.verified(declared.issuers).issued == TODAY


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"features": ["fax"]}, "no feature fax"),
        ({"expires": TODAY - timedelta(1)}, "is past"),
        ({"customer": "x" * 200}, "customer"),
        ({"calls": 10**9}, "calls"),
    ],
)
def test_refuses_terms_that_are_of_no_use(
    vendor: Ed25519PrivateKey, declared: appliance.Licence, terms: dict[str, object], says: str
) -> None:
    common: dict[str, object] = {"customer": "Example Bank", "calls": 1, "features": [], "expires": TODAY}
    with pytest.raises(TermsRefused) as refusal:
        files.issue(vendor, declared, **(common | terms))  # type: ignore[arg-type]
    assert says in refusal.value.message


def test_overwrites_neither_keys_nor_licences(checkout: Path, vendor: Ed25519PrivateKey, terms: IssueTerms) -> None:
    signed, file = sign(terms(), vendor), checkout / "file"
    file.write_text("precious")
    for write in (lambda: keys.generate(file), lambda: files.write(file, signed)):
        with pytest.raises(FileExists):
            write()
    assert file.read_text() == "precious"


def test_refuses_keys_that_cannot_sign(tmp_path: Path) -> None:
    other_kind = ["openssl", "genpkey", "-algorithm", "X25519", "-out", tmp_path / "x25519.pem"]
    subprocess.run(other_kind, check=True, capture_output=True)
    (tmp_path / "no-key.pem").write_text("nothing")
    for name in ("missing.pem", "no-key.pem", "x25519.pem"):
        with pytest.raises(KeyUnusable) as refusal:
            keys.load(tmp_path / name)
        assert "vvctl licence keygen" in refusal.value.hint


def test_check_refuses_what_an_appliance_would(
    tmp_path: Path, vendor: Ed25519PrivateKey, declared: appliance.Licence, terms: IssueTerms
) -> None:
    cases: list[tuple[SignedLicence, type[VvctlError]]] = [
        (sign(terms(), Ed25519PrivateKey.generate()), LicenceRefused),
        (sign(terms(expires=date(2026, 2, 1)), vendor), LicencePast),
        (sign(terms(), vendor).model_copy(update={"licence": terms(calls=101)}), LicenceRefused),
    ]
    for number, (signed, kind) in enumerate(cases):
        file = tmp_path / f"{number}.json"
        files.write(file, signed)
        with pytest.raises(kind):
            files.check(file, declared)
    for name in ("missing.json", "appliance.yml"):
        with pytest.raises(LicenceRefused, match=name):
            files.check(tmp_path / name, declared)
