package main

import (
	"bytes"
	"encoding/json"
	"log"
	"net/http"
	"sort"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// event is what whoever plays the guests is told, in order, and before anything else happens: on (with the files that it
// writes to), off, button, copy of a disk's content to the file that is written to from then on, and delete.
type event struct {
	Event   string   `json:"event"`
	Machine string   `json:"machine,omitempty"`
	Disks   []string `json:"disks,omitempty"`
	From    string   `json:"from,omitempty"`
	To      string   `json:"to,omitempty"`
}

func (w *world) tell(what event) {
	if w.hook == "" {
		return
	}
	text, _ := json.Marshal(what)
	answer, err := http.Post(w.hook, "application/json", bytes.NewReader(text))
	if err != nil {
		log.Printf("event %s: %s", text, err)
		return
	}
	answer.Body.Close()
}

type diskState struct {
	// What is written to, and the whole disk below it.
	File string `json:"file"`
	Root string `json:"root"`
}

type cardState struct {
	Address   string `json:"address"`
	Connected bool   `json:"connected"`
}

type machineState struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	On        bool              `json:"on"`
	Importing bool              `json:"importing"`
	Options   map[string]string `json:"options"`
	Disks     []diskState       `json:"disks"`
	Cards     []cardState       `json:"cards"`
	Snapshots []string          `json:"snapshots"`
}

type state struct {
	Machines []machineState `json:"machines"`
	// Whole disks on datastores, attached or not.
	Files []string `json:"files"`
}

// look is the world as it is, for tests that do not trust what the API shows.
func (w *world) look() state {
	found := state{Machines: []machineState{}, Files: []string{}}
	for _, m := range machines() {
		simulator.Map.WithLock(m, func() {
			w.mu.Lock()
			found.Machines = append(found.Machines, m.look())
			w.mu.Unlock()
		})
	}
	w.mu.Lock()
	for file, disk := range w.disks {
		if disk.parent == "" {
			found.Files = append(found.Files, file)
		}
	}
	w.mu.Unlock()
	sort.Strings(found.Files)
	sort.Slice(found.Machines, func(a, b int) bool { return found.Machines[a].ID < found.Machines[b].ID })
	return found
}

func (m *machine) look() machineState {
	found := machineState{
		ID: m.Self.Value, Name: m.Name, On: m.on(), Importing: m.DisabledMethod != nil, Options: map[string]string{},
		Disks: []diskState{}, Cards: []cardState{}, Snapshots: []string{},
	}
	for _, option := range m.Config.ExtraConfig {
		if text, ok := option.GetOptionValue().Value.(string); ok {
			found.Options[option.GetOptionValue().Key] = text
		}
	}
	for _, backing := range m.backings() {
		found.Disks = append(found.Disks, diskState{File: backing.FileName, Root: m.world.root(backing.FileName)})
	}
	for _, card := range m.cards() {
		// While it is off, what counts is whether it will be connected.
		connected := card.Connectable != nil && card.Connectable.StartConnected
		found.Cards = append(found.Cards, cardState{Address: card.MacAddress, Connected: connected})
	}
	for _, one := range m.chain {
		found.Snapshots = append(found.Snapshots, one.title)
	}
	return found
}

// switchedOff lets the guest of a machine end its shutdown.
func (w *world) switchedOff(id string) {
	for _, m := range machines() {
		if m.Self.Value == id {
			m.switchOff(&simulator.Context{Map: simulator.Map, Session: &simulator.Session{}, Caller: &types.ManagedObjectReference{}})
		}
	}
}
