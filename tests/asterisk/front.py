"""nginx with the configuration of the appliance, in front of a service on this machine's loopback."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
import yaml

from vvctl.appliance import find_root

from .rootfs import HOME, Root

ROLE = find_root(Path(__file__).parent) / "roles" / "nginx"
FILES = ("nginx.conf", "tls.conf", "web.conf")
IDLE_S = 30


@contextmanager
def front(
    folder: Path, root: Root, *, address: str, service_port: int, authority: Path, certificate: tuple[Path, Path]
) -> Iterator[None]:
    """Serves TLS on ports 443 and 8443 of `address` with that certificate and key."""
    values: dict[str, Any] = {
        "nginx_port": 80,
        "nginx_tls_port": 443,
        "nginx_service_port": service_port,
        "nginx_service_tls_port": 8443,
        "nginx_idle_s": IDLE_S,
        "nginx_switch_folder": f"{HOME}/tls",
        "nginx_certificate_file": f"{HOME}/certificate.pem",
        "nginx_private_key_file": f"{HOME}/key.pem",
    }
    for name in ("defaults", "vars"):
        values = yaml.safe_load((ROLE / name / "main.yml").read_text(encoding="utf-8")) | values
    for file in FILES:
        template = (ROLE / "templates" / f"{file}.j2").read_text(encoding="utf-8")
        (folder / file).write_text(_here(jinja2.Template(template, trim_blocks=True).render(values), address))
    for name, source in zip(("certificate.pem", "key.pem"), certificate, strict=True):
        (folder / name).write_bytes(source.read_bytes())
    (folder / "tls").mkdir()
    # As nginx-tls does on the appliance once there is a certificate.
    (folder / "tls" / "tls.conf").symlink_to("../tls.conf")
    command = root.command(
        folder, authority, ["nginx", "-c", f"{HOME}/nginx.conf", "-e", "stderr", "-g", "daemon off;"]
    )
    with (folder / "output").open("wb") as output:
        running = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield
        assert running.poll() is None, (folder / "output").read_text()
    finally:
        running.terminate()
        running.wait()


def _here(configuration: str, address: str) -> str:
    """As the role has it, but on one address and with its files in one folder."""
    text = re.sub(r"listen \[::\]:.*\n", "", configuration)
    text = re.sub(r"listen (\d+)", rf"listen {address}:\1", text).replace("/etc/nginx/voice-verify", HOME)
    return re.sub(r"error_log \S+", "error_log stderr", text).replace("/run/nginx.pid", f"{HOME}/nginx.pid")
