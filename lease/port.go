package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"airlock/state"
)

// Port is the port that counts as a door's own, by its first use or by a person's word. It
// lies in a file of the state folder, so that it is known before a ledger is open, and to a
// guard on this machine; a guard on another gets it with the leases.
type Port struct {
	Door        string    `json:"door"`
	Switch      Device    `json:"switch"`
	By          string    `json:"by,omitempty"` // the switch's name in the policy file
	Index       int       `json:"index,omitempty"`
	Name        string    `json:"name,omitempty"`        // ifName
	Description string    `json:"description,omitempty"` // ifDescr
	At          time.Time `json:"at"`
}

// Device is which switch it is, as far as that tells.
type Device struct {
	Address string `json:"address,omitempty"`
	Name    string `json:"name,omitempty"`
	Engine  string `json:"engine,omitempty"`
	MAC     string `json:"mac,omitempty"`
	HostKey string `json:"host_key,omitempty"`
}

// String names the port for a person: p3 (index 5) of switch core.
func (p Port) String() string {
	text := p.Name
	switch {
	case text == "" && p.Description == "":
		text = fmt.Sprintf("index %d", p.Index)
	case text == "":
		text = p.Description
	}
	if p.Index != 0 && p.Name+p.Description != "" {
		text += fmt.Sprintf(" (index %d)", p.Index)
	}
	if p.Switch.Name != "" {
		return text + " of switch " + p.Switch.Name
	}
	if p.Switch.Address != "" {
		return text + " of the switch at " + p.Switch.Address
	}
	return text
}

// ReadPort gives the port that counts as a door's own; fs.ErrNotExist where none does yet.
func ReadPort(state state.Folder, door string) (Port, error) {
	var p Port
	file, err := os.Open(state.Port(door))
	if err != nil {
		return p, fmt.Errorf("the port of door %s: %w", door, err)
	}
	data, err := io.ReadAll(io.LimitReader(file, sizeLimit))
	if err = errors.Join(err, file.Close()); err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err == nil && p.Door != door {
		err = fmt.Errorf("the file is about door %q", p.Door)
	}
	if err != nil {
		return Port{}, fmt.Errorf("the port of door %s: %w", door, err)
	}
	return p, nil
}

// Write makes p its door's own, whole or not at all.
func (p Port) Write(state state.Folder) error {
	data, err := json.Marshal(p)
	if err == nil {
		err = os.MkdirAll(state.Doors(), 0o700)
	}
	if err != nil {
		return fmt.Errorf("the port of door %s: %w", p.Door, err)
	}
	next, err := os.OpenFile(state.Port(p.Door)+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("the port of door %s: %w", p.Door, err)
	}
	_, err = next.Write(data)
	if err = errors.Join(err, next.Sync(), next.Close()); err == nil {
		err = os.Rename(next.Name(), state.Port(p.Door))
	}
	if err != nil {
		return fmt.Errorf("the port of door %s: %w", p.Door, err)
	}
	return nil
}

// ports are all of a state folder. What cannot be read is left out.
func ports(state state.Folder) []Port {
	files, _ := os.ReadDir(state.Doors())
	var all []Port
	for _, file := range files {
		door, whole := strings.CutSuffix(file.Name(), ".json")
		if p, err := ReadPort(state, door); whole && err == nil {
			all = append(all, p)
		}
	}
	return all
}
