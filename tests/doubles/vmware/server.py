"""A vCenter for one test: tests/doubles/vmware/vcenter, with a certificate of its own authority."""

from __future__ import annotations

import datetime
import hashlib
import os
import ssl
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "publisher@vsphere.local", "secret"


@dataclass(frozen=True)
class Identity:
    """PEM files of a server called localhost and of the authority that vouches for it."""

    authority: Path
    certificate: Path
    key: Path

    @property
    def thumbprint(self) -> str:
        certificate = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def make_identity(folder: Path, *, ahead: datetime.timedelta = datetime.timedelta()) -> Identity:
    """Valid for a day; `ahead`: for how long it is not yet."""
    identity = Identity(*(folder / name for name in ("authority.pem", "certificate.pem", "key.pem")))
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name.from_rfc4514_string(f"CN={name}") for name in ("authority", "localhost")]
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1) + ahead
    for number, path in ((0, identity.authority), (1, identity.certificate)):
        builder = x509.CertificateBuilder(
            names[0], names[number], keys[number].public_key(), x509.random_serial_number(),
            start, start + datetime.timedelta(days=1),
        ).add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)  # fmt: skip
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(keys[number].public_key()), critical=False
        ).add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()), critical=False)
        if number:
            names_of_server = x509.SubjectAlternativeName([x509.DNSName("localhost")])
            builder = builder.add_extension(names_of_server, critical=False)
        else:
            usage = dict.fromkeys(
                ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                 "key_agreement", "encipher_only", "decipher_only"), False,
            )  # fmt: skip
            builder = builder.add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        path.write_bytes(builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    identity.key.write_bytes(
        keys[1].private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return identity


@dataclass
class VCenter:
    """One that runs; `store` holds what was uploaded: `<machine>/disk-<n>.vmdk`, `library/<file>`."""

    port: int
    identity: Identity
    store: Path

    def _control(self, what: str, content: object = None) -> object:
        answer = self._client.get(what) if content is None else self._client.post(what, json=content)
        answer.raise_for_status()
        return answer.json() if content is None else None

    @cached_property
    def _client(self) -> httpx.Client:
        context = ssl.create_default_context(cafile=str(self.identity.authority))
        return httpx.Client(base_url=f"https://localhost:{self.port}/double", verify=context, trust_env=False)

    def fail(self, *faults: tuple[str, int, str]) -> None:
        """From now on, let the n-th call of a method meet a fault: (method, n, kind); main.go's front has the kinds."""
        self._control("faults", [{"method": method, "call": call, "kind": kind} for method, call, kind in faults])

    def calls(self) -> list[str]:
        """The methods called since the start or the last `fail`."""
        found = self._control("calls")
        return list(found) if isinstance(found, list) else []

    def changes(self) -> list[str]:
        """Those of them that change the inventory."""
        found = self._control("changes")
        return list(found) if isinstance(found, list) else []

    def arm(self, call: int, kind: str) -> None:
        """One more fault, at the n-th of the calls that change the inventory."""
        self._control("arm", {"call": call, "kind": kind})

    def grant(self, privileges: Iterable[str]) -> None:
        """From now on there are no others."""
        self._control("grant", list(privileges))

    def victim(self, pid: int) -> None:
        """Who is killed by kill-before and kill-after."""
        self._control("victim", pid)

    def state(self) -> dict[str, Any]:
        """The world as it is; state.go has the document."""
        found = self._control("state")
        return found if isinstance(found, dict) else {}

    def switched_off(self, machine: str) -> None:
        """The guest of a machine has shut down."""
        self._control(f"off?machine={machine}", {})

    def disks(self, machine: str) -> list[bytes]:
        """What was uploaded for a machine, in the order of its disks."""
        return [path.read_bytes() for path in sorted((self.store / machine).glob("disk-*.vmdk"))]


@contextmanager
def running(program: Path, identity: Identity, store: Path, options: Sequence[str] = ()) -> Iterator[VCenter]:
    """It ends with this process, whatever ends that; its datastores are in `store`, too."""
    command = [program, "-certificate", identity.certificate, "-key", identity.key, "-store", store, *options]
    environment = os.environ | {"TMPDIR": str(store)}
    with (
        (store.parent / f"{store.name}.log").open("w") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True
        ) as process,
    ):
        assert process.stdout is not None
        yield VCenter(int(process.stdout.readline()), identity, store)
