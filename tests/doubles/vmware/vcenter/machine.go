package main

import (
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// machine is a virtual machine whose tasks take time, one at a time, and whose disks, snapshots, adapters and power obey
// the rules of vSphere. What it does not override is the simulator's.
type machine struct {
	simulator.VirtualMachine
	world *world
	// The task that works on it.
	task *types.ManagedObjectReference
	// Oldest first.
	chain []*snapshot
}

// adopt puts strict machines in the places of those that the simulator has just made.
func (w *world) adopt() {
	for _, entity := range simulator.Map.All("VirtualMachine") {
		if vm, ok := entity.(*simulator.VirtualMachine); ok {
			m := &machine{VirtualMachine: *vm, world: w}
			for _, card := range m.cards() {
				card.AddressType, card.MacAddress = "assigned", w.newAddress()
			}
			w.mu.Lock()
			m.settleDisks()
			w.mu.Unlock()
			m.touch()
			simulator.Map.Put(m)
		}
	}
}

func machines() []*machine {
	var found []*machine
	for _, entity := range simulator.Map.All("VirtualMachine") {
		if m, ok := entity.(*machine); ok {
			found = append(found, m)
		}
	}
	return found
}

func (m *machine) on() bool { return m.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn }

// touch gives the configuration another version, as every change of it does.
func (m *machine) touch() {
	m.Config.ChangeVersion = fmt.Sprintf("%s/%d", m.Self.Value, m.world.next())
}

// idle is the fault for what cannot be done while a task works on the machine.
func (m *machine) idle() *soap.Fault {
	if m.task != nil {
		return simulator.Fault("Another task is already in progress.", &types.TaskInProgress{Task: *m.task})
	}
	return nil
}

// begin has a task carried out after a while, with the machine locked.
func (m *machine) begin(name string, run func() types.BaseMethodFault) types.ManagedObjectReference {
	full := atomic.SwapInt32(&m.world.full, 0) == 1
	task := simulator.CreateTask(m, name, func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		m.task = nil
		if full {
			return nil, &types.NoDiskSpace{FileFault: types.FileFault{File: m.Config.Files.VmPathName}, Datastore: "LocalDS_0"}
		}
		return nil, run()
	})
	m.task = &task.Self
	go func() {
		time.Sleep(m.world.taskTime)
		simulator.Map.WithLock(m, func() { task.Run() })
	}()
	return task.Self
}

// failed is the fault that a task of the simulator, which runs at once, ended with.
func failed(task types.ManagedObjectReference) types.BaseMethodFault {
	if found := simulator.Map.Get(task).(*simulator.Task).Info.Error; found != nil {
		return found.Fault
	}
	return nil
}

func (m *machine) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	body := &methods.ReconfigVM_TaskBody{Fault_: m.idle()}
	if privilege := m.world.missing(neededFor(&req.Spec)...); privilege != "" {
		body.Fault_ = noPermission(m.Self, privilege)
	}
	if body.Fault_ == nil {
		task := m.begin("reconfigVMTask", func() types.BaseMethodFault { return m.reconfigure(ctx, req) })
		body.Res = &types.ReconfigVM_TaskResponse{Returnval: task}
	}
	return body
}

func (m *machine) reconfigure(ctx *simulator.Context, req *types.ReconfigVM_Task) types.BaseMethodFault {
	spec := &req.Spec
	if spec.ChangeVersion != "" && spec.ChangeVersion != m.Config.ChangeVersion {
		return &types.ConcurrentAccess{}
	}
	if spec.Name != "" && spec.Name != m.Name {
		folder := simulator.Map.Get(*m.Parent).(*simulator.Folder)
		if twin := simulator.Map.FindByName(spec.Name, folder.ChildEntity); twin != nil {
			return &types.DuplicateName{Name: spec.Name, Object: twin.Reference()}
		}
	}
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	fresh := map[*types.VirtualEthernetCard]bool{}
	for _, change := range spec.DeviceChange {
		change := change.GetVirtualDeviceConfigSpec()
		if fault := m.checkDisk(change); fault != nil {
			return fault
		}
		if card, ok := change.Device.(types.BaseVirtualEthernetCard); ok {
			fresh[card.GetVirtualEthernetCard()] = card.GetVirtualEthernetCard().MacAddress == ""
		}
	}
	done := m.VirtualMachine.ReconfigVMTask(ctx, req).(*methods.ReconfigVM_TaskBody)
	if fault := failed(done.Res.Returnval); fault != nil {
		return fault
	}
	for card, empty := range fresh {
		// vCenter keeps the addresses that it assigns unique; one that a person chose is that person's affair.
		if empty || card.AddressType != "manual" && m.world.addressTaken(card) {
			card.MacAddress = m.world.newAddress()
		}
	}
	m.settleDisks()
	m.settleOptions()
	m.touch()
	return nil
}

