package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	streamVmdk = "application/x-vnd.vmware-streamVmdk"
	// While it is imported, a machine refuses these.
	initializing = 100 * time.Millisecond
	abandoned    = 3 * time.Second
)

var locked = []string{
	"PowerOnVMTask", "DestroyTask", "ReconfigVMTask", "MarkAsTemplate", "UnregisterVM", "CloneVMTask", "CreateSnapshotTask",
}

// lease is an import that goes on: its disks, and how long it lives without a sign of progress.
type lease struct {
	mo.HttpNfcLease
	world    *world
	vm       *machine
	capacity map[string]int64
	arrived  map[string]bool
	deadline time.Time
}

func newLease(ctx *simulator.Context, w *world, vm *machine) *lease {
	l := &lease{world: w, vm: vm, capacity: map[string]int64{}, arrived: map[string]bool{}}
	l.Self = types.ManagedObjectReference{Type: "HttpNfcLease", Value: "lease-" + vm.Self.Value}
	l.State = types.HttpNfcLeaseStateInitializing
	l.Info = &types.HttpNfcLeaseInfo{Lease: l.Self, Entity: vm.Self, LeaseTimeout: int32(w.leaseTimeout / time.Second)}
	devices := object.VirtualDeviceList(vm.Config.Hardware.Device)
	for number, device := range devices.SelectByType((*types.VirtualDisk)(nil)) {
		disk := device.(*types.VirtualDisk)
		name := fmt.Sprintf("disk-%d.vmdk", number)
		l.capacity[name] = disk.CapacityInKB * 1024
		l.Info.DeviceUrl = append(l.Info.DeviceUrl, types.HttpNfcLeaseDeviceUrl{
			Key:       fmt.Sprintf("/%s/%s:%d", vm.Self.Value, devices.Type(device), number),
			ImportKey: fmt.Sprintf("/%s/%s:%d", vm.Name, devices.Type(device), number),
			Url:       fmt.Sprintf("https://*/nfc/%s/%s", l.Self.Value, name),
			Disk:      types.NewBool(true), TargetId: name,
		})
	}
	vm.DisabledMethod = locked
	l.deadline = time.Now().Add(w.leaseTimeout)
	w.mu.Lock()
	w.leases[l.Self.Value] = l
	w.mu.Unlock()
	ctx.Map.Put(l)
	go l.live()
	return l
}

// abandonLeases lets time pass faster for imports that nobody goes on with, though not before somebody has met one.
func (w *world) abandonLeases() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.leases {
		l.deadline = time.Now().Add(abandoned)
	}
}

// live makes the lease ready after a while, and ends it when it shows no progress.
func (l *lease) live() {
	time.Sleep(initializing)
	l.world.mu.Lock()
	l.set(types.HttpNfcLeaseStateReady, "")
	l.world.mu.Unlock()
	for range time.Tick(50 * time.Millisecond) {
		l.world.mu.Lock()
		over := l.State != types.HttpNfcLeaseStateReady
		late := !over && time.Now().After(l.deadline)
		if late {
			l.set(types.HttpNfcLeaseStateError, "The lease timed out.")
		}
		l.world.mu.Unlock()
		if late {
			l.destroy()
		}
		if over || late {
			return
		}
	}
}

// set changes the state where property collectors see it; world.mu is held.
func (l *lease) set(state types.HttpNfcLeaseState, reason string) {
	changes := []types.PropertyChange{{Name: "state", Val: state}}
	if reason != "" {
		fault := types.LocalizedMethodFault{Fault: &types.Timedout{}, LocalizedMessage: reason}
		changes = append(changes, types.PropertyChange{Name: "error", Val: fault})
		l.Error = &fault
	}
	l.State = state
	simulator.Map.Update(l, changes[:1])
}

func (l *lease) destroy() {
	context := &simulator.Context{Map: simulator.Map, Session: &simulator.Session{}}
	simulator.Map.WithLock(l.vm, func() { _ = l.vm.destroy(context, &types.Destroy_Task{This: l.vm.Self}) })
	os.RemoveAll(filepath.Join(l.world.store, l.vm.Name))
}

// ready is the fault for a call that only a lease which is ready takes; world.mu is held.
func (l *lease) ready() *soap.Fault {
	if l.State != types.HttpNfcLeaseStateReady {
		return simulator.Fault("The operation is not allowed in the current state.", &types.InvalidState{})
	}
	return nil
}

