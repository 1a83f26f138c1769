"""Phase 3: Packer and Ansible turn the pristine root file system into the appliance."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from voice_verify.licence import SignedLicence
from vvctl.errors import CommandFailed
from vvctl.image import container
from vvctl.image.progress import Follower, LineSink
from vvctl.image.run import run
from vvctl.image.workspace import Workspace, copy_tree, remove_tree
from vvctl.signals import held_back

# By name: for a type checker `packer` would be the folder of that name in the checkout.
_packer = importlib.import_module("packer")

TEMPLATE = "packer/native.pkr.hcl"
PLAYBOOK = "ansible/appliance.yml"
# Packer asks its provisioner to stop and waits for it.
TERMINATE_TIMEOUT_S = 10
WAIT_ONLINE = "etc/systemd/system/systemd-networkd-wait-online.service"


class ProvisioningFailed(CommandFailed):
    """A task of the playbook failed, or Packer did."""

    code = "provisioning_failed"


def ansible_playbook() -> Path:
    """ansible-playbook of this program's own virtual environment."""
    return Path(sys.executable).with_name("ansible-playbook")


def count_tasks(workspace: Workspace) -> int:
    """How many tasks the playbook lists; tasks that it includes on the way are not among them."""
    listing = run(
        [ansible_playbook(), "--inventory", "localhost,", "--list-tasks", workspace.root / PLAYBOOK],
        env={"ANSIBLE_CONFIG": str(workspace.root / "ansible/ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        cwd=workspace.root / "ansible",
    )
    return len(re.findall(r"(?m)^\s{6,}.*\tTAGS: ", listing))


def provision(
    workspace: Workspace, build_id: str, licence: SignedLicence | None, on_task: Callable[[str], None]
) -> Path:
    """Copy the pristine root file system and provision the copy; `on_task` hears the name of each task.

    Returns the copy, with the container gone. Raises ProvisioningFailed that names the task; whatever happens,
    no container stays behind.
    """
    rootfs = workspace.provisioning
    container.remove_container(workspace.container)
    copy_tree(workspace.rootfs, rootfs)
    workspace.logs.mkdir(parents=True, exist_ok=True)
    # Nothing in the container waits for the network that podman has already configured.
    mask = rootfs / WAIT_ONLINE
    mask.symlink_to("/dev/null")
    resolver = rootfs / "etc/resolv.conf"
    # podman puts its own file over this one; through a link into /run it would be lost when systemd mounts /run.
    resolver.unlink(missing_ok=True)
    resolver.touch()
    mounts = {workspace.wheels: "/mnt/wheelhouse", workspace.model: "/mnt/model"}
    with (
        tempfile.TemporaryDirectory(prefix="vv-key-") as keys,
        container.running(
            rootfs,
            workspace.container,
            keys=Path(keys),
            mounts=mounts,
            journal=workspace.logs / "container.log",
        ) as guest,
    ):
        _run_packer(workspace, guest, {"build_id": build_id, "licence": _packed(workspace, licence)}, on_task)
    mask.unlink()
    for folder in mounts.values():
        (rootfs / folder.removeprefix("/")).rmdir()
    return rootfs


def _packed(workspace: Workspace, licence: SignedLicence | None) -> str:
    """The file that the role copies: what was checked, whatever becomes of the file that was named."""
    if licence is None:
        return ""
    workspace.licence.write_text(licence.text(), encoding="utf-8")
    return str(workspace.licence)


def _run_packer(
    workspace: Workspace, guest: container.Container, given: dict[str, str], on_task: Callable[[str], None]
) -> None:
    follower = Follower(on_task)
    log = workspace.logs / "provision.log"
    variables = {
        "ssh_port": str(guest.port),
        "ssh_key": str(guest.key),
        "ansible_playbook": str(ansible_playbook()),
        **given,
    }
    with log.open("w", encoding="utf-8") as journal:

        def take(line: str) -> None:
            text = follower.feed(line)
            if text:
                journal.write(f"{time.strftime('%H:%M:%S')} {text}\n")
                journal.flush()

        def take_error(line: str) -> None:
            journal.write(f"{line}\n")

        client = _packer.Packer(
            str(workspace.root / TEMPLATE), vars=variables, out_iter=LineSink(take), err_iter=LineSink(take_error)
        )
        # The library's -parallel is an option that Packer dropped with version 1.6.
        # In the background, or an interrupt could not end it: sh starts programs in a session of their own.
        client.packer = client.packer.bake(_bg=True)
        running: Any = None
        try:
            with held_back():
                running = client.build(parallel=False, machine_readable=True)
                _pid_file(workspace).write_text(str(running.pid), encoding="utf-8")
            running.wait()
        except BaseException as error:
            if running is not None:
                _terminate(running)
            if not isinstance(error, Exception):
                raise
            raise ProvisioningFailed(follower.complaint, hint=f"the whole run is in {log}") from error


def _terminate(running: Any) -> None:
    """End Packer if it still runs, and read its output to the end; Ansible, its child, ends with it."""
    deadline = time.monotonic() + TERMINATE_TIMEOUT_S
    if running.process.is_alive():
        running.process.terminate()
    while running.process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.1)
    # sh gave it a group of its own; Ansible must not go on in a container that is taken down.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    # What it says about its end is of no interest: the reason is known already.
    with contextlib.suppress(Exception):
        running.wait()


def _pid_file(workspace: Workspace) -> Path:
    return workspace.build / "packer.pid"


def _end_orphan(workspace: Workspace) -> None:
    """End the Packer of a run that was killed: it waits for ever on output that nobody reads."""
    file = _pid_file(workspace)
    # Nothing in it: the build was killed, or the disk full, while it was written.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        process = int(file.read_text(encoding="utf-8"))
        # The number may belong to another program by now.
        command = Path(f"/proc/{process}/cmdline").read_text(encoding="utf-8").split("\0")
        if str(workspace.root / TEMPLATE) in command:
            # sh gave it a session, and so a group, of its own.
            os.killpg(process, signal.SIGKILL)
    file.unlink(missing_ok=True)


def discard(workspace: Workspace) -> None:
    """Remove what a failed or killed run left: Packer, the container and the half-provisioned copy."""
    _end_orphan(workspace)
    container.remove_container(workspace.container)
    remove_tree(workspace.provisioning)
