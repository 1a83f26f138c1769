"""`vv-certificate`: the TLS certificate of this machine, for a person and for the unit that applies it at boot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from . import actions, check, openssl, pem, state
from .actions import Settings
from .refused import Refused
from .store import CERTIFICATE, Store

SETTINGS = "/usr/lib/voice-verify/certificate.json"


def main() -> int:
    """Exit status 0 when done, 1 when something was refused (then nothing was changed), 2 for wrong usage."""
    arguments = _parser().parse_args()
    if os.geteuid() != 0:
        print("error: the private key is root's affair", file=sys.stderr)
        print(f"hint: sudo vv-certificate {' '.join(sys.argv[1:])}", file=sys.stderr)
        return 1
    os.umask(0o077)
    settings = Settings(**json.loads(Path(SETTINGS).read_text(encoding="utf-8")))
    try:
        with Store(Path(settings.folder)).locked():
            return int(arguments.run(settings, arguments))
    except Refused as error:
        print(f"error: {error}", file=sys.stderr)
        print(f"hint: {error.hint}", file=sys.stderr)
        return 1


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="vv-certificate", description="The TLS certificate of this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("show", help="print what is in force").set_defaults(run=_show)
    request = commands.add_parser("request", help="print a signing request; makes the private key when there is none")
    request.set_defaults(run=_request)
    install = commands.add_parser("install", help="check a certificate and put it in force; calls go on")
    install.set_defaults(run=_install)
    install.add_argument("file", type=Path, metavar="FILE", help="certificate and chain in PEM; /dev/stdin for a pipe")
    install.add_argument("--key", type=Path, metavar="FILE", help="its private key, in place of this machine's")
    commands.add_parser(
        "apply", help="take the property certificate and tell the services; the unit does this"
    ).set_defaults(run=_apply)
    return parser


def _show(settings: Settings, _: Namespace) -> int:
    stored = Store(Path(settings.folder))
    told = state.published(Path(settings.state_file))
    certificates = pem.read(stored.read(CERTIFICATE).encode(), CERTIFICATE).certificates
    if certificates:
        facts = openssl.describe(certificates[0])
        print(f"Subject  {facts.subject}\nIssuer   {facts.issuer}\nNames    {', '.join(facts.names) or 'none'}")
        print(f"Valid    {facts.not_before:%Y-%m-%d %H:%M} to {facts.not_after:%Y-%m-%d %H:%M} UTC")
        print(f"SHA-256  {facts.fingerprint}\nChain    {len(certificates)} certificate(s)")
    print("TLS is on" if told.get("enabled") else "TLS is off: see vv-certificate request, vv-certificate install")
    if told.get("problem"):
        print(f"problem: {told['problem']}")
    return 0


def _request(settings: Settings, _: Namespace) -> int:
    print(actions.keep_request(Store(Path(settings.folder)), _names(settings)), end="")
    return 0


def _install(settings: Settings, arguments: Namespace) -> int:
    given = pem.read(_content(arguments.file), str(arguments.file))
    if arguments.key:
        key = pem.read(_content(arguments.key), str(arguments.key)).key
        if not key:
            raise Refused(
                f"{arguments.key} holds no private key", hint="give PEM, beginning with -----BEGIN PRIVATE KEY"
            )
        given = pem.Bundle(given.certificates, key)
    stored = Store(Path(settings.folder))
    chain = actions.install(stored, given, actions.digest(Path(settings.property_file)), datetime.now(UTC))
    print(f"installed: {chain[0].subject}, valid until {chain[0].not_after:%Y-%m-%d}")
    missing = [name for name in _names(settings) if not check.covers(chain[0], name)]
    if missing:
        print(f"warning: it does not name {', '.join(missing)}", file=sys.stderr)
    if broken := check.broken_chain(chain):
        print(f"warning: the chain is out of order: {broken}", file=sys.stderr)
    return _apply(settings, arguments)


def _apply(settings: Settings, _: Namespace) -> int:
    stored, wanted = Store(Path(settings.folder)), _names(settings)
    refused = actions.take_property(stored, Path(settings.property_file))
    if wanted:
        actions.keep_request(stored, wanted)
    found = state.judge(stored, wanted, datetime.now(UTC), settings.warn_days)
    if refused:
        found["problem"] = refused
    if found["problem"]:
        print(f"CERTIFICATE: {found['problem']}", file=sys.stderr)
    if state.publish(found, Path(settings.state_file)):
        # Not waited for: at boot they may be waiting for this.
        command = ["systemctl", "--no-block", "try-reload-or-restart", *settings.reload_units]
        subprocess.run(command, check=False)
    return 0


def _names(settings: Settings) -> Sequence[str]:
    """The names of this machine by its properties; none before they are known."""
    try:
        values = json.loads(Path(settings.setup_file).read_text(encoding="utf-8"))["values"]
    except (OSError, ValueError, KeyError):
        return []
    return actions.names(str(values.get("domain", "")), settings.web_hosts)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}", hint="give the path of a file") from None
