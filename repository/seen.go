package repository

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"airlock/collectors"
)

// seen remembers, from one gathering to the next, in which state each file was when it was
// read: its name, size, time, and the time of its last change of any kind, of which kopia
// keeps none. Who puts a file's time back after changing it cannot put that back. Of each
// state 8 bytes are kept: the beginning of a SHA-256.
//
// The memory is one of what is in the repository already, so losing it, or keeping an older
// one, costs reading and nothing else.
type seen struct {
	file  string // "": nothing is remembered
	known bool   // there is a memory
	was   []uint64
	since time.Time // without a memory: what changed later is read

	mu  sync.Mutex
	now []uint64
}

// uncertain is by how much the clocks of a server and of this machine may differ.
const uncertain = 24 * time.Hour

// recall reads what the last gathering saw.
func recall(file string) (*seen, error) {
	s := &seen{file: file}
	if file == "" {
		return s, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, iofs.ErrNotExist) || err == nil && len(text)%8 != 0 { // cut short: as if it were not there
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("recall which files were read: %w", err)
	}
	s.known, s.was = true, make([]uint64, len(text)/8)
	for i := range s.was {
		s.was[i] = binary.BigEndian.Uint64(text[8*i:])
	}
	return s, nil
}

// unchanged tells whether a file is as it was when it was last read, as far as its server
// tells when it was changed.
func (s *seen) unchanged(name string, info iofs.FileInfo) bool {
	changed := collectors.MarksOf(info).Changed
	switch {
	case s.file == "" || changed.IsZero():
		return true
	case !s.known:
		return changed.Before(s.since.Add(-uncertain))
	}
	_, found := slices.BinarySearch(s.was, state(name, info))
	return found
}

// read remembers a file that is in the repository as it is.
func (s *seen) read(name string, info iofs.FileInfo) {
	if s.file == "" || collectors.MarksOf(info).Changed.IsZero() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = append(s.now, state(name, info))
}

func state(name string, info iofs.FileInfo) uint64 {
	var numbers [24]byte
	binary.BigEndian.PutUint64(numbers[0:], uint64(info.Size()))
	binary.BigEndian.PutUint64(numbers[8:], uint64(info.ModTime().UnixNano()))
	binary.BigEndian.PutUint64(numbers[16:], uint64(collectors.MarksOf(info).Changed.UnixNano()))
	sum := sha256.Sum256(append([]byte(name), numbers[:]...))
	return binary.BigEndian.Uint64(sum[:])
}

// keep writes what this gathering saw, for the next.
func (s *seen) keep() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == "" || len(s.now) == 0 {
		return nil
	}
	slices.SortFunc(s.now, cmp.Compare[uint64])
	text := make([]byte, 8*len(s.now))
	for i, n := range s.now {
		binary.BigEndian.PutUint64(text[8*i:], n)
	}
	err := os.MkdirAll(filepath.Dir(s.file), 0o700)
	if err == nil {
		err = replaceFile(s.file, text)
	}
	if err != nil {
		return fmt.Errorf("remember which files were read: %w", err)
	}
	return nil
}
