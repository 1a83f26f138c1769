// Import an OVA as govc does, with govmomi's own reader, import and upload: a client of vCenter that shares no code with
// vvctl. Debian has no govc, only the library that it is made of.
package main

import (
	"archive/tar"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"path/filepath"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/nfc"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/ovf"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

func main() {
	address := flag.String("url", "", "https://user:password@host:port/sdk")
	authority := flag.String("ca", "", "PEM file of the authority that vouches for it")
	archive := flag.String("ova", "", "what to import")
	name := flag.String("name", "", "name of the machine")
	option := flag.String("option", "", "deployment option")
	flag.Parse()
	if err := run(*address, *authority, *archive, *name, *option); err != nil {
		log.Fatal(err)
	}
}

func run(address, authority, archive, name, option string) error {
	ctx := context.Background()
	client, err := login(ctx, address, authority)
	if err != nil {
		return err
	}
	finder := find.NewFinder(client.Client)
	datacenter, err := finder.DefaultDatacenter(ctx)
	if err != nil {
		return err
	}
	finder.SetDatacenter(datacenter)
	pool, err := finder.ResourcePool(ctx, "DC0_C0/Resources")
	if err != nil {
		return err
	}
	datastore, err := finder.DefaultDatastore(ctx)
	if err != nil {
		return err
	}
	folders, err := datacenter.Folders(ctx)
	if err != nil {
		return err
	}
	descriptor, err := open(archive, ".ovf")
	if err != nil {
		return err
	}
	text, err := io.ReadAll(descriptor)
	if err != nil {
		return err
	}
	params := types.OvfCreateImportSpecParams{EntityName: name, DiskProvisioning: "thin"}
	params.DeploymentOption = option
	spec, err := ovf.NewManager(client.Client).CreateImportSpec(ctx, string(text), pool, datastore, params)
	if err != nil {
		return err
	}
	if len(spec.Error) > 0 {
		return fmt.Errorf("refused: %s", spec.Error[0].LocalizedMessage)
	}
	return upload(ctx, pool, folders.VmFolder, spec, archive)
}

func login(ctx context.Context, address, authority string) (*govmomi.Client, error) {
	target, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	transport := soap.NewClient(target, false)
	if err := transport.SetRootCAs(authority); err != nil {
		return nil, err
	}
	client, err := vim25.NewClient(ctx, transport)
	if err != nil {
		return nil, err
	}
	manager := session.NewManager(client)
	return &govmomi.Client{Client: client, SessionManager: manager}, manager.Login(ctx, target.User)
}

func upload(ctx context.Context, pool *object.ResourcePool, folder *object.Folder, spec *types.OvfCreateImportSpecResult, archive string) error {
	lease, err := pool.ImportVApp(ctx, spec.ImportSpec, folder, nil)
	if err != nil {
		return err
	}
	info, err := lease.Wait(ctx, spec.FileItem)
	if err != nil {
		return err
	}
	updater := lease.StartUpdater(ctx, info)
	defer updater.Done()
	for _, item := range info.Items {
		if err := send(ctx, lease, item, archive); err != nil {
			return err
		}
	}
	return lease.Complete(ctx)
}

func send(ctx context.Context, lease *nfc.Lease, item nfc.FileItem, archive string) error {
	content, err := open(archive, item.Path)
	if err != nil {
		return err
	}
	return lease.Upload(ctx, item, content, soap.Upload{ContentLength: item.Size})
}

// open finds the member of a tar archive whose name ends so.
func open(archive, ending string) (io.Reader, error) {
	file, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	members := tar.NewReader(file)
	for {
		header, err := members.Next()
		if err != nil {
			return nil, fmt.Errorf("%s has no %s: %w", archive, ending, err)
		}
		if header.Name == ending || filepath.Ext(header.Name) == ending {
			return members, nil
		}
	}
}
