// The appliance as the only program of a machine: /init of an initramfs that boots in seconds.
//
// It speaks what `vvctl upgrade` asks of the API, keeps its records on the data disk's file system, and shuts down when
// the power button is pressed. What it is comes on the kernel's command line: vv.version, vv.epoch, vv.schema,
// vv.behaviour (the words of guest.py).
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

const (
	operatorKey = "vv_operator_of_the_double"
	recordsFile = "/data/records.json"
	// linux/input-event-codes.h
	evKey, keyPower = 1, 116
	// linux/reboot.h
	powerOff = 0x4321fedc
	// What slirp gives the first guest.
	address = "\x0a\x00\x02\x0f"
)

// What is on the data disk: that of Data in guest.py.
type data struct {
	FormatEpoch    int                 `json:"format_epoch"`
	SchemaRevision string              `json:"schema_revision"`
	Maintenance    bool                `json:"maintenance"`
	Records        map[string][]string `json:"records"`
}

type guest struct {
	sync.Mutex
	version, schema, behaviour, boot string
	epoch                            int
	up                               time.Time
	data                             data
}

func main() {
	mount("proc", "/proc", "proc")
	mount("dev", "/dev", "devtmpfs")
	loadModules()
	settings := commandLine()
	epoch, _ := strconv.Atoi(settings["vv.epoch"])
	g := &guest{
		version: settings["vv.version"], schema: settings["vv.schema"], behaviour: settings["vv.behaviour"],
		epoch: epoch, boot: random(), up: time.Now(),
	}
	if err := g.open(); err != nil {
		fmt.Println("data disk:", err)
	}
	must(configureNetwork())
	go g.watchPowerButton()
	fmt.Println("serving", g.version, g.behaviour)
	must(http.ListenAndServe(":8000", g))
}

// open mounts the data disk, and migrates or spoils what is on it.
func (g *guest) open() error {
	os.Mkdir("/data", 0o755)
	var err error
	for try := 0; try < 100; try++ {
		if err = syscall.Mount("/dev/vdb", "/data", "ext4", 0, ""); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	content, err := os.ReadFile(recordsFile)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, &g.data); err != nil {
		return err
	}
	if g.behaviour == "wrong_epoch" || g.behaviour == "never_ready" ||
		g.data.FormatEpoch > g.epoch || g.data.SchemaRevision > g.schema {
		return nil
	}
	records := g.data.Records
	switch g.behaviour {
	case "migration_fails":
		g.data.SchemaRevision = g.schema + ", half"
		records["speakers"] = records["speakers"][1:]
	case "crash_loop":
		records["settings"] = append(records["settings"], "crashed")
	default:
		g.data.FormatEpoch, g.data.SchemaRevision = g.epoch, g.schema
		if g.behaviour == "loses_records" {
			records["speakers"] = records["speakers"][1:]
		}
	}
	return g.store()
}

// store has the records on the disk when it returns.
func (g *guest) store() error {
	content, _ := json.Marshal(g.data)
	file, err := os.Create(recordsFile + ".new")
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(recordsFile+".new", recordsFile); err != nil {
		return err
	}
	syscall.Sync()
	return nil
}

func (g *guest) ready() bool {
	switch g.behaviour {
	case "never_ready", "crash_loop", "wrong_epoch":
		return false
	}
	return g.data.Records != nil && g.data.FormatEpoch == g.epoch && g.data.SchemaRevision == g.schema
}

func (g *guest) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	g.Lock()
	defer g.Unlock()
	path := strings.TrimRight(r.URL.Path, "/")
	down := g.behaviour == "crash_loop" && int(time.Since(g.up).Seconds()*2)%2 == 1
	switch {
	case g.data.Records == nil || down:
		panic(http.ErrAbortHandler)
	case path == "/health/ready":
		if !g.ready() {
			problem(w, 503, "It is starting.")
			return
		}
		answer(w, map[string]any{"status": "ready"})
	case r.Header.Get("Authorization") != "Bearer "+operatorKey:
		problem(w, 401, "The key is unknown.")
	default:
		g.serve(w, r, r.Method+" "+strings.TrimPrefix(path, "/api/v2"), body)
	}
}

func (g *guest) serve(w http.ResponseWriter, r *http.Request, asked string, body []byte) {
	audit := len(g.data.Records["audit"])
	switch asked {
	case "GET /maintenance/inventory":
		through := audit
		if given := r.URL.Query().Get("through"); given != "" {
			number, err := strconv.Atoi(given)
			if err != nil || number > audit {
				problem(w, 422, "through is not that of an inventory.")
				return
			}
			through = number
		}
		answer(w, g.inventory(through))
	case "GET /maintenance":
		answer(w, g.maintenance())
	case "POST /maintenance/lock", "POST /maintenance/unlock":
		g.data.Maintenance = strings.HasSuffix(asked, "/lock")
		g.note(w, filepath.Base(asked), g.maintenance())
	case "POST /maintenance/force_off":
		g.note(w, "force_off", map[string]any{"ended_streams": 0})
	case "POST /maintenance/backup":
		if !g.data.Maintenance {
			problem(w, 409, "Enter maintenance mode first.")
			return
		}
		g.data.Records["audit"] = append(g.data.Records["audit"], "backup")
		if err := g.store(); err != nil {
			problem(w, 507, err.Error())
			return
		}
		packed := gzip.NewWriter(w)
		json.NewEncoder(packed).Encode(g.data.Records)
		packed.Close()
	case "POST /verify":
		g.verify(w, r, body)
	default:
		problem(w, 404, "There is no "+asked+".")
	}
}

