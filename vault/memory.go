package vault

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
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
	last    *Generation // nil before the first
	file    []byte      // its bytes
	journal *os.File
	landed  []Entry // the journal, oldest first
	held    map[heldKey]Entry
	taken   map[string]bool // names whose BlobPath is occupied
	strange string          // why the memory was found unusable
}

type heldKey struct {
	name string
	sum  Sum
}

// journalLine is one line of the journal, in JSON.
type journalLine struct {
	Forget bool   `json:"forget,omitempty"` // nothing from before is certain any more
	Landed *Entry `json:"landed,omitempty"`
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
	m.index(nil, nil)
	if err == nil {
		last, err := Decode(file)
		if err != nil {
			m.strange = fmt.Sprintf("the memory of the last generation is damaged: %v", err)
		} else {
			m.index(last, file)
		}
	}
	return m.readJournal()
}

// index starts from a generation, with nothing landed since.
func (m *Memory) index(last *Generation, file []byte) {
	m.last, m.file, m.landed = last, file, nil
	m.held, m.taken = map[heldKey]Entry{}, map[string]bool{}
	if last != nil {
		for _, e := range last.Blobs {
			m.learn(e)
		}
	}
}

func (m *Memory) learn(e Entry) {
	m.held[heldKey{e.Name, e.SHA256}] = e
	m.taken[e.Name] = true // a further version has a first one
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
		if line[len(line)-1] != '\n' || json.Unmarshal(line, &l) != nil || l.Landed != nil && l.Landed.check() != nil {
			break
		}
		good += len(line)
		m.follow(l)
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
		m.follow(l)
	}
	return nil
}

func (m *Memory) follow(l journalLine) {
	if l.Forget {
		m.landed = nil
		clear(m.held)
		clear(m.taken)
	}
	if l.Landed != nil {
		m.landed = append(m.landed, *l.Landed)
		m.learn(*l.Landed)
	}
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
	m.index(last, file)
	m.strange = ""
	return m.emptyJournal()
}

// rewrite makes the memory say that the vault holds just these blobs, and that the
// next generation follows last (nil for none). All is forgotten first, so that at no
// instant the memory tells of too much.
func (m *Memory) rewrite(last *Generation, file []byte, entries []Entry) error {
	if err := errors.Join(m.note(journalLine{Forget: true}), m.sync()); err != nil {
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
	m.last, m.file, m.strange = last, file, ""
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
	name := filepath.Join(m.dir, memoryGeneration)
	f, err := os.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(file)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(m.dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// snapshot is the memory at one instant.
type snapshot struct {
	last    *Generation
	file    []byte
	landed  []Entry
	held    map[heldKey]Entry
	taken   map[string]bool
	strange string
}

func (m *Memory) snapshot() snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return snapshot{m.last, m.file, m.landed[:len(m.landed):len(m.landed)], maps.Clone(m.held), maps.Clone(m.taken), m.strange}
}

// next is the number and the predecessor of the generation to come.
func (s snapshot) next() (int64, Sum) {
	if s.last == nil {
		return 1, Sum{}
	}
	return s.last.Number + 1, sha256.Sum256(s.file)
}
