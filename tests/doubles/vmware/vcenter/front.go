package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// fault is what the call-th call of a method meets, counted from 1. Kinds: fail (refused by the service), drop-before
// and drop-after (the connection breaks before or after the work), unavailable (a proxy answers 503), logout (the
// session of the caller ends), hang (nothing happens until the client gives up), full (the task that the call begins ends
// with an error: the datastore is full).
//
// Without a method it is the call-th of all that change something. Then there are also slow (it takes two seconds longer),
// and kill-before and kill-after (the victim is killed before or after the work).
type fault struct {
	Method string `json:"method"`
	Call   int    `json:"call"`
	Kind   string `json:"kind"`
}

// changing are the methods that change the inventory, and not only the session or an import under way.
var changing = map[string]bool{
	"ImportVApp": true, "UploadDisk": true, "HttpNfcLeaseComplete": true, "HttpNfcLeaseAbort": true, "Destroy_Task": true,
	"UnregisterVM": true, "ReconfigVM_Task": true, "Rename_Task": true, "MarkAsTemplate": true, "CloneVM_Task": true,
	"PowerOnVM_Task": true, "PowerOffVM_Task": true, "ShutdownGuest": true, "CreateSnapshot_Task": true,
	"RevertToSnapshot_Task": true, "RemoveSnapshot_Task": true, "RemoveAllSnapshots_Task": true,
	"ConsolidateVMDisks_Task": true, "SetField": true, "AddCustomFieldDef": true, "MoveVirtualDisk_Task": true,
	"DeleteVirtualDisk_Task": true,
}

// slowness is longer than a poll of the tests, and shorter than any time limit.
const slowness = 2 * time.Second

// front stands between clients and the simulator.
type front struct {
	world *world
	inner http.Handler
	// Addresses that the simulator writes into its answers, and what a client must see in their place.
	innerHost, outerHost string

	mu      sync.Mutex
	calls   []string
	changes []string
	counts  map[string]int
	faults  []fault
	victim  int
	ended   map[string]bool
	items   map[string]*libraryFile
}

func newFront(w *world, inner http.Handler, innerHost, outerHost string) *front {
	return &front{
		world: w, inner: inner, innerHost: innerHost, outerHost: outerHost,
		counts: map[string]int{}, ended: map[string]bool{}, items: map[string]*libraryFile{},
	}
}

var (
	soapMethod = regexp.MustCompile(`<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)`)
	identifier = regexp.MustCompile(`id:[^/]+`)
)

// methodOf names a call: the SOAP method, the REST operation without identities, or the upload.
func methodOf(request *http.Request, body []byte) string {
	switch {
	case request.URL.Path == "/sdk":
		if found := soapMethod.FindSubmatch(body); found != nil {
			return string(found[1])
		}
		return "SOAP"
	case strings.HasPrefix(request.URL.Path, "/nfc/"):
		return "UploadDisk"
	case strings.HasPrefix(request.URL.Path, dataPrefix):
		return "UploadFile"
	}
	name := strings.TrimPrefix(identifier.ReplaceAllString(request.URL.Path, "id"), "/rest/com/vmware/")
	if action := request.URL.Query().Get("~action"); action != "" {
		name += "?" + action
	}
	return request.Method + " " + name
}

func (f *front) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	if strings.HasPrefix(request.URL.Path, "/double/") {
		f.control(answer, request)
		return
	}
	upload := strings.HasPrefix(request.URL.Path, "/nfc/") || strings.HasPrefix(request.URL.Path, dataPrefix)
	var body []byte
	if !upload {
		body, _ = io.ReadAll(request.Body)
		request.Body = io.NopCloser(bytes.NewReader(body))
	}
	method := methodOf(request, body)
	switch f.count(method) {
	case "slow":
		time.Sleep(slowness)
	case "kill-before":
		f.kill()
		panic(http.ErrAbortHandler)
	case "kill-after":
		f.dispatch(&discard{header: http.Header{}}, request, method, body)
		f.kill()
		panic(http.ErrAbortHandler)
	case "fail":
		refuse(answer, request)
		return
	case "unavailable":
		http.Error(answer, "no healthy upstream", http.StatusServiceUnavailable)
		return
	case "drop-before":
		panic(http.ErrAbortHandler)
	case "hang":
		<-request.Context().Done()
		return
	case "logout":
		f.endSession(request)
	case "full":
		atomic.StoreInt32(&f.world.full, 1)
	case "drop-after":
		f.dispatch(&discard{header: http.Header{}}, request, method, body)
		panic(http.ErrAbortHandler)
	}
	f.dispatch(answer, request, method, body)
}