func (g *guest) note(w http.ResponseWriter, what string, document map[string]any) {
	g.data.Records["audit"] = append(g.data.Records["audit"], what)
	if err := g.store(); err != nil {
		problem(w, 507, err.Error())
		return
	}
	answer(w, document)
}

func (g *guest) maintenance() map[string]any {
	return map[string]any{"mode": g.data.Maintenance, "since": nil, "running_streams": 0}
}

func (g *guest) inventory(through int) map[string]any {
	records := map[string]any{}
	for kind, found := range g.data.Records {
		if kind == "audit" {
			found = found[:through]
		}
		content, _ := json.Marshal(found)
		digest := sha256.Sum256(content)
		records[kind] = map[string]any{"count": len(found), "sha256": hex.EncodeToString(digest[:])}
	}
	return map[string]any{
		"format": 1, "version": g.version, "format_epoch": g.data.FormatEpoch,
		"schema_revision": g.data.SchemaRevision, "boot": g.boot, "ready": g.ready(),
		"through": strconv.Itoa(through), "records": records,
	}
}

// A recording of a speaker holds the speaker's name.
func (g *guest) verify(w http.ResponseWriter, r *http.Request, body []byte) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	file, _, err := r.FormFile("recording")
	speaker := r.FormValue("speaker")
	if err != nil || speaker == "" {
		problem(w, 422, "speaker and recording are needed.")
		return
	}
	recording, _ := io.ReadAll(file)
	known := g.data.Records["speakers"]
	at := sort.SearchStrings(known, speaker)
	switch {
	case at == len(known) || known[at] != speaker:
		answer(w, map[string]any{"decision": "not_sure", "reason": "speaker_not_enrolled"})
	case bytes.Contains(recording, []byte(speaker)):
		answer(w, map[string]any{"decision": "verified", "reason": "ok"})
	default:
		answer(w, map[string]any{"decision": "not_verified", "reason": "ok"})
	}
}

// watchPowerButton shuts down in order when it is pressed.
func (g *guest) watchPowerButton() {
	paths, _ := filepath.Glob("/dev/input/event*")
	for _, path := range paths {
		go func(path string) {
			file, err := os.Open(path)
			must(err)
			var event struct {
				Seconds, Microseconds int64
				Type, Code            uint16
				Value                 int32
			}
			for binary.Read(file, binary.LittleEndian, &event) == nil {
				if event.Type == evKey && event.Code == keyPower && event.Value == 1 && g.behaviour != "hung_shutdown" {
					g.Lock()
					fmt.Println("shutting down")
					syscall.Unmount("/data", 0)
					syscall.Sync()
					must(syscall.Reboot(powerOff))
				}
			}
		}(path)
	}
}

func configureNetwork() error {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	// struct ifreq of linux/if.h: a name and a sockaddr_in, or flags.
	for _, name := range []string{"lo", "eth0"} {
		var request [40]byte
		copy(request[:], name)
		if name == "eth0" {
			binary.LittleEndian.PutUint16(request[16:], syscall.AF_INET)
			for _, setting := range []struct {
				code  uintptr
				value string
			}{{syscall.SIOCSIFADDR, address}, {syscall.SIOCSIFNETMASK, "\xff\xff\xff\x00"}} {
				copy(request[20:], setting.value)
				if err := ioctl(socket, setting.code, &request); err != nil {
					return err
				}
			}
			request = [40]byte{}
			copy(request[:], name)
		}
		binary.LittleEndian.PutUint16(request[16:], syscall.IFF_UP|syscall.IFF_RUNNING)
		if err := ioctl(socket, syscall.SIOCSIFFLAGS, &request); err != nil {
			return err
		}
	}
	return nil
}

func ioctl(socket int, code uintptr, request *[40]byte) error {
	if _, _, number := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), code, uintptr(unsafe.Pointer(request))); number != 0 {
		return number
	}
	return nil
}

// loadModules loads /modules/*, whose names sort in the order in which they need each other.
func loadModules() {
	paths, _ := filepath.Glob("/modules/*.ko")
	for _, path := range paths {
		file, err := os.Open(path)
		must(err)
		empty, _ := syscall.BytePtrFromString("")
		const finitModule = 313
		_, _, number := syscall.Syscall(finitModule, file.Fd(), uintptr(unsafe.Pointer(empty)), 0)
		if number != 0 && number != syscall.EEXIST {
			fmt.Println(path, number)
		}
		file.Close()
	}
}

func commandLine() map[string]string {
	content, err := os.ReadFile("/proc/cmdline")
	must(err)
	found := map[string]string{}
	for _, word := range strings.Fields(string(content)) {
		key, value, _ := strings.Cut(word, "=")
		found[key] = value
	}
	return found
}

func mount(source, target, kind string) {
	os.Mkdir(target, 0o755)
	if err := syscall.Mount(source, target, kind, 0, ""); err != nil && err != syscall.EBUSY {
		fmt.Println(target, err)
	}
}

func answer(w http.ResponseWriter, document map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(document)
}

func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"status": status, "detail": detail})
}

func random() string {
	content := make([]byte, 8)
	rand.Read(content)
	return hex.EncodeToString(content)
}

// must stops the kernel: it panics when its first program ends.
func must(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}
