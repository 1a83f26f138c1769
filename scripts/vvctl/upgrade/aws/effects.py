"""What each state would touch, for a person to read."""

from __future__ import annotations

from collections.abc import Sequence

from vvctl.upgrade.aws.facts import Facts
from vvctl.upgrade.aws.marks import lock_name
from vvctl.upgrade.aws.view import View
from vvctl.upgrade.plan import Effect


def effects(facts: Facts, view: View) -> Sequence[Effect]:
    """By the name of the state."""
    machine, root, data = facts.machine, facts.root_volume, facts.data_volume
    kept = "it goes with the machine no more, and is billed" if facts.root_ends_with_machine else "it is billed"
    old = view.old.found if view.old else None
    size = f"{old['Size']} GiB, {old['VolumeType']}{', encrypted' if old['Encrypted'] else ''}" if old else ""
    touched = {
        "LOCK": f"makes the launch template {lock_name(facts.instance)}",
        "STAGE_NEW": f"makes a volume ({size}) of {facts.snapshot} ({facts.image}, {facts.image_name}) in {facts.zone},"
        f" and a snapshot of {data}, while the machine runs",
        "QUIESCE": f"stops {machine}; it keeps its id, interfaces and addresses",
        "SAFETY": f"makes a snapshot of the data volume {data}",
        "MOVE_DATA": f"detaches the root volume {root} and attaches the new one as {facts.root_device}; "
        f"the data volume {data} stays at {facts.data_device}",
        "IDENTITY": f"sets whether the root volume is deleted with {facts.instance}: as before",
        "START": f"starts {machine}",
        "COMMIT": f"tags {facts.instance}; deletes the launch template",
        "FINALIZE": f"deletes both snapshots and the old root volume {root}; until then {kept}",
    }
    return [Effect(state, what) for state, what in touched.items()]
