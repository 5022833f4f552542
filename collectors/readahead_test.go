package collectors

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8(sha256.Sum256(nil)).Read(b)
	return b
}

func ahead(t *testing.T, m *memory, depth int) *Reader {
	t.Helper()
	r, err := ReadAhead(t.Context(), m, "f", depth)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReadAheadOverlapsReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		data := randomBytes(24*Block + 1)
		m.tree["f"], m.delay = &fstest.MapFile{Data: data}, time.Second
		r := ahead(t, m, 6)
		began := time.Now()
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("read %d bytes, %v, or other ones", len(got), err)
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("25 reads of a second each, six at a time, took %v", took)
		}
		if m.peak != 6 {
			t.Errorf("%d reads in flight, want 6", m.peak)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if m.open != 0 {
			t.Error("the file is still open")
		}
	})
}

func TestReadAheadSmallFileTakesOneRead(t *testing.T) {
	for size, reads := range map[int]int{0: 0, 1: 1, Block: 1, Block + 1: 2} {
		m := newMemory()
		m.tree["f"] = &fstest.MapFile{Data: make([]byte, size)}
		r := ahead(t, m, 6)
		if n, err := io.Copy(io.Discard, r); n != int64(size) || err != nil {
			t.Errorf("%d bytes: %d, %v", size, n, err)
		}
		if got := m.count("read"); got != reads {
			t.Errorf("%d bytes took %d reads, want %d", size, got, reads)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestReadAheadOfAFileThatChanges(t *testing.T) {
	for name, test := range map[string]struct {
		opened, read int // sizes
		want         error
	}{
		"small, shrank": {100, 60, io.ErrUnexpectedEOF},
		"large, shrank": {5 * Block, 2*Block + 7, io.ErrUnexpectedEOF},
		"emptied":       {3 * Block, 0, io.ErrUnexpectedEOF},
		"small, grew":   {100, 3 * Block, nil},
		"large, grew":   {3 * Block, 5 * Block, nil},
	} {
		m := newMemory()
		m.tree["f"] = &fstest.MapFile{Data: make([]byte, test.opened)}
		r := ahead(t, m, 4)
		m.tree["f"] = &fstest.MapFile{Data: make([]byte, test.read)}
		got, err := io.ReadAll(r)
		if !errors.Is(err, test.want) || len(got) != min(test.opened, test.read) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadAheadPassesErrorsOn(t *testing.T) {
	m := newMemory()
	m.tree["f"] = &fstest.MapFile{Data: make([]byte, 9*Block)}
	reads := 0
	m.fail = func(op, _ string) error {
		if op == "read" {
			if reads++; reads == 5 {
				return ErrGone
			}
		}
		return nil
	}
	r := ahead(t, m, 1)
	if n, err := io.Copy(io.Discard, r); n != 4*Block || !errors.Is(err, ErrGone) {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, ErrGone) {
		t.Errorf("the error did not stay: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Close ends reads that would take for ever, and synctest holds that no goroutine is
// left.
func TestReadAheadCloseEndsReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.tree["f"] = &fstest.MapFile{Data: make([]byte, 9*Block)}
		r := ahead(t, m, 4)
		m.delay = time.Second
		if _, err := r.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		m.delay = 1000 * time.Hour
		if _, err := io.ReadFull(r, make([]byte, Block)); err != nil { // into the second block: one more read is sent
			t.Fatal(err)
		}
		synctest.Wait()
		if m.count("read") != 5 {
			t.Fatalf("%d reads were sent, want 5", m.count("read"))
		}
		began := time.Now()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("Close took %v", took)
		}
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("Read after Close: %v", err)
		}
	})
}

func TestReadAheadEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		m.tree["f"] = &fstest.MapFile{Data: make([]byte, 9*Block)}
		ctx, cancel := context.WithCancel(t.Context())
		r, err := ReadAhead(ctx, m, "f", 4)
		if err != nil {
			t.Fatal(err)
		}
		m.delay = 1000 * time.Hour
		time.AfterFunc(time.Second, cancel)
		if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A Reader gives what a bytes.Reader would, whatever is read and sought.
func TestReadAheadSeeks(t *testing.T) {
	data := randomBytes(5*Block + 77)
	rapid.Check(t, func(t *rapid.T) {
		m := newMemory()
		m.tree["f"] = &fstest.MapFile{Data: data}
		r, err := ReadAhead(context.Background(), m, "f", rapid.IntRange(1, 7).Draw(t, "depth"))
		if err != nil {
			t.Fatal(err)
		}
		model := bytes.NewReader(data)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "seek") {
				whence := rapid.IntRange(io.SeekStart, io.SeekEnd).Draw(t, "whence")
				off := rapid.Int64Range(-6*Block, 6*Block).Draw(t, "offset")
				want, wantErr := model.Seek(off, whence)
				got, err := r.Seek(off, whence)
				if (err == nil) != (wantErr == nil) || err == nil && got != want {
					t.Fatalf("Seek = %d, %v, want %d, %v", got, err, want, wantErr)
				}
				continue
			}
			n := rapid.IntRange(1, 3*Block).Draw(t, "length")
			want, got := make([]byte, n), make([]byte, n)
			wantN, _ := io.ReadFull(model, want)
			gotN, _ := io.ReadFull(r, got)
			if gotN != wantN || !bytes.Equal(got[:gotN], want[:wantN]) {
				t.Fatalf("read %d bytes, want %d, or other ones", gotN, wantN)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
