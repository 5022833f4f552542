package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"airlock/ledger/proof"
)

// lateFile is the emergency file beside a ledger: entries as JSON lines.
type lateFile string

func lateFileOf(ledger string) lateFile {
	return lateFile(strings.TrimSuffix(ledger, ".db") + ".late.jsonl")
}

// Keep puts entries into the emergency file of the ledger at path, for a process that
// has to shut doors although it could not open the ledger (S2). The next Open takes
// them in. Like Open, it is for the process that holds the site's lock.
func Keep(path string, entries ...Entry) error {
	mended := make([]Entry, len(entries))
	for i, e := range entries {
		mended[i] = canonical(mend(e, time.Now()))
	}
	return lateFileOf(path).keep(mended)
}

// keep adds entries at the end and makes them durable, as far as the disk lets it.
func (f lateFile) keep(entries []Entry) (err error) {
	lines, err := linesOf(entries)
	if err != nil {
		return fmt.Errorf("emergency file %s: %w", f, err)
	}
	file, err := os.OpenFile(string(f), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("emergency file: %w", err)
	}
	_, err = file.Write(lines)
	if err = errors.Join(err, file.Sync(), file.Close(), syncDir(filepath.Dir(string(f)))); err != nil {
		return fmt.Errorf("emergency file: %w", err)
	}
	return nil
}

func linesOf(entries []Entry) ([]byte, error) {
	var lines bytes.Buffer
	// An earlier write may have been cut short: begin on a line of one's own.
	lines.WriteByte('\n')
	enc := json.NewEncoder(&lines)
	enc.SetEscapeHTML(false) // the detail is to come back byte for byte
	for _, e := range entries {
		if err := enc.Encode(e); err != nil {
			return nil, err
		}
	}
	return lines.Bytes(), nil
}

// read returns the entries of the file, and whether there is a file. A line that is
// no entry becomes an alarm that quotes it.
func (f lateFile) read() (entries []Entry, exists bool, err error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("emergency file: %w; make it readable, it holds entries that the ledger lacks", err)
	}
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			e = Entry{Kind: KindAlarm, Actor: "ledger", Reason: "a line of the emergency file is no entry, probably cut short", Detail: quoted(string(line))}
		}
		entries = append(entries, unstamped(canonical(mend(e, time.Now()))))
	}
	return entries, true, nil
}

// unstamped takes from e what the ledger gives when it is written, and a stamp that
// nobody could have given.
func unstamped(e Entry) Entry {
	e.Version, e.Seq, e.Recorded = proof.Version, 1, e.Time
	if _, err := proof.AppendLeaf(nil, &e); err != nil {
		e.Run, e.Mono, e.Clock, e.ClockError = "", 0, "", 0
	}
	e.Version, e.Seq, e.Recorded = 0, 0, time.Time{}
	return e
}

func (f lateFile) remove() error {
	err := os.Remove(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(filepath.Dir(string(f)))
	}
	if err != nil {
		return fmt.Errorf("emergency file: %w; the ledger holds its entries now, and passes over them when it meets them again", err)
	}
	return nil
}
