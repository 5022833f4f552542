package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"airlock/blob"
	"airlock/wholefile"
)

// Memory is what a vault is known to hold, kept on the near side: the last
// generation's manifest, and a journal of the blobs that have landed since, so that a
// cut window carries on where it stopped (S10). It is safe for concurrent use, but two
// processes must not open the same folder.
//
// A memory may know too little, never too much: what it does not know is sent, or
// read back, again. A lost or damaged one is therefore an empty one, and costs the
// next window a listing of the vault.
type Memory struct {
	dir string

	mu      sync.Mutex
	journal *os.File
	recollection
}

// recollection is what a Memory knows at one instant.
type recollection struct {
	last    *Generation // nil before the first
	file    []byte      // its bytes
	sum     blob.Sum    // its hash; zero before the first
	doubted bool        // whether the vault holds last's blobs is not known
	landed  []Entry     // blobs that the vault holds besides, oldest first
	sealing []sealing   // what windows were about to put as a generation, and may have
	strange string      // why the memory was found unusable; "" if it was not
	changes int         // how often any of this changed
}

// journalLine is one line of the journal, in JSON.
type journalLine struct {
	Forget int64  `json:"forget,omitempty"` // what was known up to this generation is no longer certain
	Landed *Entry `json:"landed,omitempty"`
	// Sealing is about to be put. Airlocks that do not know it take it for nothing.
	Sealing *sealing `json:"sealing,omitempty"`
}

const (
	memoryGeneration = "generation.json"
	memoryJournal    = "journal"
)

// OpenMemory opens a vault's memory in a folder of its own, making it if need be.
func OpenMemory(dir string) (*Memory, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	m := &Memory{dir: dir}
	if err := m.load(); err != nil {
		return nil, fmt.Errorf("memory of the vault in %s: %w", dir, err)
	}
	return m, nil
}

// Last is the last generation that the vault is known to hold; nil for none. It must
// not be changed.
func (m *Memory) Last() *Generation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// Close closes the journal.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.journal.Close()
}

func (m *Memory) load() error {
	file, err := os.ReadFile(filepath.Join(m.dir, memoryGeneration))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		last, err := Decode(file)
		if err != nil {
			m.strange = fmt.Sprintf("the memory of the last generation is damaged: %v", err)
		} else {
			m.follow(last, file)
		}
	}
	return m.readJournal()
}

// follow starts anew from a generation, or from none.
func (r *recollection) follow(last *Generation, file []byte) {
	*r = recollection{last: last, file: file, changes: r.changes + 1, sealing: r.sealing}
	if last != nil {
		r.sum = sha256.Sum256(file)
	}
}

// take takes in a line of the journal. A line that forgets has done so already if a
// later generation has landed.
func (r *recollection) take(l journalLine) {
	if l.Sealing != nil { // it changes nothing of what is known to be there
		r.sealing = append(r.sealing, *l.Sealing)
		return
	}
	r.changes++
	if l.Forget > 0 && (r.last == nil || r.last.Number <= l.Forget) {
		r.landed, r.doubted = nil, true
	}
	if l.Landed != nil {
		r.landed = append(r.landed, *l.Landed)
	}
}

// next is the number and the predecessor of the generation to come.
func (r *recollection) next() (int64, blob.Sum) {
	if r.last == nil {
		return 1, blob.Sum{}
	}
	return r.last.Number + 1, r.sum
}