func (f *front) dispatch(answer http.ResponseWriter, request *http.Request, method string, body []byte) {
	ended := f.dropEndedSession(request)
	switch {
	case ended && strings.HasPrefix(method, "RetrieveProperties"):
		// The simulator answers with properties that are missing.
		detail := `<object type="PropertyCollector">propertyCollector</object><privilegeId>System.View</privilegeId>`
		soapError(answer, "NotAuthenticated", "The session is not authenticated.", detail)
	case method == "UploadDisk":
		f.world.serveDisk(answer, request)
	case strings.HasPrefix(request.URL.Path, "/rest/"):
		f.serveREST(answer, request, method, body)
	default:
		if privilege := f.world.missing(guarded[method]...); privilege != "" {
			detail := `<object type="VirtualMachine">vm</object><privilegeId>` + privilege + "</privilegeId>"
			soapError(answer, "NoPermission", "Permission to perform this operation was denied.", detail)
			return
		}
		f.inner.ServeHTTP(answer, request)
		if method == "CloneVM_Task" || method == "CreateVM_Task" || method == "RegisterVM_Task" {
			f.world.adopt()
		}
	}
}

// kill ends the process of the client, as a power failure would.
func (f *front) kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = syscall.Kill(f.victim, syscall.SIGKILL)
	f.world.abandonLeases()
}

// count remembers a call and returns the kind of fault that it shall meet.
func (f *front) count(method string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, method)
	f.counts[method]++
	if changing[method] {
		f.changes = append(f.changes, method)
	}
	for _, fault := range f.faults {
		if fault.Method == method && fault.Call == f.counts[method] {
			return fault.Kind
		}
		if fault.Method == "" && changing[method] && fault.Call == len(f.changes) {
			return fault.Kind
		}
	}
	return ""
}

// sessionOf is the identity that a request shows, of SOAP or of REST.
func sessionOf(request *http.Request) string {
	if cookie, err := request.Cookie("vmware_soap_session"); err == nil {
		return strings.Trim(cookie.Value, `"`)
	}
	return request.Header.Get("vmware-api-session-id")
}

func (f *front) endSession(request *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended[sessionOf(request)] = true
	f.world.abandonLeases()
}

// dropEndedSession says whether the session of the caller has ended, and has nobody take it for one that goes on.
func (f *front) dropEndedSession(request *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	ended := f.ended[sessionOf(request)]
	if ended {
		request.Header.Del("Cookie")
		request.Header.Del("vmware-api-session-id")
	}
	return ended
}

// control is what a test asks of the double itself: the calls so far, faults to come (counted anew), one more of them, who
// is killed, which privileges there are, the state of the world, and that a guest has shut down.
func (f *front) control(answer http.ResponseWriter, request *http.Request) {
	switch path.Base(request.URL.Path) {
	case "state":
		_ = json.NewEncoder(answer).Encode(f.world.look())
		return
	case "off":
		f.world.switchedOff(request.URL.Query().Get("machine"))
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	switch path.Base(request.URL.Path) {
	case "calls":
		err = json.NewEncoder(answer).Encode(f.calls)
	case "changes":
		err = json.NewEncoder(answer).Encode(f.changes)
	case "victim":
		err = json.NewDecoder(request.Body).Decode(&f.victim)
	case "grant":
		var privileges []string
		err = json.NewDecoder(request.Body).Decode(&privileges)
		f.world.grant(privileges)
	case "arm":
		var more fault
		err = json.NewDecoder(request.Body).Decode(&more)
		f.faults = append(f.faults, more)
	case "faults":
		f.faults, f.counts, f.calls, f.changes = nil, map[string]int{}, nil, nil
		err = json.NewDecoder(request.Body).Decode(&f.faults)
	default:
		http.NotFound(answer, request)
	}
	if err != nil {
		http.Error(answer, err.Error(), http.StatusBadRequest)
	}
}

// discard takes an answer that never arrives.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header            { return d.header }
func (d *discard) Write(part []byte) (int, error) { return len(part), nil }
func (d *discard) WriteHeader(int)                {}