// settleOptions keeps the last value of each key, and none that is empty.
func (m *machine) settleOptions() {
	place := map[string]int{}
	var options []types.BaseOptionValue
	for _, option := range m.Config.ExtraConfig {
		key := option.GetOptionValue().Key
		if at, ok := place[key]; ok {
			options[at] = option
			continue
		}
		place[key] = len(options)
		options = append(options, option)
	}
	m.Config.ExtraConfig = nil
	for _, option := range options {
		if option.GetOptionValue().Value != "" {
			m.Config.ExtraConfig = append(m.Config.ExtraConfig, option)
		}
	}
}

func (m *machine) cards() []*types.VirtualEthernetCard {
	var found []*types.VirtualEthernetCard
	for _, device := range m.Config.Hardware.Device {
		if card, ok := device.(types.BaseVirtualEthernetCard); ok {
			found = append(found, card.GetVirtualEthernetCard())
		}
	}
	return found
}

// newAddress is one of the range from which vCenter assigns.
func (w *world) newAddress() string {
	number := w.next()
	return fmt.Sprintf("00:50:56:8%x:%02x:%02x", number>>16&0xf, number>>8&0xff, number&0xff)
}

func (w *world) addressTaken(card *types.VirtualEthernetCard) bool {
	for _, m := range machines() {
		for _, other := range m.cards() {
			if other != card && other.MacAddress == card.MacAddress {
				return true
			}
		}
	}
	return false
}

func (m *machine) PowerOnVMTask(ctx *simulator.Context, req *types.PowerOnVM_Task) soap.HasFault {
	body := &methods.PowerOnVM_TaskBody{Fault_: m.idle()}
	if body.Fault_ == nil {
		task := m.begin("powerOnVMTask", func() types.BaseMethodFault { return m.powerOn(ctx, req) })
		body.Res = &types.PowerOnVM_TaskResponse{Returnval: task}
	}
	return body
}

func (m *machine) powerOn(ctx *simulator.Context, req *types.PowerOnVM_Task) types.BaseMethodFault {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	var tops []string
	for _, backing := range m.backings() {
		if m.world.disks[backing.FileName] == nil {
			return &types.FileNotFound{FileFault: types.FileFault{File: backing.FileName}}
		}
		if m.world.holder(backing.FileName, m) != nil {
			return &types.FileLocked{FileFault: types.FileFault{File: backing.FileName}}
		}
		tops = append(tops, backing.FileName)
	}
	done := m.VirtualMachine.PowerOnVMTask(ctx, req).(*methods.PowerOnVM_TaskBody)
	if done.Fault_ != nil {
		return done.Fault_.VimFault().(types.BaseMethodFault)
	}
	if fault := failed(done.Res.Returnval); fault != nil {
		return fault
	}
	m.touch()
	m.world.tell(event{Event: "on", Machine: m.Self.Value, Disks: tops})
	boot := m.Summary.Runtime.BootTime
	go func() {
		time.Sleep(m.world.guestTime)
		simulator.Map.WithLock(m, func() {
			if m.on() && m.Summary.Runtime.BootTime == boot {
				m.tools(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
			}
		})
	}()
	return nil
}

func (m *machine) tools(status types.VirtualMachineToolsRunningStatus) {
	simulator.Map.Update(m, []types.PropertyChange{{Name: "guest.toolsRunningStatus", Val: string(status)}})
}

func (m *machine) PowerOffVMTask(ctx *simulator.Context, _ *types.PowerOffVM_Task) soap.HasFault {
	body := &methods.PowerOffVM_TaskBody{Fault_: m.idle()}
	if body.Fault_ == nil {
		task := m.begin("powerOffVMTask", func() types.BaseMethodFault { return m.powerOff(ctx) })
		body.Res = &types.PowerOffVM_TaskResponse{Returnval: task}
	}
	return body
}

func (m *machine) powerOff(ctx *simulator.Context) types.BaseMethodFault {
	done := m.VirtualMachine.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: m.Self}).(*methods.PowerOffVM_TaskBody)
	if fault := failed(done.Res.Returnval); fault != nil {
		return fault
	}
	m.touch()
	m.tools(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning)
	m.world.tell(event{Event: "off", Machine: m.Self.Value})
	return nil
}

