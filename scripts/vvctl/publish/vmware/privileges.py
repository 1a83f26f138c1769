"""What a user may have to do in vCenter, as vSphere names it, and on which objects."""

from __future__ import annotations

# vSphere API reference: ImportVApp, CreateVM_Task, ReconfigVM_Task, MarkAsTemplate; Destroy_Task takes a failure back.
POOL = ("VApp.Import", "Resource.AssignVMToPool")
FOLDER = (
    "VApp.Import",
    "VirtualMachine.Inventory.Create",
    "VirtualMachine.Inventory.Delete",
    "VirtualMachine.Config.AddNewDisk",
    "VirtualMachine.Config.AdvancedConfig",
    "VirtualMachine.Provisioning.MarkAsTemplate",
)
DATASTORE = ("Datastore.AllocateSpace",)
NETWORK = ("Network.Assign",)
# Not checked before: they may be given for one library only, which the vSphere API cannot be asked about. What is
# missing is refused before a file is sent.
LIBRARY = (
    "ContentLibrary.AddLibraryItem",
    "ContentLibrary.UpdateLibraryItem",
    "ContentLibrary.DeleteLibraryItem",
    "ContentLibrary.UpdateSession",
)
PLACES = {
    "Cluster, host or resource pool": POOL,
    "Folder of machines": FOLDER,
    "Datastore": DATASTORE,
    "Network": NETWORK,
    "Content library (only with `--library`)": LIBRARY,
}
