package main

import "github.com/vmware/govmomi/vim25/types"

// guarded are the privileges that the vSphere API reference names for calls to objects that are the simulator's own, or
// that need the same whatever they are given.
var guarded = map[string][]string{
	"ImportVApp": {
		"VApp.Import", "Resource.AssignVMToPool", "VirtualMachine.Inventory.Create", "VirtualMachine.Config.AddNewDisk",
		"Datastore.AllocateSpace", "Network.Assign",
	},
	"MarkAsTemplate":          {"VirtualMachine.Provisioning.MarkAsTemplate"},
	"Destroy_Task":            {"VirtualMachine.Inventory.Delete"},
	"PowerOnVM_Task":          {"VirtualMachine.Interact.PowerOn"},
	"PowerOffVM_Task":         {"VirtualMachine.Interact.PowerOff"},
	"ShutdownGuest":           {"VirtualMachine.Interact.PowerOff"},
	"CreateSnapshot_Task":     {"VirtualMachine.State.CreateSnapshot", "Datastore.AllocateSpace"},
	"RevertToSnapshot_Task":   {"VirtualMachine.State.RevertToSnapshot"},
	"RemoveSnapshot_Task":     {"VirtualMachine.State.RemoveSnapshot"},
	"ConsolidateVMDisks_Task": {"VirtualMachine.State.RemoveSnapshot"},
	"QueryVirtualDiskUuid":    {"Datastore.FileManagement"},
	"AddCustomFieldDef":       {"Global.ManageCustomFields"},
	"SetField":                {"Global.SetCustomField"},
}

// neededFor are the privileges of a change of a machine's configuration, by what it changes.
func neededFor(spec *types.VirtualMachineConfigSpec) []string {
	var found []string
	for property, changed := range map[string]bool{
		"AdvancedConfig": len(spec.ExtraConfig) > 0, "Rename": spec.Name != "", "Annotation": spec.Annotation != "",
		"CPUCount": spec.NumCPUs > 0, "Memory": spec.MemoryMB > 0,
	} {
		if changed {
			found = append(found, "VirtualMachine.Config."+property)
		}
	}
	for _, change := range spec.DeviceChange {
		change := change.GetVirtualDeviceConfigSpec()
		_, disk := change.Device.(*types.VirtualDisk)
		what := "EditDevice"
		switch {
		case change.Operation == types.VirtualDeviceConfigSpecOperationEdit:
		case !disk:
			what = "AddRemoveDevice"
		case change.Operation == types.VirtualDeviceConfigSpecOperationRemove:
			what = "RemoveDisk"
		case change.FileOperation == "":
			what = "AddExistingDisk"
		default:
			what = "AddNewDisk"
		}
		found = append(found, "VirtualMachine.Config."+what)
	}
	return found
}

// missing is the first of `privileges` that nobody has.
func (w *world) missing(privileges ...string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, privilege := range privileges {
		if w.denied[privilege] || w.granted != nil && !w.granted[privilege] {
			return privilege
		}
	}
	return ""
}

// grant leaves people no privileges but these.
func (w *world) grant(privileges []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.granted = map[string]bool{}
	for _, privilege := range privileges {
		w.granted[privilege] = true
	}
}
