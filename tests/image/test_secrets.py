"""Every file of the packaged system disk is read: none opens anything, none tells where it was built."""

from __future__ import annotations

import ipaddress
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from vvctl.machine import PackagedDisks
from vvctl.machine.errors import run

from .inspect_disk import FileSystem

# What gives a secret away, whichever file it is in. A key's header alone stands in every program that reads keys.
SECRETS = {
    "private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{64}",
    "password hash": rb"^[a-z_][a-z0-9_-]*:\$(?:y|gy|7|2[aby]|5|6|1)\$[^:]+:",
    "API key of the appliance": rb"\bvv_[A-Za-z0-9_-]{43}\b",
    "access key of AWS": rb"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b",
    "token of a code forge": rb"\b(?:ghp|gho|ghs|glpat|github_pat)[_-][A-Za-z0-9_]{20,}",
    "token in a header": rb"Authorization: (?:Bearer|Basic) [A-Za-z0-9+/=._-]{24,}",
    "password in an address": rb"\b(?:https?|ftp|socks5h?)://[^\s/:@\"'<>{}$%]+:[^\s/:@\"'<>{}$%]+@[a-z0-9-]+\.[a-z]",
}
# Programs carry such examples in their documentation; where they are installed from is checked when they are.
EXAMPLES = {"API key of the appliance", "password in an address"}
CODE = ("/opt/voice-verify/venv/lib/", "/usr/lib/python3", "/usr/share/perl/")
# By name: settings that hold passwords, and what interactive sessions leave.
LEFTOVERS = re.compile(
    "|".join(
        (
            r"/\.(netrc|npmrc|pypirc|git-credentials|gitconfig|[a-z]*_history|lesshst|viminfo|wget-hsts)$",
            r"/(pip\.conf|credential\.secret|random-seed|data-key|operator-key|ssl-cert-snakeoil\.key)$",
            r"/(ssh_host_\w+_key(\.pub)?|authorized_keys2?)$",
            r"/\.(aws|docker|kube|ssh|ansible|cache|config)/",
            r"^/(mnt|var/lib/cloud|var/lib/dhcp|var/lib/systemd/network)/",
            r"^/etc/apt/auth\.conf",
        )
    )
)
# Larger ones are programs, libraries, models and indices that packages bring; no text that a person or a tool wrote.
LARGEST_TEXT = 4 << 20


@pytest.fixture(scope="module")
def contents(packaged: PackagedDisks, work: Path) -> Iterator[Path]:
    """The files of the system disk as a folder."""
    raw, folder = work / "secrets.raw", work / "contents"
    run(["qemu-img", "convert", "-O", "raw", str(packaged.system), str(raw)], package="qemu-utils")
    folder.mkdir()
    FileSystem(raw, partitioned=True).dump(folder)
    raw.unlink()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def files(contents: Path) -> dict[str, Path]:
    """Every regular file by its path in the image."""
    walked = (Path(folder) / name for folder, _, names in os.walk(contents) for name in names)
    found = {f"/{path.relative_to(contents)}": path for path in walked if path.is_file() and not path.is_symlink()}
    # Fewer would mean that the disk was not read.
    assert len(found) > 5000
    assert "/etc/shadow" in found
    return found


def traces_of_this_machine(root: Path) -> dict[str, bytes]:
    """Names that only this build machine knows, each with what it is."""
    traces = {"path of the checkout": str(root)}
    name = socket.gethostname()
    # A short one, such as `build`, is a word of its own.
    if len(name) >= 8:
        traces["name of the build machine"] = name
    for what, command in {
        "proxy of apt": ["apt-config", "dump", "Acquire"],
        "setting of pip": [sys.executable, "-m", "pip", "config", "list"],
    }.items():
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        traces |= {f"{what}: {host}": host for host in _hosts(said) if _is_private(host)}
    proxies = " ".join(value for variable, value in os.environ.items() if variable.lower().endswith("_proxy"))
    traces |= {f"proxy: {host}": host for host in _hosts(proxies) if _is_private(host)}
    return {what: trace.encode() for what, trace in traces.items()}


def _hosts(text: str) -> set[str]:
    found = {urlsplit(address).hostname or "" for address in re.findall(r"https?://[^\s'\";]+", text)}
    return found - {"", "localhost", "127.0.0.1"}


def _is_private(host: str) -> bool:
    """Whether a host means something on one site only; public archives may be named anywhere."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.rpartition(".")[2] in {"internal", "local", "lan", "corp", "home", "localdomain"}


@pytest.fixture(scope="module")
def findings(files: dict[str, Path], root: Path) -> dict[str, set[str]]:
    """What was found, to the files in which it stands; each file is read once."""
    patterns = {what: re.compile(pattern, re.MULTILINE) for what, pattern in SECRETS.items()}
    patterns |= {what: re.compile(re.escape(trace)) for what, trace in traces_of_this_machine(root).items()}
    found: dict[str, set[str]] = {}
    for name, path in files.items():
        if path.stat().st_size <= LARGEST_TEXT:
            content = path.read_bytes()
            for what, pattern in patterns.items():
                if pattern.search(content) and not (what in EXAMPLES and name.startswith(CODE)):
                    found.setdefault(what, set()).add(name)
    return found


@pytest.mark.parametrize("what", SECRETS)
def test_no_file_holds_a_secret(findings: dict[str, set[str]], what: str) -> None:
    assert findings.get(what, set()) == set()


def test_no_file_tells_where_it_was_built(findings: dict[str, set[str]]) -> None:
    assert {what: names for what, names in findings.items() if what not in SECRETS} == {}


def test_nothing_is_left_of_the_build_or_of_a_session(files: dict[str, Path]) -> None:
    assert [name for name in files if LEFTOVERS.search(name) and files[name].stat().st_size] == []


def test_packages_come_from_an_archive_that_customers_reach(files: dict[str, Path]) -> None:
    settings = {name: path for name, path in files.items() if name.startswith("/etc/apt/")}
    assert "/etc/apt/sources.list.d/debian.sources" in settings
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in settings.values())
    assert re.findall(r"(?im)^[^#/\n]*proxy.*$", text) == []
    hosts = _hosts(text)
    assert hosts
    assert {host for host in hosts if _is_private(host)} == set()


def test_patterns_find_what_they_are_for() -> None:
    key = b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + b"b3BlbnNzaC1rZXktdjEA" * 4
    samples = {
        "private key": key,
        "password hash": b"bin:*:1::\nroot:$y$j9T$abc$def:20000:0:::::\n",
        "API key of the appliance": b"key=vv_" + b"aB3-" * 10 + b"xyz ",
        "access key of AWS": b"aws_access_key_id = AKIAABCDEFGHIJKLMNOP",
        "token of a code forge": b"ghp_" + b"a1B2" * 9,
        "token in a header": b"Authorization: Bearer " + b"abcd" * 8,
        "password in an address": b"index-url = https://user:secret@packages.example.org/simple",
    }
    assert {what for what, pattern in SECRETS.items() if re.search(pattern, samples[what], re.MULTILINE)} == set(
        SECRETS
    )
    for name in (
        "/root/.netrc",
        "/etc/pip.conf",
        "/home/admin/.bash_history",
        "/etc/ssh/ssh_host_rsa_key",
        "/root/.aws/x",
    ):
        assert LEFTOVERS.search(name), name