// readJournal takes the journal's whole lines, and cuts off a torn last one, so that
// the next line begins on a line of its own.
func (m *Memory) readJournal() error {
	f, err := os.OpenFile(filepath.Join(m.dir, memoryJournal), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	m.journal = f
	text, err := os.ReadFile(f.Name())
	if err != nil {
		return errors.Join(err, f.Close())
	}
	good := 0
	for line := range bytes.Lines(text) {
		var l journalLine
		if line[len(line)-1] != '\n' {
			break
		}
		if json.Unmarshal(line, &l) != nil || l.Landed != nil && l.Landed.check() != nil {
			m.strange = "the journal of what has landed is damaged" // and may have gone on to forget
			break
		}
		good += len(line)
		m.take(l)
	}
	if good == len(text) {
		return nil
	}
	if err := f.Truncate(int64(good)); err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

// confirm notes that blobs have landed. It is durable after sync.
func (m *Memory) confirm(entries ...Entry) error {
	lines := make([]journalLine, len(entries))
	for i := range entries {
		lines[i].Landed = &entries[i]
	}
	return m.note(lines...)
}

func (m *Memory) note(lines ...journalLine) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.journal.Write(text.Bytes()); err != nil {
		return fmt.Errorf("note what has landed in the vault: %w", err)
	}
	for _, l := range lines {
		m.take(l)
	}
	return nil
}

// intend notes, durably, what is about to be put in the place of a generation.
func (m *Memory) intend(what sealing) error {
	return errors.Join(m.note(journalLine{Sealing: &what}), m.sync())
}

// intended are what windows were about to put after a number, and may have, by their numbers.
func (m *Memory) intended(after int64) map[int64][]sealing {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := map[int64][]sealing{}
	for _, one := range m.sealing {
		if one.Number > after {
			all[one.Number] = append(all[one.Number], one)
		}
	}
	return all
}

func (m *Memory) sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.journal.Sync()
}

// seal notes that a generation has landed. The journal is emptied after that: between
// the two it says what the generation says too.
func (m *Memory) seal(last *Generation, file []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.writeGeneration(file); err != nil {
		return err
	}
	m.follow(last, file)
	m.sealing = nil // a later one is of no use: no window is in course
	return m.emptyJournal()
}

// rewrite makes the memory say that the vault holds just these blobs, and that the
// next generation follows last (nil for none). All is forgotten first, so that at no
// instant the memory tells of too much.
func (m *Memory) rewrite(last *Generation, file []byte, entries []Entry) error {
	through := int64(1)
	if last != nil {
		through = last.Number
	}
	if err := errors.Join(m.note(journalLine{Forget: through}), m.sync()); err != nil {
		return err
	}
	if err := m.replaceLast(last, file); err != nil {
		return err
	}
	return m.confirm(entries...)
}

func (m *Memory) replaceLast(last *Generation, file []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.follow(last, file)
	m.doubted = true // the caller says what is there
	if file != nil {
		return m.writeGeneration(file)
	}
	if err := os.Remove(filepath.Join(m.dir, memoryGeneration)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (m *Memory) emptyJournal() error {
	if err := m.journal.Truncate(0); err != nil {
		return err
	}
	return m.journal.Sync()
}

func (m *Memory) writeGeneration(file []byte) error {
	return wholefile.Replace(filepath.Join(m.dir, memoryGeneration), file, 0o600)
}

func (m *Memory) recall() recollection {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.recollection // its slices are only ever appended to
}

// holdings are the blobs that a recollection knows of, ready to be looked up.
type holdings struct {
	held  map[heldKey]Entry
	taken map[string]bool // names whose BlobPath is occupied
}

type heldKey struct {
	name string
	sum  blob.Sum
}

func (r *recollection) holdings() holdings {
	var certain []Entry
	if r.last != nil && !r.doubted {
		certain = r.last.Blobs
	}
	n := len(certain) + len(r.landed)
	h := holdings{make(map[heldKey]Entry, n), make(map[string]bool, n)}
	for _, entries := range [][]Entry{certain, r.landed} {
		for _, e := range entries {
			h.held[heldKey{e.Name, e.SHA256}] = e
			h.taken[e.Name] = true // a further version has a first one
		}
	}
	return h
}

// place is where a blob lies, or will if its name is still free.
func (h holdings) place(b blob.Blob) (e Entry, held bool) {
	if e, held = h.held[heldKey{b.Name, b.SHA256}]; held {
		return e, true
	}
	e = Entry{Name: b.Name, Size: b.Size, SHA256: b.SHA256}
	if h.taken[b.Name] {
		e.Path = versionPath(b.Name, b.SHA256)
	}
	return e, false
}
