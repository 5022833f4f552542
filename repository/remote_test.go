package repository

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"airlock/collectors/collecttest"

	"github.com/kopia/kopia/repo/blob"
)

// remote is a place behind a line that can be cut.
type remote struct {
	place  Place
	folder string // the place, on the server's own disk
	cut    func() // breaks every connection there is; new ones are let through
	secret string
}

// samba starts a real smbd.
func samba(t *testing.T, settings ...string) remote {
	t.Helper()
	dir := collecttest.Dir(t)
	server := collecttest.StartSMB(t, dir, append([]string{"read only = no", "force user = root"}, settings...)...)
	place := &SMBPlace{Host: "127.0.0.1", User: server.User, Password: server.Password, Share: server.Share, Path: "院内/nas"}
	_, err := fmt.Sscanf(server.Link.Address, "127.0.0.1:%d", &place.Port)
	must(t, err)
	must(t, os.Mkdir(filepath.Join(dir, "院内"), 0o755))
	return remote{Place{SMB: place}, filepath.Join(dir, "院内/nas"), server.Link.Cut, server.Password}
}

func TestSMB(t *testing.T)        { testRemote(t, samba(t, "smb encrypt = required")) }
func TestSMBLineCut(t *testing.T) { testLineCut(t, samba(t, "server smb encrypt = off")) }

func testRemote(t *testing.T, at remote) {
	c := configFor(t, at.place)
	if _, err := Open(t.Context(), c); !errors.Is(err, ErrNoRepository) {
		t.Errorf("where nothing is: %v", err)
	}
	if _, err := os.Stat(at.folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("opening made a folder: %v", err)
	}
	must(t, Create(t.Context(), c))
	if err := Create(t.Context(), c); !errors.Is(err, ErrExist) {
		t.Errorf("creating it again: %v", err)
	}
	r := reopen(t, c)
	src := hospital(t)
	res := snap(t, r, "imaging", disk(src))
	sameTrees(t, src, restored(t, &r.View, res.ID))

	inv, err := r.Blobs(t.Context())
	must(t, err)
	if len(inv.Blobs) < 6 || len(inv.Adopted) != 0 || len(inv.Faults) != 0 {
		t.Errorf("inventory: %+v", inv)
	}
	vaultOf{}.replicate(t, r)
	check, err := r.Verify(t.Context(), VerifyOptions{})
	if err != nil || len(check.Damaged) != 0 || check.FilesRead < 200 {
		t.Errorf("verify: %+v, %v", check, err)
	}
	// The layout is the stock program's: the same folder opens as a local one.
	local := c
	local.Place, local.StateDir = Place{Path: at.folder}, t.TempDir()
	sameTrees(t, src, restored(t, &reopen(t, local).View, res.ID))

	noSecrets(t, c.StateDir, passphrase, at.secret)
}

func testLineCut(t *testing.T, at remote) {
	c := configFor(t, at.place)
	must(t, Create(t.Context(), c))
	r := reopen(t, c)
	src := t.TempDir()
	plant(t, src, map[string][]byte{"a.bin": noise(1, 34<<20), "b.bin": noise(2, 1<<20)})
	cuts := 0
	var mu sync.Mutex
	res := snap(t, r, "orca", hooked{Source: disk(src), read: func(_ context.Context, _ string, off int64) error {
		mu.Lock()
		defer mu.Unlock()
		if off >= int64(cuts+1)*11<<20 { // a pack is sent at 20 MiB
			at.cut()
			cuts++
		}
		return nil
	}})
	if cuts < 2 {
		t.Fatalf("the line was cut %d times", cuts)
	}
	sameTrees(t, src, restored(t, &r.View, res.ID))
	inv, err := r.Blobs(t.Context())
	if err != nil || len(inv.Faults) != 0 {
		t.Errorf("amiss: %v, %v", inv.Faults, err)
	}
}

