from __future__ import annotations

import datetime
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from vvctl.appliance import Appliance
from vvctl.errors import ConfigurationError, IntegrityError
from vvctl.image import ova, ovf
from vvctl.image.sign import Signer, sign_archive

# DigestInfo of a SHA-256 (RFC 8017, section 9.2, note 1).
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def write_pair(folder: Path, name: str, key: PrivateKey) -> tuple[Path, Path]:
    """A key and a certificate that it issued for itself."""
    subject = x509.Name.from_rfc4514_string(f"CN={name}")
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, start, start + datetime.timedelta(days=9000))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    files = folder / f"{name}.key", folder / f"{name}.pem"
    plain = serialization.NoEncryption()
    files[0].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    files[1].write_bytes(certificate)
    return files


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def pair(tmp_path: Path, key: rsa.RSAPrivateKey) -> tuple[Path, Path]:
    return write_pair(tmp_path, "signer", key)


@pytest.fixture
def unsigned(appliance: Appliance, tmp_path: Path) -> Path:
    disks = [tmp_path / "a-system.vmdk", tmp_path / "a-data.vmdk"]
    for disk in disks:
        disk.write_bytes(disk.name.encode() * 100)
    sizes = [ovf.Disk(disk.name, disk.stat().st_size, 1 << 30, 1 << 20) for disk in disks]
    ova.write(tmp_path / "a.ova", ovf.descriptor(appliance, sizes, full_version="1", eula="Agree."), disks, 1750000000)
    return tmp_path / "a.ova"


@pytest.fixture
def signed(unsigned: Path, pair: tuple[Path, Path], tmp_path: Path) -> Path:
    target = tmp_path / "signed.ova"
    sign_archive(unsigned, target, Signer.load(*pair, None))
    return target


def member(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as opened:
        content = opened.extractfile(name)
        assert content is not None
        return content.read()


def test_certificate_stands_between_manifest_and_disks(signed: Path) -> None:
    assert ova.verify(signed) == ["a.ovf", "a.mf", "a.cert", "a-system.vmdk", "a-data.vmdk"]


def test_openssl_verifies_the_signature_with_the_certificate_in_the_ova(signed: Path, tmp_path: Path) -> None:
    line, _, certificate = member(signed, "a.cert").partition(b"\n")
    for name, content in (
        ("manifest", member(signed, "a.mf")),
        ("signature", bytes.fromhex(line.rpartition(b" ")[2].decode())),
        ("certificate", certificate),
    ):
        (tmp_path / name).write_bytes(content)
    extract = ["openssl", "x509", "-in", "certificate", "-noout", "-pubkey", "-out", "public"]
    subprocess.run(extract, cwd=tmp_path, check=True)
    verify = ["openssl", "dgst", "-sha256", "-verify", "public", "-signature", "signature", "manifest"]
    assert subprocess.run(verify, cwd=tmp_path, check=True, capture_output=True, text=True).stdout == "Verified OK\n"


def test_signature_is_that_of_the_manifest_by_rsa_alone(signed: Path, key: rsa.RSAPrivateKey) -> None:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(member(signed, "a.mf"))
    line = member(signed, "a.cert").partition(b"\n")[0].decode()
    assert line.startswith("SHA256(a.mf)= ")
    public = key.public_key().public_numbers()
    block = pow(int(line.rpartition(" ")[2], 16), public.e, public.n).to_bytes(256, "big")
    # EMSA-PKCS1-v1_5 (RFC 8017, section 9.2).
    ending = b"\x00" + DIGEST_INFO + digest.finalize()
    assert block == b"\x00\x01" + b"\xff" * (256 - 2 - len(ending)) + ending


def test_unsigned_source_stays_as_it_was(unsigned: Path, pair: tuple[Path, Path], tmp_path: Path) -> None:
    before = unsigned.read_bytes()
    sign_archive(unsigned, tmp_path / "signed.ova", Signer.load(*pair, None))
    assert unsigned.read_bytes() == before
    assert not list(tmp_path.glob(".sign-*"))


def test_signing_again_replaces_the_signature(signed: Path, tmp_path: Path) -> None:
    other = Signer.load(*write_pair(tmp_path, "other", rsa.generate_private_key(65537, 2048)), None)
    sign_archive(signed, tmp_path / "again.ova", other)
    assert ova.verify(tmp_path / "again.ova") == ova.verify(signed)
    assert member(tmp_path / "again.ova", "a.cert") != member(signed, "a.cert")


def test_never_takes_the_place_of_a_file(unsigned: Path, signed: Path, pair: tuple[Path, Path]) -> None:
    before = signed.read_bytes()
    with pytest.raises(ConfigurationError, match="exists already"):
        sign_archive(unsigned, signed, Signer.load(*pair, None))
    assert signed.read_bytes() == before


def test_notices_a_manifest_that_was_not_signed(signed: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.ova"
    with tarfile.open(signed) as old, tarfile.open(changed, "w", format=tarfile.USTAR_FORMAT) as new:
        for entry in old:
            content = old.extractfile(entry)
            assert content is not None
            data = content.read()
            new.addfile(entry, io.BytesIO(data.replace(b"SHA256", b"SHA255") if entry.name == "a.mf" else data))
    with pytest.raises(IntegrityError, match=r"signature of a\.mf is wrong"):
        ova.verify(changed)


def test_refuses_a_key_that_vsphere_could_not_verify(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no RSA key"):
        Signer.load(*write_pair(tmp_path, "curve", ec.generate_private_key(ec.SECP256R1())), None)


def test_refuses_a_certificate_of_another_key(pair: tuple[Path, Path], tmp_path: Path) -> None:
    other = write_pair(tmp_path, "other", rsa.generate_private_key(65537, 2048))
    with pytest.raises(ConfigurationError, match="does not belong"):
        Signer.load(pair[0], other[1], None)


def test_refuses_what_is_no_ova(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "a.ova").write_bytes(b"nothing")
    with pytest.raises(IntegrityError, match="cannot be signed"):
        sign_archive(tmp_path / "a.ova", tmp_path / "signed.ova", Signer.load(*pair, None))
    assert not (tmp_path / "signed.ova").exists()
