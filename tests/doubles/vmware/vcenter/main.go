// A vCenter for tests: govmomi's simulator, made as strict as the real one where vvctl depends on it, with faults on demand.
//
// The simulator answers everything that is not named here. In front of it stand `front` (faults, log of calls, uploads),
// in the place of some of its objects stand those of objects.go, machine.go, snapshot.go, collector.go and lease.go, and
// library.go watches the content library.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
)

func main() {
	certificate := flag.String("certificate", "", "PEM file with the server's certificate")
	key := flag.String("key", "", "PEM file with its key")
	store := flag.String("store", "", "folder for uploaded disks")
	free := flag.Int64("free", 1<<40, "free bytes of each datastore")
	deny := flag.String("deny", "", "privileges that nobody has, separated by commas")
	leaseTimeout := flag.Duration("lease-timeout", time.Minute, "how long an import may show no progress")
	keepOnAbort := flag.Bool("keep-on-abort", false, "leave the machine of an aborted import")
	taskTime := flag.Duration("task-time", 10*time.Millisecond, "how long a task on a machine takes")
	guestTime := flag.Duration("guest-time", 50*time.Millisecond, "how long a guest takes to start and to shut down")
	hook := flag.String("hook", "", "URL that is told what guests and disks go through; state.go has the events")
	flag.IntVar(&pageLimit, "page", 100, "the most objects in an answer of the property collector")
	flag.Parse()

	model := simulator.VPX()
	model.Datacenter, model.Machine = 1, 0
	if err := model.Create(); err != nil {
		log.Fatal(err)
	}
	model.Service.RegisterEndpoints = true
	// Only the content library's own calls to the simulator go here; clients come through the front.
	model.Service.Listen = &url.URL{Host: "127.0.0.1:0", User: url.UserPassword(user, password)}
	inner := model.Service.NewServer()

	world := &world{
		store: *store, leaseTimeout: *leaseTimeout, keepOnAbort: *keepOnAbort, denied: map[string]bool{},
		taskTime: *taskTime, guestTime: *guestTime, hook: *hook,
	}
	for _, privilege := range strings.Split(*deny, ",") {
		world.denied[privilege] = true
	}
	world.install(*free)

	pair, err := tls.LoadX509KeyPair(*certificate, *key)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		log.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	front := newFront(world, model.Service.ServeMux, inner.URL.Host, "localhost:"+port)
	go func() {
		// Whoever started it holds the other end, and has gone, however that came about.
		_, _ = io.Copy(io.Discard, os.Stdin)
		model.Remove()
		os.Exit(0)
	}()
	fmt.Println(port)
	os.Stdout.Close()
	log.Fatal(http.Serve(listener, front))
}