func TestSMBRefused(t *testing.T) {
	at := samba(t)
	wrong := *at.place.SMB
	wrong.Password = "other"
	if err := Create(t.Context(), configFor(t, Place{SMB: &wrong})); err == nil || bytes.Contains([]byte(err.Error()), []byte(at.secret)) {
		t.Errorf("wrong password: %v", err)
	}
	gone := *at.place.SMB
	gone.Path = "not/there"
	if err := Create(t.Context(), configFor(t, Place{SMB: &gone})); err == nil {
		t.Error("a folder above was made")
	}
}

// TestStorage is what kopia wants of every storage, as its own suite has it (which it
// does not let others import), for each place where a repository may lie.
func TestStorage(t *testing.T) {
	for name, place := range map[string]func(*testing.T) Place{
		"folder": func(t *testing.T) Place { return Place{Path: filepath.Join(t.TempDir(), "nas")} },
		"sftp":   func(t *testing.T) Place { return startSSHD(t).remote().place },
		"smb":    func(t *testing.T) Place { return samba(t).place },
		"smb 2.0.2, signed": func(t *testing.T) Place {
			return samba(t, "server min protocol = SMB2_02", "server max protocol = SMB2_02", "server signing = mandatory").place
		},
	} {
		t.Run(name, func(t *testing.T) {
			st, err := place(t).open(t.Context(), true)
			must(t, err)
			t.Cleanup(func() { must(t, st.Close(context.Background())) })
			testStorage(t, st)
		})
	}
}

// slab is blob.Bytes of a slice.
type slab []byte

func (s slab) Length() int                        { return len(s) }
func (s slab) WriteTo(w io.Writer) (int64, error) { n, err := w.Write(s); return int64(n), err }
func (s slab) Reader() io.ReadSeekCloser          { return slabReader{bytes.NewReader(s)} }

type slabReader struct{ *bytes.Reader }

func (slabReader) Close() error { return nil }

func put(t *testing.T, st blob.Storage, id blob.ID, content []byte, o blob.PutOptions) {
	t.Helper()
	must(t, st.PutBlob(t.Context(), id, slab(content), o))
}

func has(t *testing.T, st blob.Storage, id blob.ID, want []byte) {
	t.Helper()
	var got buffer
	must(t, st.GetBlob(t.Context(), id, 0, -1, &got))
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s has %d bytes, want %d", id, got.Len(), len(want))
	}
	m, err := st.GetMetadata(t.Context(), id)
	must(t, err)
	if m.Length != int64(len(want)) || m.BlobID != id {
		t.Errorf("%s: %+v", id, m)
	}
	for _, part := range [][2]int64{{0, 0}, {0, 1}, {int64(len(want)) - 1, 1}, {int64(len(want)) / 2, int64(len(want)) / 3}} {
		if part[0] < 0 || part[0]+part[1] > int64(len(want)) {
			continue
		}
		got.Reset()
		must(t, st.GetBlob(t.Context(), id, part[0], part[1], &got))
		if !bytes.Equal(got.Bytes(), want[part[0]:part[0]+part[1]]) {
			t.Errorf("%s from %d, %d bytes: got %d others", id, part[0], part[1], got.Len())
		}
	}
	got.Reset()
	if err := st.GetBlob(t.Context(), id, int64(len(want))+5, 10, &got); err == nil {
		t.Errorf("%s can be read behind its end", id)
	}
}

