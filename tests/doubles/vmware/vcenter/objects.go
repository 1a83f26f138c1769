package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const user, password = "publisher@vsphere.local", "secret"

// world is what the objects of the double share.
type world struct {
	store        string
	leaseTimeout time.Duration
	keepOnAbort  bool
	// How long a task takes, and a guest to start and to shut down.
	taskTime, guestTime time.Duration
	// Where events are sent; "": the guests do what they are told.
	hook string

	// The next task finds no space.
	full int32

	counter int64
	mu      sync.Mutex
	// Privileges that nobody has, and those that there are; nil: all others.
	denied, granted map[string]bool
	leases          map[string]*lease
	disks           map[string]*disk
}

// next is a number that was never given before.
func (w *world) next() int64 { return atomic.AddInt64(&w.counter, 1) }

// install puts the strict objects in the places of the simulator's, and sets the datastores' space. They embed what they
// replace by value: the simulator looks for a managed object in the first field.
func (w *world) install(free int64) {
	w.leases, w.disks = map[string]*lease{}, map[string]*disk{}
	content := simulator.Map.Get(vim25.ServiceInstance).(*simulator.ServiceInstance).Content
	manager := simulator.Map.Get(*content.OvfManager).(*simulator.OvfManager)
	simulator.Map.Put(&ovfManager{*manager})
	authorization := simulator.Map.Get(*content.AuthorizationManager).(*simulator.AuthorizationManager)
	simulator.Map.Put(&authorizationManager{*authorization, w})
	disks := simulator.Map.Get(*content.VirtualDiskManager).(*simulator.VirtualDiskManager)
	simulator.Map.Put(&diskManager{*disks, w})
	properties := &collector{}
	properties.Self = content.PropertyCollector
	simulator.Map.Put(properties)
	for _, entity := range simulator.Map.All("ResourcePool") {
		simulator.Map.Put(&pool{*entity.(*simulator.ResourcePool), w})
	}
	for _, entity := range simulator.Map.All("Datastore") {
		datastore := entity.(*simulator.Datastore)
		datastore.Summary.FreeSpace, datastore.Summary.Capacity = free, free
		datastore.Summary.Accessible, datastore.Summary.MaintenanceMode = true, "normal"
	}
}

// tidy does what the simulator leaves undone: a pool forgets machines that are gone; it looks for pools of its own type.
func (w *world) tidy() {
	for _, entity := range simulator.Map.All("ResourcePool") {
		p := entity.(*pool)
		var there []types.ManagedObjectReference
		for _, ref := range p.Vm {
			if simulator.Map.Get(ref) != nil {
				there = append(there, ref)
			}
		}
		p.Vm = there
	}
}

func noPermission(on types.ManagedObjectReference, privilege string) *soap.Fault {
	return simulator.Fault("Permission to perform this operation was denied.", &types.NoPermission{Object: on, PrivilegeId: privilege})
}

type authorizationManager struct {
	simulator.AuthorizationManager
	world *world
}

func (m *authorizationManager) HasPrivilegeOnEntities(ctx *simulator.Context, req *types.HasPrivilegeOnEntities) soap.HasFault {
	body := &methods.HasPrivilegeOnEntitiesBody{}
	if ctx.Session == nil || req.SessionId != ctx.Session.Key {
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "sessionId"})
		return body
	}
	body.Res = &types.HasPrivilegeOnEntitiesResponse{}
	for _, entity := range req.Entity {
		found := types.EntityPrivilege{Entity: entity}
		for _, id := range req.PrivId {
			granted := m.world.missing(id) == ""
			found.PrivAvailability = append(found.PrivAvailability, types.PrivilegeAvailability{PrivId: id, IsGranted: granted})
		}
		body.Res.Returnval = append(body.Res.Returnval, found)
	}
	return body
}

type pool struct {
	simulator.ResourcePool
	world *world
}

// ImportVApp checks what the simulator does not: rights, names, space; and gives a lease that keeps what is uploaded.
func (p *pool) ImportVApp(ctx *simulator.Context, req *types.ImportVApp) soap.HasFault {
	body := &methods.ImportVAppBody{}
	refuse := func(message string, fault types.BaseMethodFault) soap.HasFault {
		body.Fault_ = simulator.Fault(message, fault)
		return body
	}
	spec, ok := req.Spec.(*types.VirtualMachineImportSpec)
	if !ok || req.Folder == nil {
		return refuse("only machines, into a folder", &types.InvalidArgument{InvalidProperty: "spec"})
	}
	if id := p.world.missing(guarded["ImportVApp"]...); id != "" {
		body.Fault_ = noPermission(p.Self, id)
		return body
	}
	folder := ctx.Map.Get(*req.Folder).(*simulator.Folder)
	if twin := ctx.Map.FindByName(spec.ConfigSpec.Name, folder.ChildEntity); twin != nil {
		ref := twin.Reference()
		return refuse("The name already exists.", &types.DuplicateName{Name: spec.ConfigSpec.Name, Object: ref})
	}
	app := spec.ConfigSpec.VAppConfig
	spec.ConfigSpec.VAppConfig = nil
	task := ctx.Map.Get(folder.CreateVMTask(ctx, &types.CreateVM_Task{
		This: folder.Self, Config: spec.ConfigSpec, Pool: p.Self, Host: req.Host,
	}).(*methods.CreateVM_TaskBody).Res.Returnval).(*simulator.Task)
	if task.Info.Error != nil {
		return refuse(task.Info.Error.LocalizedMessage, task.Info.Error.Fault)
	}
	p.world.adopt()
	vm := ctx.Map.Get(task.Info.Result.(types.ManagedObjectReference)).(*machine)
	if app != nil {
		vm.Config.VAppConfig = appInfo(app.(*types.VmConfigSpec))
	}
	created := newLease(ctx, p.world, vm)
	body.Res = &types.ImportVAppResponse{Returnval: created.Self}
	return body
}

// appInfo is what a machine shows of the spec that it was made with.
func appInfo(spec *types.VmConfigSpec) *types.VmConfigInfo {
	info := &types.VmConfigInfo{OvfEnvironmentTransport: spec.OvfEnvironmentTransport}
	for _, product := range spec.Product {
		info.Product = append(info.Product, *product.Info)
	}
	for _, property := range spec.Property {
		info.Property = append(info.Property, *property.Info)
	}
	return info
}

// diskPath is where the double keeps what was uploaded for a device of a machine or for a file of a library item.
func (w *world) diskPath(owner, name string) (string, error) {
	path := filepath.Join(w.store, owner, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("cannot store %s: %w", name, err)
	}
	return path, nil
}
