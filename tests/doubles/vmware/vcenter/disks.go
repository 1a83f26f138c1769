package main

import (
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// disk is a VMDK on a datastore. What a guest wrote to it is known to whoever listens to the events.
type disk struct {
	uuid string
	// The file that it is the difference to; "" for a whole one.
	parent string
}

func (m *machine) backings() []*types.VirtualDiskFlatVer2BackingInfo {
	var found []*types.VirtualDiskFlatVer2BackingInfo
	for _, device := range m.devices().SelectByType((*types.VirtualDisk)(nil)) {
		if backing, ok := device.GetVirtualDevice().Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok {
			found = append(found, backing)
		}
	}
	return found
}

// root is the whole disk below a chain of differences; world.mu is held, as for all here.
func (w *world) root(file string) string {
	for w.disks[file] != nil && w.disks[file].parent != "" {
		file = w.disks[file].parent
	}
	return file
}

// holder is another machine that runs with this disk: its host holds the lock on the file.
func (w *world) holder(file string, but *machine) *machine {
	for _, m := range machines() {
		if m == but || !m.on() {
			continue
		}
		for _, backing := range m.backings() {
			if w.root(backing.FileName) == w.root(file) {
				return m
			}
		}
	}
	return nil
}

// checkDisk is the fault for a change of disks that vSphere refuses.
func (m *machine) checkDisk(change *types.VirtualDeviceConfigSpec) types.BaseMethodFault {
	asked, ok := change.Device.(*types.VirtualDisk)
	if !ok {
		return nil
	}
	if change.Operation == types.VirtualDeviceConfigSpecOperationAdd {
		backing, ok := asked.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
		if !ok || backing.DiskMode == "" || m.devices().FindByKey(asked.ControllerKey) == nil {
			return &types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: "virtualDevice"}}
		}
		if change.FileOperation != "" {
			return nil
		}
		if m.world.disks[backing.FileName] == nil {
			return &types.FileNotFound{FileFault: types.FileFault{File: backing.FileName}}
		}
		if m.on() && m.world.holder(backing.FileName, m) != nil {
			return &types.FileLocked{FileFault: types.FileFault{File: backing.FileName}}
		}
		return nil
	}
	there, ok := m.devices().FindByKey(asked.Key).(*types.VirtualDisk)
	if !ok {
		return &types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: "virtualDevice.key"}}
	}
	if len(m.chain) > 0 {
		return &types.InvalidDeviceOperation{
			InvalidDeviceSpec: types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: "snapshot"}},
			BadOp:             change.Operation,
		}
	}
	if change.FileOperation == types.VirtualDeviceConfigSpecFileOperationDestroy {
		m.world.deleteChain(there.Backing.(*types.VirtualDiskFlatVer2BackingInfo).FileName)
	}
	return nil
}

// settleDisks gives each attached disk its identity, and notes those that are new.
func (m *machine) settleDisks() {
	for _, backing := range m.backings() {
		if m.world.disks[backing.FileName] == nil {
			m.world.disks[backing.FileName] = &disk{uuid: uuid.New().String()}
		}
		backing.Uuid = m.world.disks[backing.FileName].uuid
	}
}

func (w *world) deleteChain(file string) {
	for file != "" && w.disks[file] != nil {
		parent := w.disks[file].parent
		delete(w.disks, file)
		w.tell(event{Event: "delete", From: file})
		file = parent
	}
}

// setAside saves the disks in a machine's folder that are not attached to it, which the simulator deletes with the folder.
// The result puts them back.
func (w *world) setAside(m *machine) func() {
	attached := map[string]bool{}
	for _, backing := range m.backings() {
		attached[w.root(backing.FileName)] = true
	}
	var home object.DatastorePath
	home.FromString(m.Config.Files.VmPathName)
	moved := map[string]string{}
	for file, found := range w.disks {
		var place object.DatastorePath
		place.FromString(file)
		if found.parent != "" || attached[file] || place.Datastore != home.Datastore || path.Dir(place.Path) != path.Dir(home.Path) {
			continue
		}
		for _, name := range []string{place.Path, strings.TrimSuffix(place.Path, ".vmdk") + "-flat.vmdk"} {
			from := path.Join(folderOf(home.Datastore), name)
			to := path.Join(w.store, fmt.Sprintf("aside-%d", w.next()))
			if os.Rename(from, to) == nil {
				moved[to] = from
			}
		}
	}
	return func() {
		for from, to := range moved {
			_ = os.MkdirAll(path.Dir(to), 0o700)
			_ = os.Rename(from, to)
		}
	}
}

// folderOf is where the simulator keeps the files of a datastore.
func folderOf(name string) string {
	for _, entity := range simulator.Map.All("Datastore") {
		if entity.Entity().Name == name {
			return entity.(*simulator.Datastore).Info.GetDatastoreInfo().Url
		}
	}
	return ""
}

type diskManager struct {
	simulator.VirtualDiskManager
	world *world
}

// QueryVirtualDiskUuid answers in the form of a SCSI page: pairs of digits, with a hyphen in the middle.
func (d *diskManager) QueryVirtualDiskUuid(_ *simulator.Context, req *types.QueryVirtualDiskUuid) soap.HasFault {
	d.world.mu.Lock()
	defer d.world.mu.Unlock()
	body := &methods.QueryVirtualDiskUuidBody{}
	found := d.world.disks[req.Name]
	switch {
	case found == nil:
		body.Fault_ = simulator.Fault("File was not found", &types.FileNotFound{FileFault: types.FileFault{File: req.Name}})
	case d.world.holder(req.Name, nil) != nil:
		body.Fault_ = simulator.Fault("File is locked", &types.FileLocked{FileFault: types.FileFault{File: req.Name}})
	default:
		digits := strings.ToUpper(strings.ReplaceAll(found.uuid, "-", ""))
		var pairs []string
		for at := 0; at < len(digits); at += 2 {
			pairs = append(pairs, digits[at:at+2])
		}
		text := strings.Join(pairs[:8], " ") + "-" + strings.Join(pairs[8:], " ")
		body.Res = &types.QueryVirtualDiskUuidResponse{Returnval: text}
	}
	return body
}
