"""The image build from end to end: which phases run, in which order, and from what."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from voice_verify.licence import SignedLicence
from vvctl.appliance import Appliance, load
from vvctl.errors import ConfigurationError
from vvctl.image import container, disks, package, sbom
from vvctl.image.ext4 import E2fsprogs
from vvctl.image.fingerprint import Stamp, fingerprint
from vvctl.image.guard import ends_on_signals, tells_full_disk
from vvctl.image.provision import count_tasks, discard, provision
from vvctl.image.report import Report
from vvctl.image.rootfs import build_rootfs
from vvctl.image.run import require_tools
from vvctl.image.seal import seal
from vvctl.image.settle import settle
from vvctl.image.sources import AptSource, apt_sources, sources_file
from vvctl.image.wheels import build_wheels
from vvctl.image.workspace import Source, Workspace, free_gib, read_source, remove_tree, replace_tree
from vvctl.licence import files as licences

TOOLS = ("mmdebstrap", "packer", "git", *container.TOOLS, *disks.TOOLS, *package.TOOLS)
# Two root file systems, sparse disks, the VMDKs and what is handed out: 7 GiB measured, and room to breathe.
NEEDED_GIB = 12
# From a provisioned root file system on: the disks, the VMDKs and what is handed out beside the last dist/.
NEEDED_AGAIN_GIB = 5
# What the finished image is made from; what is only beside it (tests, documents) makes no new image.
INPUTS = ("appliance.yml", "ansible", "roles", "packer", "app", "requirements/service.txt", "scripts/vvctl/image")
PROVISIONED = "provisioned"


@dataclass(frozen=True)
class Plan:
    """Everything that is known before the first phase."""

    workspace: Workspace
    appliance: Appliance
    sources: list[AptSource]
    source: Source
    inputs: str
    eula: str
    licence: SignedLicence | None

    @property
    def build_id(self) -> str:
        """Names the content: the version, and the hash of everything that went in."""
        return f"{self.appliance.product.version}+{self.inputs[:12]}"


def make_plan(root: Path, mirror: str | None, eula: Path | None, licence: Path | None) -> Plan:
    """Read the checkout, the licence agreement when it is not LICENSE, and the licence to package, if any.

    Raises ConfigurationError when something that the image needs is missing, LicenceRefused and LicencePast.
    """
    workspace = Workspace(root)
    appliance = load(root / "appliance.yml")
    if not (workspace.model / "model.json").is_file():
        raise ConfigurationError("build/model holds no model", hint="run `make model` (or `vvctl model build`) first")
    sources = apt_sources(appliance.os.suite, mirror)
    paths = [root / name for name in INPUTS]
    agreement = package.read_eula(eula or root / "LICENSE")
    signed = licences.check(licence, appliance.licence) if licence else None
    texts = [sources_file(sources), agreement, signed.text() if signed else ""]
    inputs = fingerprint(paths=[*paths, workspace.model], texts=texts)
    return Plan(workspace, appliance, sources, read_source(root, INPUTS), inputs, agreement, signed)


def check_host(workspace: Workspace) -> None:
    """Raise a VvctlError when this machine cannot build the image."""
    if os.geteuid() != 0:
        raise ConfigurationError("the image build needs root", hint="files of the image belong to root: use sudo")
    require_tools(TOOLS, hint="`make image` installs what requirements/apt-image.txt lists")
    workspace.build.mkdir(parents=True, exist_ok=True)
    free = free_gib(workspace.build)
    needed = NEEDED_AGAIN_GIB if workspace.provisioned.exists() else NEEDED_GIB
    if free < needed:
        raise ConfigurationError(
            f"only {free:.1f} GiB are free for {workspace.build}, the build needs {needed}",
            hint="`vvctl image clean` removes what earlier builds left",
        )


def build(
    root: Path,
    console: Console,
    mirror: str | None = None,
    eula: Path | None = None,
    licence: Path | None = None,
) -> None:
    """Make dist/ unless it is up to date; raises a VvctlError, and leaves the last good dist/ alone then."""
    workspace = Workspace(root)
    check_host(workspace)
    with workspace.locked(), ends_on_signals(), tells_full_disk(workspace.build):
        report = Report(console, workspace.logs / "build.log")
        with report.phase("plan"):
            plan = make_plan(root, mirror, eula, licence)
        names = package.Names.of(plan.appliance)
        if package.is_complete(workspace.dist, names, plan.build_id):
            console.print(f"dist/ is up to date: {plan.build_id}")
            return
        console.print(f"building {plan.build_id}{' from a tree with uncommitted changes' if plan.source.dirty else ''}")
        try:
            make_provisioned(plan, report)
            artefacts = make_artefacts(plan, report, names)
        except KeyboardInterrupt:
            console.print("interrupted: the container is removed, dist/ is as it was")
            raise
        finally:
            discard(workspace)
        report.summary(artefacts)


def make_provisioned(plan: Plan, report: Report) -> None:
    """Phases 1 to 3: build/provisioned, from the pristine root file system, the wheels and the roles."""
    workspace, appliance = plan.workspace, plan.appliance
    stamp = Stamp(workspace.stamps, PROVISIONED)
    if workspace.provisioned.is_dir() and stamp.matches(plan.inputs):
        return
    discard(workspace)
    with report.phase("root file system"):
        build_rootfs(workspace, appliance, plan.sources, plan.source)
    with report.phase("wheels"):
        build_wheels(workspace, appliance.os.python, plan.source)
    total = count_tasks(workspace)
    with report.phase("provisioning", total=total) as step:
        rootfs = provision(workspace, plan.build_id, plan.licence, step)
    with report.phase("bill of materials"):
        sbom.generate(rootfs, appliance, plan.source, plan.inputs)
        seal(rootfs, appliance)
        settle(rootfs, plan.source.epoch)
    stamp.clear()
    replace_tree(rootfs, workspace.provisioned)
    stamp.write(plan.inputs)


def make_artefacts(plan: Plan, report: Report, names: package.Names) -> dict[Path, int]:
    """Phases 4 to 6: disks, package and proof; returns the artefacts with their sizes."""
    workspace, appliance, seed = plan.workspace, plan.appliance, plan.inputs
    tools = E2fsprogs(workspace.provisioned, plan.source.environment)
    work = package.fresh_folder(workspace.disks)
    raw = {"system": work / "system.raw", "data": work / "data.raw"}
    with report.phase("disks"):
        disks.assemble_system_disk(
            appliance, workspace.provisioned, raw["system"], seed, tools=tools, environment=plan.source.environment
        )
        disks.make_data_disk(appliance, raw["data"], seed, tools=tools)
    folder = package.fresh_folder(workspace.build / "dist.partial")
    with report.phase("disk formats"):
        vmdks = package.convert_disks(raw, folder, work, names, seed)
    with report.phase("OVA"):
        package.write_ova(
            appliance, raw, vmdks, folder / names.ova,
            epoch=plan.source.epoch, build_id=plan.build_id, eula=plan.eula,
        )  # fmt: skip
    with report.phase("validation"):
        root_offset = disks.system_layout(appliance.disks.system.size_gb * 1024)[2].start_mib
        package.validate(folder / names.ova, raw, vmdks, tools, root_offset)
    with report.phase("checksums"):
        bills = sbom.bills(workspace.provisioned, appliance)
        artefacts = package.finish(folder, workspace.dist, names, bills, _facts(plan, report, bills))
        remove_tree(workspace.disks)
    return artefacts


def _facts(plan: Plan, report: Report, bills: dict[str, Path]) -> dict[str, Any]:
    return {
        "product": plan.appliance.product.name,
        "version": plan.appliance.product.version,
        "build_id": plan.build_id,
        "git_commit": plan.source.commit,
        "git_dirty": plan.source.dirty,
        "source_date_epoch": plan.source.epoch,
        "inputs": {name: fingerprint(paths=[plan.workspace.root / name]) for name in INPUTS}
        | {"model": fingerprint(paths=[plan.workspace.model]), "all": plan.inputs},
        "licence": plan.licence.licence.model_dump(mode="json") if plan.licence else None,
        "packages": {kind: sbom.count(bill) for kind, bill in bills.items()},
        "phase_seconds": {name: round(seconds, 1) for name, seconds in report.times.items()},
    }


def make_system_disk(root: Path, output: Path, seed: str) -> None:
    """Assemble another system disk from the root file system of the last build, with an identity of its own.

    Raises ConfigurationError when nothing was built yet.
    """
    workspace = Workspace(root)
    if not (workspace.stamps / PROVISIONED).is_file():
        raise ConfigurationError("build/provisioned does not exist yet", hint="run `make image` first")
    require_tools(disks.TOOLS, hint="`make image` installs what requirements/apt-image.txt lists")
    with workspace.locked():
        environment = read_source(root, INPUTS).environment
        disks.assemble_system_disk(
            load(root / "appliance.yml"),
            workspace.provisioned,
            output,
            seed,
            tools=E2fsprogs(workspace.provisioned, environment),
            environment=environment,
        )


def clean(root: Path) -> None:
    """Remove dist/ and everything that image builds keep below build/; other products there stay."""
    workspace = Workspace(root)
    with workspace.locked():
        discard(workspace)
        for path in (
            # First: a stamp must not stay for a product that is half removed.
            workspace.stamps,
            workspace.rootfs,
            workspace.provisioned,
            workspace.wheels,
            workspace.licence,
            workspace.base,
            workspace.disks,
            workspace.logs,
            workspace.dist,
            *workspace.build.glob("*.partial"),
            *workspace.build.glob("*.old"),
        ):
            remove_tree(path)