func lists(t *testing.T, st blob.Storage, prefix blob.ID, want ...blob.ID) {
	t.Helper()
	all, err := blob.ListAllBlobs(t.Context(), st, prefix)
	must(t, err)
	var got []blob.ID
	for _, m := range all {
		got = append(got, m.BlobID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("blobs with prefix %q: %q, want %q", prefix, got, want)
	}
}

func testStorage(t *testing.T, st blob.Storage) {
	blobs := map[blob.ID][]byte{
		"abcdbbf4f0507d054ed5a80a5b65086f602b": {},
		"zxce0e35630770c54668a8cfb4e414c6bf8f": {1},
		"abff4585856ebf0748fd989e1dd623a8963d": noise(1, 1000),
		"abgc3dca496d510f492c858a2df1eb824e62": noise(2, 5<<20+3),
		"kopia.repository":                     noise(3, 100),
	}
	ab := []blob.ID{"abcdbbf4f0507d054ed5a80a5b65086f602b", "abff4585856ebf0748fd989e1dd623a8963d", "abgc3dca496d510f492c858a2df1eb824e62"}
	rest := []blob.ID{"zxce0e35630770c54668a8cfb4e414c6bf8f", "kopia.repository"}
	for id := range blobs {
		if err := st.GetBlob(t.Context(), id, 0, -1, &buffer{}); !errors.Is(err, blob.ErrBlobNotFound) {
			t.Errorf("get %s before it is there: %v", id, err)
		}
		if _, err := st.GetMetadata(t.Context(), id); !errors.Is(err, blob.ErrBlobNotFound) {
			t.Errorf("metadata of %s before it is there: %v", id, err)
		}
	}
	if err := st.DeleteBlob(t.Context(), "no-such-blob"); err != nil && !errors.Is(err, blob.ErrBlobNotFound) {
		t.Errorf("delete what is not there: %v", err)
	}
	var writing sync.WaitGroup
	for id, content := range blobs {
		for range 3 { // at once, and under one name
			writing.Go(func() { put(t, st, id, content, blob.PutOptions{}) })
		}
	}
	writing.Wait()
	for id, content := range blobs {
		has(t, st, id, content)
	}
	lists(t, st, "", append(slices.Clone(ab), rest...)...)
	lists(t, st, "ab", ab...)
	lists(t, st, "abff4585856ebf0748fd989e1dd623a8963d", ab[1])
	lists(t, st, "q")
	stopped := errors.New("enough")
	for _, prefix := range []blob.ID{"", "ab"} {
		if err := st.ListBlobs(t.Context(), prefix, func(blob.Metadata) error { return stopped }); !errors.Is(err, stopped) {
			t.Errorf("a listing that was stopped: %v", err)
		}
	}
	for id := range blobs {
		put(t, st, id, []byte{99}, blob.PutOptions{})
		has(t, st, id, []byte{99})
	}
	at := time.Date(2020, 1, 2, 12, 30, 40, 0, time.UTC)
	put(t, st, ab[0], []byte("old"), blob.PutOptions{SetModTime: at})
	m, err := st.GetMetadata(t.Context(), ab[0])
	if must(t, err); m.Timestamp.Sub(at).Abs() > 2*time.Second {
		t.Errorf("it was to be of %v, and is of %v", at, m.Timestamp)
	}
	var told time.Time
	put(t, st, ab[0], []byte("new"), blob.PutOptions{GetModTime: &told})
	if m, err = st.GetMetadata(t.Context(), ab[0]); err != nil || !m.Timestamp.Equal(told) {
		t.Errorf("it is of %v, and was said to be of %v: %v", m.Timestamp, told, err)
	}
	for _, o := range []blob.PutOptions{{DoNotRecreate: true}, {RetentionMode: blob.Governance, RetentionPeriod: 24 * time.Hour}} {
		if err := st.PutBlob(t.Context(), ab[1], slab("x"), o); !errors.Is(err, blob.ErrUnsupportedPutBlobOption) {
			t.Errorf("put with %+v: %v", o, err)
		}
	}
	for range 2 {
		must(t, st.DeleteBlob(t.Context(), ab[0]))
	}
	lists(t, st, "ab", ab[1:]...)
	ctx, end := context.WithCancel(t.Context())
	end()
	if err := st.GetBlob(ctx, ab[1], 0, -1, &buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("get after the end: %v", err)
	}
}
