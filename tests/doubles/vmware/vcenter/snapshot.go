package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// snapshot is a machine's configuration at one time, with the disks as they were: from then on it writes to differences.
type snapshot struct {
	simulator.VirtualMachineSnapshot
	machine *machine
	title   string
	made    time.Time
	// Of the machine.
	name    string
	devices []types.BaseVirtualDevice
	options []types.BaseOptionValue
}

func (m *machine) CreateSnapshotTask(req *types.CreateSnapshot_Task) soap.HasFault {
	body := &methods.CreateSnapshot_TaskBody{Fault_: m.idle()}
	if body.Fault_ == nil {
		task := m.begin("createSnapshotTask", func() types.BaseMethodFault { return m.takeSnapshot(req.Name) })
		body.Res = &types.CreateSnapshot_TaskResponse{Returnval: task}
	}
	return body
}

func (m *machine) takeSnapshot(title string) types.BaseMethodFault {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	made := &snapshot{machine: m, title: title, made: time.Now(), name: m.Name}
	made.Vm = m.Self
	made.Config = *m.Config
	for _, device := range m.devices() {
		made.devices = append(made.devices, copied(device))
	}
	made.options = append(made.options, m.Config.ExtraConfig...)
	made.Self = types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: fmt.Sprintf("snapshot-%d", m.world.next())}
	simulator.Map.Put(made)
	m.chain = append(m.chain, made)
	m.grow()
	m.showSnapshots()
	m.touch()
	return nil
}

// grow puts a difference on top of each disk; world.mu is held, as for all here.
func (m *machine) grow() {
	for _, backing := range m.backings() {
		if strings.HasPrefix(backing.DiskMode, "independent") {
			continue
		}
		below := *backing
		top := fmt.Sprintf("%s-%06d.vmdk", strings.TrimSuffix(m.world.root(below.FileName), ".vmdk"), m.world.next())
		m.world.disks[top] = &disk{uuid: below.Uuid, parent: below.FileName}
		m.world.tell(event{Event: "copy", From: below.FileName, To: top})
		backing.FileName, backing.Parent = top, &below
	}
}

// shrink drops the differences on top of the disks, after writing them into what is below them when `keep`.
func (m *machine) shrink(keep bool) {
	for _, backing := range m.backings() {
		top := m.world.disks[backing.FileName]
		if top == nil || top.parent == "" || backing.Parent == nil {
			continue
		}
		if keep {
			m.world.tell(event{Event: "copy", From: backing.FileName, To: top.parent})
		}
		delete(m.world.disks, backing.FileName)
		m.world.tell(event{Event: "delete", From: backing.FileName})
		*backing = *backing.Parent
	}
}

// showSnapshots lets property collectors see the tree, which has one branch.
func (m *machine) showSnapshots() {
	var tree []types.VirtualMachineSnapshotTree
	for at := len(m.chain) - 1; at >= 0; at-- {
		tree = []types.VirtualMachineSnapshotTree{{
			Snapshot: m.chain[at].Self, Vm: m.Self, Name: m.chain[at].title, CreateTime: m.chain[at].made,
			State: types.VirtualMachinePowerStatePoweredOff, ChildSnapshotList: tree, ReplaySupported: types.NewBool(false),
		}}
	}
	if len(m.chain) == 0 {
		m.Snapshot = nil
		return
	}
	last := m.chain[len(m.chain)-1].Self
	m.Snapshot = &types.VirtualMachineSnapshotInfo{CurrentSnapshot: &last, RootSnapshotList: tree}
}

func (s *snapshot) RevertToSnapshotTask(ctx *simulator.Context, _ *types.RevertToSnapshot_Task) soap.HasFault {
	body := &methods.RevertToSnapshot_TaskBody{Fault_: s.machine.idle()}
	if body.Fault_ == nil {
		task := s.machine.begin("revertToSnapshotTask", func() types.BaseMethodFault { return s.revert(ctx) })
		body.Res = &types.RevertToSnapshot_TaskResponse{Returnval: task}
	}
	return body
}

// revert gives the machine the configuration and the disks of the snapshot; it is off then, as it was.
func (s *snapshot) revert(ctx *simulator.Context) types.BaseMethodFault {
	m := s.machine
	if m.chain[len(m.chain)-1] != s {
		return &types.NotSupported{}
	}
	if m.on() {
		if fault := m.powerOff(ctx); fault != nil {
			return fault
		}
	}
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	m.shrink(false)
	var devices []types.BaseVirtualDevice
	for _, device := range s.devices {
		devices = append(devices, copied(device))
	}
	m.Config.Hardware.Device = devices
	m.Config.ExtraConfig = append([]types.BaseOptionValue{}, s.options...)
	m.Name, m.Config.Name, m.Summary.Config.Name = s.name, s.name, s.name
	m.grow()
	m.touch()
	return nil
}

func (s *snapshot) RemoveSnapshotTask(_ *simulator.Context, req *types.RemoveSnapshot_Task) soap.HasFault {
	body := &methods.RemoveSnapshot_TaskBody{Fault_: s.machine.idle()}
	if body.Fault_ == nil {
		task := s.machine.begin("removeSnapshotTask", func() types.BaseMethodFault { return s.remove() })
		body.Res = &types.RemoveSnapshot_TaskResponse{Returnval: task}
	}
	return body
}

// remove keeps the disks as they are now and forgets what they were.
func (s *snapshot) remove() types.BaseMethodFault {
	m := s.machine
	if m.chain[len(m.chain)-1] != s {
		return &types.NotSupported{}
	}
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	m.shrink(true)
	m.chain = m.chain[:len(m.chain)-1]
	m.showSnapshots()
	m.touch()
	simulator.Map.Remove(s.Self)
	return nil
}
