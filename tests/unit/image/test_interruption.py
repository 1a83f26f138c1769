"""A build that is interrupted leaves nothing that a later one could take for finished, and nothing that runs on."""

from __future__ import annotations

import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vvctl.appliance import Appliance
from vvctl.errors import CommandFailed
from vvctl.image import build, container, guard
from vvctl.image.fingerprint import Stamp
from vvctl.image.guard import DiskFull, ends_on_signals, tells_full_disk
from vvctl.image.provision import discard, provision
from vvctl.image.rootfs import build_rootfs
from vvctl.image.run import run
from vvctl.image.sources import from_mirror
from vvctl.image.workspace import Source, Workspace, replace_tree

SOURCE = Source(commit="0" * 40, dirty=False, epoch=1750000000)
# What mmdebstrap is told last: the folder to fill, and the sources.
HALF_MADE = (
    'for folder; do case $folder in */rootfs.partial) break;; esac; done; mkdir -p "$folder/half"; echo $$ >{pid}'
)
WHOLE = HALF_MADE + '; mkdir -p "$folder/var/lib/apt/lists"; rmdir "$folder/half"'


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Puts a stand-in first on the path: a shell script; returns the file in which it may leave words."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def install(name: str, script: str) -> Path:
        note = tmp_path / f"{name}.note"
        path = folder / name
        path.write_text(f"#!/bin/bash\n{script.format(pid=note)}\n")
        path.chmod(0o755)
        return note

    return install


