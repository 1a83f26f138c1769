"""Phase 2: the wheels for the guest's Python, downloaded here because the guest installs without a network."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from packaging.markers import Marker, default_environment

from vvctl.errors import ConfigurationError
from vvctl.image.fingerprint import Stamp, fingerprint
from vvctl.image.run import run
from vvctl.image.workspace import Source, Workspace, remove_tree

# glibc 2.28 and older interfaces: what wheels for a Debian 13 guest are built for.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux2014_x86_64")
LOCK_NAME = "service.txt"


def guest_environment(python: str) -> dict[str, str]:
    """The marker environment (PEP 508) of the guest: CPython `python`, for example 3.13, on 64-bit Linux."""
    return {key: str(value) for key, value in default_environment().items()} | {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }


def lock_for(lock: str, python: str) -> str:
    """The entries of a universal lock that hold for the guest, without their markers.

    pip weighs markers for the Python that runs it, even with --python-version; so they are weighed here.
    Raises ConfigurationError for an entry without a hash.
    """
    environment = guest_environment(python)
    kept = []
    for entry in re.sub(r"\\\n", " ", lock).splitlines():
        text = entry.partition("#")[0].strip()
        if not text:
            continue
        requirement, *hashes = re.split(r"\s+--hash=", text)
        if not hashes:
            raise ConfigurationError(f"the lock pins {requirement} without a hash", hint="renew it with `make lock`")
        pin, _, marker = requirement.partition(";")
        if not marker.strip() or Marker(marker).evaluate(environment):
            kept.append(" \\\n".join([pin.strip(), *(f"    --hash={value.strip()}" for value in hashes)]))
    return "".join(f"{entry}\n" for entry in kept)


def build_wheels(workspace: Workspace, python: str, source: Source) -> bool:
    """Fill `workspace.wheels` with the locked wheels, the lock and the service's own wheel; tell whether it changed.

    Raises CommandFailed when a wheel cannot be fetched, does not match its hash, or the service does not build.
    """
    locked = lock_for((workspace.root / "requirements" / LOCK_NAME).read_text(encoding="utf-8"), python)
    fetched = _download(workspace, python, locked)
    built = _build_service(workspace, source)
    return fetched or built


def _pip(*arguments: str | Path) -> list[str | Path]:
    return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]


def _download(workspace: Workspace, python: str, locked: str) -> bool:
    stamp = Stamp(workspace.stamps, "wheels")
    wanted = fingerprint(texts=[locked, python, *PLATFORMS])
    if stamp.matches(wanted) and (workspace.wheels / LOCK_NAME).is_file():
        return False
    stamp.clear()
    Stamp(workspace.stamps, "service-wheel").clear()
    remove_tree(workspace.wheels)
    workspace.wheels.mkdir(parents=True)
    lock = workspace.wheels / LOCK_NAME
    lock.write_text(locked, encoding="utf-8")
    run(
        _pip(
            "download",
            "--quiet",
            "--only-binary=:all:",
            "--no-deps",
            "--require-hashes",
            "--python-version",
            python,
            *(f"--platform={platform}" for platform in PLATFORMS),
            "--dest",
            workspace.wheels,
            "--requirement",
            lock,
        ),
        log=workspace.logs / "wheels.log",
    )
    stamp.write(wanted)
    return True


def _build_service(workspace: Workspace, source: Source) -> bool:
    stamp = Stamp(workspace.stamps, "service-wheel")
    app = workspace.root / "app"
    wanted = fingerprint(paths=[app])
    if stamp.matches(wanted) and any(workspace.wheels.glob("voice_verify-*.whl")):
        return False
    stamp.clear()
    for old in workspace.wheels.glob("voice_verify-*.whl"):
        old.unlink()
    run(
        _pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", workspace.wheels, app),
        env=source.environment,
        log=workspace.logs / "service-wheel.log",
    )
    stamp.write(wanted)
    return True
