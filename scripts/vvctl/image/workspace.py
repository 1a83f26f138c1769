"""Where the image build keeps its things, which commit it builds, and the lock that keeps two builds apart."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vvctl.errors import CommandFailed, ConfigurationError, VvctlError
from vvctl.image.run import run


class BuildInProgress(VvctlError):
    """Another build holds the lock of this checkout."""

    code = "build_in_progress"


@dataclass(frozen=True)
class Source:
    """The commit that is built."""

    commit: str
    dirty: bool
    epoch: int

    @property
    def environment(self) -> dict[str, str]:
        """What makes tools write the same bytes again (reproducible-builds.org, SOURCE_DATE_EPOCH)."""
        return {"SOURCE_DATE_EPOCH": str(self.epoch), "TZ": "UTC", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Workspace:
    """The folders of one checkout; everything below `build` and `dist` may be thrown away."""

    root: Path

    @property
    def build(self) -> Path:
        return self.root / "build"

    @property
    def dist(self) -> Path:
        return self.root / "dist"

    @property
    def logs(self) -> Path:
        return self.build / "logs"

    @property
    def stamps(self) -> Path:
        return self.build / "stamps"

    @property
    def rootfs(self) -> Path:
        """The pristine root file system: never provisioned in place, only copied."""
        return self.build / "rootfs"

    @property
    def provisioned(self) -> Path:
        return self.build / "provisioned"

    @property
    def provisioning(self) -> Path:
        """The root file system under the container's feet; renamed to `provisioned` when it is finished."""
        return self.build / "provisioning"

    @property
    def wheels(self) -> Path:
        return self.build / "wheels"

    @property
    def model(self) -> Path:
        return self.build / "model"

    @property
    def licence(self) -> Path:
        """The licence that the image is packaged with, when it is."""
        return self.build / "licence.json"

    @property
    def base(self) -> Path:
        """What Packer's sources for machines start from."""
        return self.build / "base"

    @property
    def disks(self) -> Path:
        return self.build / "disks"

    @property
    def container(self) -> str:
        """Name of the build container: one a checkout, so that a killed run's container is recognised."""
        return f"voice-verify-image-{hashlib.sha256(str(self.root).encode()).hexdigest()[:12]}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the checkout's build lock; raises BuildInProgress when another build has it."""
        self.build.mkdir(parents=True, exist_ok=True)
        path = self.build / "image.lock"
        with path.open("a+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().strip() or "unknown"
                raise BuildInProgress(
                    f"another image build runs in this checkout (process {holder})",
                    hint="wait for it to end, or stop that process",
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            for product in (self.provisioned, self.dist):
                recover_tree(product)
            yield


def read_source(root: Path, inputs: Sequence[str] = ()) -> Source:
    """The commit of `root`, with the date on which the last of `inputs` changed: other commits give the same image.

    SOURCE_DATE_EPOCH in the environment takes the place of that date.

    Raises ConfigurationError outside git when SOURCE_DATE_EPOCH is not set either.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        commit, head = run(["git", "-C", root, "log", "-1", "--format=%H %ct"]).split()
        date = run(["git", "-C", root, "log", "-1", "--format=%ct", "--", *inputs]).strip() or head
        dirty = bool(run(["git", "-C", root, "status", "--porcelain"]).strip())
    except (CommandFailed, FileNotFoundError) as error:
        if not given.isdigit():
            raise ConfigurationError(
                f"{root} has no git commit, so the image has no date",
                hint="commit first, or set SOURCE_DATE_EPOCH to the date of these sources in seconds",
            ) from error
        return Source(commit="unknown", dirty=True, epoch=int(given))
    return Source(commit=commit, dirty=dirty, epoch=int(given) if given.isdigit() else int(date))


def remove_tree(path: Path) -> None:
    """Remove a root file system, first whatever a killed run left mounted below it."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{path.resolve()}/")), reverse=True):
        run(["umount", "--lazy", mount])
    # An interrupt between umount and rm must not cost a file of another file system.
    run(["rm", "-rf", "--one-file-system", path])


def copy_tree(source: Path, target: Path) -> None:
    """Copy a root file system with owners, links, sparse files and attributes; a reflink where the disk can."""
    remove_tree(target)
    run(["cp", "-a", "--reflink=auto", source, target])


def replace_tree(new: Path, target: Path) -> None:
    """Put `new` in the place of `target`; a kill in between is mended by `recover_tree`."""
    recover_tree(target)
    old = _old(target)
    remove_tree(old)
    if target.exists():
        target.rename(old)
    new.rename(target)
    remove_tree(old)


def recover_tree(target: Path) -> None:
    """Put `target` back, should a killed `replace_tree` have moved it away without putting the new one there."""
    old = _old(target)
    if old.exists() and not target.exists():
        old.rename(target)


def _old(target: Path) -> Path:
    return target.with_name(f"{target.name}.old")


def free_gib(path: Path) -> float:
    """Free space for the file system that holds `path`."""
    return shutil.disk_usage(path).free / 2**30