def eventually(holds: Callable[[], object], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def gone(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def signal_when(holds: Callable[[], object], *numbers: int) -> None:
    """Send this process signals as soon as it holds, like somebody at the terminal."""

    def send() -> None:
        eventually(holds)
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(0.1)

    threading.Thread(target=send, daemon=True).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_program_and_its_children(tmp_path: Path, number: int) -> None:
    note = tmp_path / "pids"
    script = f"sleep 1000 & echo $$ $! > {note}.new; mv {note}.new {note}; wait"
    signal_when(note.exists, number)
    with pytest.raises(KeyboardInterrupt), ends_on_signals():
        run(["bash", "-c", script])
    for process in map(int, note.read_text().split()):
        eventually(lambda process=process: gone(process))


def test_signal_at_the_very_start_of_a_program_ends_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    for _ in range(20):
        with pytest.raises(KeyboardInterrupt), ends_on_signals():
            run(["bash", "-c", f"echo $$ > {note}; kill -TERM $PPID; exec sleep 1000"])
        eventually(lambda: gone(int(note.read_text())))


def test_program_that_ignores_a_polite_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vvctl.image.run.TERMINATE_TIMEOUT_S", 0.2)
    note = tmp_path / "pid"
    signal_when(note.exists, signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ends_on_signals():
        run(["bash", "-c", f"trap '' TERM; echo $$ > {note}.new; mv {note}.new {note}; while :; do sleep 0.1; done"])
    eventually(lambda: gone(int(note.read_text())))


def test_program_in_another_thread_ends_too(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with ThreadPoolExecutor() as pool:
        signal_when(note.exists, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), ends_on_signals():
            pool.submit(run, ["bash", "-c", f"echo $$ > {note}.new; mv {note}.new {note}; exec sleep 1000"]).result()
    # The pool has waited for it, which is how the build would hang.
    assert gone(int(note.read_text()))


def test_second_signal_does_not_cut_the_clean_up_short(tmp_path: Path) -> None:
    begun, cleaned = tmp_path / "begun", tmp_path / "cleaned"

    def work() -> None:
        try:
            begun.touch()
            time.sleep(20)
        finally:
            time.sleep(0.5)
            cleaned.touch()

    signal_when(begun.exists, signal.SIGINT, signal.SIGINT, signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ends_on_signals():
        work()
    assert cleaned.exists()


def test_killed_build_takes_its_programs_along(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    shell = f"echo $$ > {note}.new; mv {note}.new {note}; exec sleep 1000"
    code = f"from vvctl.image.run import run; run(['bash', '-c', {shell!r}])"
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        eventually(note.exists)
        parent.kill()
    eventually(lambda: gone(int(note.read_text())))


def root_file_system(workspace: Workspace, appliance: Appliance) -> bool:
    return build_rootfs(workspace, appliance, from_mirror("http://mirror.example", appliance.os.suite), SOURCE)


def test_interrupted_root_file_system_is_made_again(
    tmp_path: Path, appliance: Appliance, program: Callable[[str, str], Path]
) -> None:
    workspace = Workspace(tmp_path)
    note = program("mmdebstrap", f"{HALF_MADE}; exec sleep 1000")
    signal_when(lambda: note.exists() and note.read_text(), signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ends_on_signals():
        root_file_system(workspace, appliance)
    assert not list(tmp_path.glob("build/rootfs*"))
    assert not list(tmp_path.glob("build/stamps/*"))
    program("mmdebstrap", WHOLE)
    assert root_file_system(workspace, appliance)
    assert not (workspace.rootfs / "half").exists()
    assert not root_file_system(workspace, appliance)


def test_root_file_system_of_a_killed_build_is_made_again(
    tmp_path: Path, appliance: Appliance, program: Callable[[str, str], Path]
) -> None:
    workspace = Workspace(tmp_path)
    note = program("mmdebstrap", f"{HALF_MADE}; exec sleep 1000")
    child = os.fork()
    if child == 0:
        try:
            root_file_system(workspace, appliance)
        finally:
            os._exit(0)
    eventually(lambda: note.exists() and note.read_text())
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert (workspace.build / "rootfs.partial/half").is_dir()
    eventually(lambda: gone(int(note.read_text())))
    program("mmdebstrap", WHOLE)
    assert root_file_system(workspace, appliance)
    assert not (workspace.rootfs / "half").exists()


def test_interrupted_cleaning_leaves_no_stamp_for_a_half_removed_product(
    tmp_path: Path, program: Callable[[str, str], Path]
) -> None:
    workspace = Workspace(tmp_path)
    stamp = Stamp(workspace.stamps, "rootfs")
    stamp.write("inputs")
    workspace.rootfs.mkdir(parents=True)
    program("podman", "exit 0")
    program("rm", f'case $* in *{workspace.rootfs}*) exit 1;; esac; exec /bin/rm "$@"')
    with pytest.raises(CommandFailed):
        build.clean(tmp_path)
    assert workspace.rootfs.is_dir()
    assert not stamp.matches("inputs")


@pytest.mark.parametrize("killed_after", ["moved away", "put in place"])
def test_dist_is_whole_after_a_kill_while_it_is_replaced(tmp_path: Path, killed_after: str) -> None:
    workspace = Workspace(tmp_path)
    old, new = workspace.dist.with_name("dist.old"), workspace.build / "dist.partial"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / folder.name).touch()
    if killed_after == "put in place":
        new.rename(workspace.dist)
    with workspace.locked():
        pass
    wanted = "dist.old" if killed_after == "moved away" else "dist.partial"
    assert [path.name for path in workspace.dist.iterdir()] == [wanted]
    newest = tmp_path / "newest"
    newest.mkdir()
    replace_tree(newest, workspace.dist)
    assert not list(workspace.dist.iterdir())
    assert not old.exists()


def test_torn_note_about_packer_stops_no_later_build(tmp_path: Path, program: Callable[[str, str], Path]) -> None:
    workspace = Workspace(tmp_path)
    program("podman", "exit 0")
    workspace.build.mkdir()
    (workspace.build / "packer.pid").touch()
    discard(workspace)
    assert not (workspace.build / "packer.pid").exists()


def test_container_goes_though_its_guest_hangs(
    tmp_path: Path, program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "JOURNAL_TIMEOUT_S", 0.2)
    note = program("podman", 'echo "$*" >>{pid}; case $* in *" exec "*) exec sleep 1000;; *" port "*) exit 1;; esac')
    rootfs, keys = tmp_path / "rootfs", tmp_path / "keys"
    (rootfs / "root").mkdir(parents=True)
    (rootfs / "etc/ssh").mkdir(parents=True)
    keys.mkdir()
    with (
        pytest.raises(CommandFailed),
        container.running(rootfs, "vv-test", keys=keys, mounts={}, journal=tmp_path / "journal"),
    ):
        pass
    assert "rm --force" in note.read_text().splitlines()[-1]


@pytest.fixture
def guest_port() -> Iterator[int]:
    """Answers as the build container's SSH server does, as far as it is waited for."""

    class Banner(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"SSH-2.0-test\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Banner) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_interrupted_provisioning_ends_packer_and_ansible_and_takes_the_container_down(
    tmp_path: Path, root: Path, program: Callable[[str, str], Path], guest_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vvctl.image.provision.TERMINATE_TIMEOUT_S", 0.3)
    workspace = Workspace(tmp_path)
    for folder in ("root", "etc/ssh", "etc/systemd/system", "mnt/wheelhouse", "mnt/model"):
        (workspace.rootfs / folder).mkdir(parents=True)
    (tmp_path / "packer").mkdir()
    (tmp_path / "packer/native.pkr.hcl").touch()
    calls = program("podman", f'echo "$*" >>{{pid}}; case $* in *" port "*) echo 127.0.0.1:{guest_port};; esac')
    # Packer that does not listen, and its child; the interrupt comes before anybody can know that it runs.
    note = program("packer", "trap '' TERM; sleep 1000 & echo $$ $! >{pid}; kill -TERM $PPID; wait; sleep 1000")
    with pytest.raises(KeyboardInterrupt), ends_on_signals():
        provision(workspace, "test", None, lambda _name: None)
    for process in map(int, note.read_text().split()):
        eventually(lambda process=process: gone(process))
    assert "rm --force" in calls.read_text().splitlines()[-1]

    discard(workspace)
    assert not workspace.provisioning.exists()
    program("packer", "echo '1,,ui,message,TASK [Again] ****'")
    seen: list[str] = []
    assert provision(workspace, "test", None, seen.append) == workspace.provisioning
    assert seen == ["Again"]
    assert workspace.rootfs.is_dir()


def test_full_disk_is_said_whoever_met_it(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="no room left") as refusal, tells_full_disk(tmp_path):
        Path("/dev/full").write_text("x")
    assert "vvctl image clean" in refusal.value.hint
    with pytest.raises(DiskFull), tells_full_disk(tmp_path):
        run(["cp", "/proc/self/status", "/dev/full"])


def test_other_failures_are_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed), guard.tells_full_disk(tmp_path):
        run(["false"])
    with pytest.raises(FileNotFoundError), guard.tells_full_disk(tmp_path):
        (tmp_path / "missing").read_text()


def test_stamp_is_whole_or_not_there(tmp_path: Path, program: Callable[[str, str], Path]) -> None:
    note = program("sync", 'ls {pid}.d >{pid}; exec /bin/sync "$@"')
    folder = note.with_name(f"{note.name}.d")
    Stamp(folder, "phase").write("inputs")
    # When its product was brought to the disk, the stamp was not there yet.
    assert note.read_text() == ""
    assert [path.name for path in folder.iterdir()] == ["phase"]