func (l *lease) HttpNfcLeaseProgress(req *types.HttpNfcLeaseProgress) soap.HasFault {
	l.world.mu.Lock()
	defer l.world.mu.Unlock()
	body := &methods.HttpNfcLeaseProgressBody{Fault_: l.ready()}
	if body.Fault_ == nil && (req.Percent < 0 || req.Percent > 100) {
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "percent"})
	}
	if body.Fault_ == nil {
		l.TransferProgress = req.Percent
		l.deadline = time.Now().Add(l.world.leaseTimeout)
		body.Res = &types.HttpNfcLeaseProgressResponse{}
	}
	return body
}

func (l *lease) HttpNfcLeaseComplete(req *types.HttpNfcLeaseComplete) soap.HasFault {
	l.world.mu.Lock()
	defer l.world.mu.Unlock()
	body := &methods.HttpNfcLeaseCompleteBody{Fault_: l.ready()}
	if body.Fault_ == nil && len(l.arrived) != len(l.capacity) {
		body.Fault_ = simulator.Fault("Not every disk has been transferred.", &types.InvalidState{})
	}
	if body.Fault_ == nil {
		l.vm.DisabledMethod = nil
		l.set(types.HttpNfcLeaseStateDone, "")
		body.Res = &types.HttpNfcLeaseCompleteResponse{}
	}
	return body
}

func (l *lease) HttpNfcLeaseAbort(req *types.HttpNfcLeaseAbort) soap.HasFault {
	l.world.mu.Lock()
	body := &methods.HttpNfcLeaseAbortBody{}
	if l.State == types.HttpNfcLeaseStateDone || l.State == types.HttpNfcLeaseStateError {
		body.Fault_ = simulator.Fault("The operation is not allowed in the current state.", &types.InvalidState{})
	} else {
		l.set(types.HttpNfcLeaseStateError, "The lease was aborted.")
		body.Res = &types.HttpNfcLeaseAbortResponse{}
	}
	l.world.mu.Unlock()
	if body.Res != nil && l.world.keepOnAbort {
		l.vm.DisabledMethod = nil
	} else if body.Res != nil {
		l.destroy()
	}
	return body
}

// serveDisk takes one disk, as an ESXi host does: sent whole, as the stream it says it is, and of the machine's size.
func (w *world) serveDisk(answer http.ResponseWriter, request *http.Request) {
	parts := strings.Split(request.URL.Path, "/")
	id, name := parts[len(parts)-2], parts[len(parts)-1]
	w.mu.Lock()
	l, known := w.leases[id]
	capacity, expected := int64(0), false
	if known && l.State == types.HttpNfcLeaseStateReady {
		capacity, expected = l.capacity[name]
	}
	w.mu.Unlock()
	switch {
	case !expected:
		http.Error(answer, "no lease waits for this disk", http.StatusNotFound)
	case request.Method != http.MethodPost:
		http.Error(answer, "a disk is sent by POST", http.StatusMethodNotAllowed)
	case request.Header.Get("Content-Type") != streamVmdk:
		http.Error(answer, "a disk is sent as "+streamVmdk, http.StatusUnsupportedMediaType)
	case request.ContentLength <= 0:
		http.Error(answer, "the length is missing", http.StatusLengthRequired)
	default:
		path, err := w.diskPath(l.vm.Name, name)
		if err == nil {
			err = receive(request, path)
		}
		if err == nil {
			err = checkStream(path, capacity)
		}
		if err != nil {
			os.Remove(path)
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		w.mu.Lock()
		l.arrived[name] = true
		w.mu.Unlock()
		answer.WriteHeader(http.StatusCreated)
	}
}

func receive(request *http.Request, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	count, err := io.Copy(file, request.Body)
	if err == nil && count != request.ContentLength {
		err = fmt.Errorf("%d of %d bytes arrived", count, request.ContentLength)
	}
	return err
}

// checkStream reads the header of a streamOptimized VMDK ("Virtual Disk Format 5.0"): magic, version 3, compressed grains
// and markers, and the capacity of the virtual disk; 0 takes any.
func checkStream(path string, capacity int64) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var header struct {
		Magic, Version, Flags uint32
		Capacity              uint64
	}
	if err := binary.Read(file, binary.LittleEndian, &header); err != nil {
		return err
	}
	const magic, compressed, markers = 0x564d444b, 1 << 16, 1 << 17
	if header.Magic != magic || header.Version != 3 || header.Flags&(compressed|markers) != compressed|markers {
		return fmt.Errorf("this is no streamOptimized VMDK")
	}
	if size := int64(header.Capacity) * 512; capacity != 0 && size != capacity {
		return fmt.Errorf("the disk holds %d bytes, the machine's has %d", size, capacity)
	}
	return nil
}
