package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"airlock/state"

	"golang.org/x/mod/sumdb/note"
)

// Statement is what an executor tells a guard on another machine: every lease and the
// lockdown as they stood at one instant of the executor's clock. It travels as a note
// (golang.org/x/mod/sumdb/note) that is signed with the site's key and whose text is the
// line "airlock leases" and a line of JSON. The nonce is the asking guard's, used once:
// neither an old statement nor somebody else's can keep a door open.
type Statement struct {
	Nonce    string    `json:"nonce"`
	Now      Instant   `json:"now"`
	Leases   []Lease   `json:"leases"`
	Ports    []Port    `json:"ports,omitempty"` // that count as the doors' own
	Lockdown *Lockdown `json:"lockdown,omitempty"`
	Doubt    string    `json:"lockdown_unknown,omitempty"` // why nobody knows whether there is one: no lease is told then
}

// StatementLimit is more bytes than the statement of any site takes.
const StatementLimit = 256 << 10

const statementTitle = "airlock leases\n"

// ErrNonce: a nonce is 16 to 64 letters and digits.
var ErrNonce = errors.New("a nonce is 16 to 64 letters and digits")

var usableNonce = regexp.MustCompile(`^[0-9A-Za-z]{16,64}$`)

// State reads the leases and the lockdown of a state folder. What is no lease is left
// out, as it allows nothing.
func State(state state.Folder, nonce string, now Instant) (Statement, error) {
	s := Statement{Nonce: nonce, Now: now, Leases: []Lease{}}
	if !usableNonce.MatchString(nonce) {
		return s, ErrNonce
	}
	files, err := os.ReadDir(string(In(state)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("leases: %w", err)
	}
	for _, file := range files {
		if door, whole := strings.CutSuffix(file.Name(), ".json"); whole {
			if l, err := In(state).Read(door); err == nil && l.Door == door {
				s.Leases = append(s.Leases, l)
			}
		}
	}
	s.Ports = ports(state)
	if s.Lockdown, err = Locked(state); err != nil {
		s.Leases, s.Doubt = []Lease{}, err.Error()
	}
	return s, nil
}

// Sign makes the note.
func (s Statement) Sign(key note.Signer) ([]byte, error) {
	line, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	data, err := note.Sign(&note.Note{Text: statementTitle + string(line) + "\n"}, key)
	if err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	return data, nil
}

// OpenStatement reads a note that key has signed in answer to nonce, and nothing else.
func OpenStatement(data []byte, key note.Verifier, nonce string) (Statement, error) {
	n, err := note.Open(data, note.VerifierList(key))
	if err != nil {
		return Statement{}, fmt.Errorf("leases: the answer is not signed with the site's key: %w", err)
	}
	line, titled := strings.CutPrefix(n.Text, statementTitle)
	var s Statement
	if !titled {
		return s, errors.New("leases: the answer is signed, and is about something else")
	}
	if err := json.Unmarshal([]byte(line), &s); err != nil {
		return Statement{}, fmt.Errorf("leases: the answer cannot be read: %w", err)
	}
	if s.Nonce != nonce || !usableNonce.MatchString(nonce) {
		return Statement{}, errors.New("leases: the answer is to another question: an old one, or somebody else's")
	}
	return s, nil
}

// Lease is the lease of a door with its times on the reader's clock, by which the
// question was asked at asked. The statement was made after that; counting from the
// question, the lease ends sooner by the time that the answer was under way, and never
// later. A lease of another boot than the executor's own is of no boot.
func (s Statement) Lease(door string, asked Instant) (Lease, error) {
	for _, l := range s.Leases {
		if l.Door != door {
			continue
		}
		b, shift := l.Boot, asked.Since-s.Now.Since
		l.Boot = Boot{Renewed: b.Renewed + shift, Until: b.Until + shift, Deadline: b.Deadline + shift}
		if b.ID != "" && b.ID == s.Now.Boot && b.Renewed <= s.Now.Since {
			l.Boot.ID = asked.Boot
		}
		return l, nil
	}
	if s.Doubt != "" {
		return Lease{}, fmt.Errorf("door %s has no lease: %s", door, s.Doubt)
	}
	return Lease{}, fmt.Errorf("door %s has no lease", door)
}
