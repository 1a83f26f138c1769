"""What a user may have to do in vCenter for an upgrade, and on which objects."""

from __future__ import annotations

# vSphere API reference: the methods that an upgrade calls.
POOL = ("VApp.Import", "Resource.AssignVMToPool")
FOLDER = (
    "VApp.Import",
    "VirtualMachine.Inventory.Create",
    "VirtualMachine.Inventory.Delete",
    "VirtualMachine.Config.AddNewDisk",
    "VirtualMachine.Config.AddExistingDisk",
    "VirtualMachine.Config.RemoveDisk",
    "VirtualMachine.Config.EditDevice",
    "VirtualMachine.Config.AdvancedConfig",
    "VirtualMachine.Config.Rename",
    "VirtualMachine.Interact.PowerOn",
    "VirtualMachine.Interact.PowerOff",
    "VirtualMachine.State.CreateSnapshot",
    "VirtualMachine.State.RevertToSnapshot",
    "VirtualMachine.State.RemoveSnapshot",
)
DATASTORE = ("Datastore.AllocateSpace", "Datastore.FileManagement")
NETWORK = ("Network.Assign",)
# To show the upgrade in the vSphere client; without them it is not shown there, and that is all.
SHOWN = ("Global.ManageCustomFields", "Global.SetCustomField")
PLACES = {
    "Cluster, host or resource pool": POOL,
    "Folder of the machine": FOLDER,
    "Datastore": DATASTORE,
    "Network": NETWORK,
    "vCenter itself": SHOWN,
}
