"""What each state would touch, for a person to read."""

from __future__ import annotations

from collections.abc import Sequence
from posixpath import dirname

from vvctl.image.report import size_text
from vvctl.upgrade.plan import Effect
from vvctl.upgrade.vmware import marks
from vvctl.upgrade.vmware.facts import Facts
from vvctl.upgrade.vmware.view import View, data_disk, root_file
from vvctl.upgrade.world import Role


def effects(facts: Facts, view: View, upgrade: str) -> Sequence[Effect]:
    """By the name of the state. Raises ProviderError."""
    old = view.required(Role.OLD)
    machine, new = f"{facts.name} ({facts.vm})", marks.staged_name(facts.name, upgrade or "<id>")
    former = marks.former_name(facts.name, upgrade or "<id>")
    disk = data_disk(old, facts)
    size = f", {size_text(disk.capacityInKB * 1024)}" if disk is not None else ""
    data = f"{facts.disk_label} ({facts.disk_file}{size})"
    touched = [
        ("LOCK", f"marks {machine} in its advanced configuration"),
        ("STAGE_NEW", f"imports {facts.ova} ({facts.version}) as {new}, with the size and settings of {machine}"),
        ("QUIESCE", f"shuts the guest of {machine} down"),
        ("MOVE_DATA", f"detaches {data} from {machine}, keeping the file where it is, and attaches it to {new}"),
        ("SAFETY", f"makes a snapshot of {new}, which is off, with {data}"),
        ("IDENTITY", f"disconnects the network of {machine}, and gives its MAC address {facts.address} to {new}"),
        ("START", f"starts {new}"),
        ("COMMIT", f"renames {machine} to {former} and {new} to {facts.name}; removes the mark"),
        ("RESTORE_DATA", f"puts {new} back to its snapshot, and {data} with it"),
        ("FINALIZE", f"removes the snapshot, and deletes {former} with its system disk"),
    ]
    folder = dirname(facts.disk_file)
    if old.disks and dirname(root_file(old.disks[0])) == folder:
        touched.append(
            (
                "FINALIZE",
                f"the data disk lies in {folder}, the folder of {machine}, and its file stays there: deleting a "
                "machine deletes what is attached to it, and nothing else",
            )
        )
    return [Effect(state, what) for state, what in touched]