func (m *machine) ShutdownGuest(ctx *simulator.Context, _ *types.ShutdownGuest) soap.HasFault {
	body := &methods.ShutdownGuestBody{Fault_: m.idle()}
	switch {
	case body.Fault_ != nil:
	case !m.on():
		body.Fault_ = simulator.Fault("", &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOn, ExistingState: m.Runtime.PowerState,
		})
	case m.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning):
		body.Fault_ = simulator.Fault("VMware Tools is not running.", &types.ToolsUnavailable{})
	default:
		body.Res = &types.ShutdownGuestResponse{}
		if m.world.hook != "" {
			m.world.tell(event{Event: "button", Machine: m.Self.Value})
		} else {
			go m.switchOff(ctx)
		}
	}
	return body
}

// switchOff is what a guest does at the end of its shutdown.
func (m *machine) switchOff(ctx *simulator.Context) {
	time.Sleep(m.world.guestTime)
	simulator.Map.WithLock(m, func() {
		if m.on() {
			_ = m.powerOff(ctx)
		}
	})
}

func (m *machine) DestroyTask(ctx *simulator.Context, req *types.Destroy_Task) soap.HasFault {
	body := &methods.Destroy_TaskBody{Fault_: m.idle()}
	if body.Fault_ == nil {
		task := m.begin("destroyTask", func() types.BaseMethodFault { return m.destroy(ctx, req) })
		body.Res = &types.Destroy_TaskResponse{Returnval: task}
	}
	return body
}

// destroy deletes the machine with the disks that are attached to it, and no others in its folder.
func (m *machine) destroy(ctx *simulator.Context, req *types.Destroy_Task) types.BaseMethodFault {
	if m.on() {
		return &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOff, ExistingState: m.Runtime.PowerState,
		}
	}
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	for _, backing := range m.backings() {
		m.world.deleteChain(backing.FileName)
	}
	restore := m.world.setAside(m)
	defer restore()
	// The simulator waits for the machine's own lock where it has been called by somebody else.
	ctx.Caller = &m.Self
	done := m.VirtualMachine.DestroyTask(ctx, req).(*methods.Destroy_TaskBody)
	m.world.tidy()
	return failed(done.Res.Returnval)
}

func (m *machine) UnregisterVM(ctx *simulator.Context, req *types.UnregisterVM) soap.HasFault {
	if fault := m.idle(); fault != nil {
		return &methods.UnregisterVMBody{Fault_: fault}
	}
	return m.VirtualMachine.UnregisterVM(ctx, req)
}

// copied is a device with what it points to, so that changing one leaves the other.
func copied(device types.BaseVirtualDevice) types.BaseVirtualDevice {
	twin := reflect.New(reflect.TypeOf(device).Elem())
	twin.Elem().Set(reflect.ValueOf(device).Elem())
	found := twin.Interface().(types.BaseVirtualDevice)
	inner := found.GetVirtualDevice()
	if inner.Backing != nil {
		backing := reflect.New(reflect.TypeOf(inner.Backing).Elem())
		backing.Elem().Set(reflect.ValueOf(inner.Backing).Elem())
		inner.Backing = backing.Interface().(types.BaseVirtualDeviceBackingInfo)
	}
	if inner.Connectable != nil {
		connectable := *inner.Connectable
		inner.Connectable = &connectable
	}
	return found
}

func (m *machine) devices() object.VirtualDeviceList { return m.Config.Hardware.Device }

var _ mo.Entity = (*machine)(nil)
