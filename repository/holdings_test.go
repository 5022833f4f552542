package repository

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
)

// What a damaged repository is mended through needs neither its passphrase nor that it
// opens.
func TestHoldings(t *testing.T) {
	r, c := fresh(t)
	snap(t, r, "imaging", disk(hospital(t)))
	inv, err := r.Blobs(t.Context())
	must(t, err)
	pack := packOf(t, r, "p")
	good := readFile(t, blobFile(t, c, pack))
	flip(t, c, pack)
	damaged := readFile(t, blobFile(t, c, pack))
	must(t, r.Close(t.Context()))

	c.Passphrase = ""
	h, err := OpenHoldings(t.Context(), c, false)
	must(t, err)
	known, err := h.Catalogued(t.Context())
	must(t, err)
	listed, err := h.Listed(t.Context())
	must(t, err)
	if len(known) != len(inv.Blobs) || len(listed) != len(known) || listed[pack] != int64(len(good)) {
		t.Errorf("%d catalogued, %d listed of %d", len(known), len(listed), len(inv.Blobs))
	}
	if bad, err := h.Inspect(t.Context(), inv.Blobs, nil); err != nil || len(bad) != 1 || bad[0].Name != pack {
		t.Fatalf("amiss: %v, %v", bad, err)
	}
	aside, err := h.SetAside(t.Context(), pack)
	must(t, err)
	if err := h.Put(t.Context(), known[pack], bytes.NewReader(damaged)); err == nil || !bytes.Equal(readFile(t, blobFile(t, c, pack)), damaged) {
		t.Errorf("other bytes were put in place: %v", err)
	}
	must(t, h.Put(t.Context(), known[pack], bytes.NewReader(good)))
	if got := readFile(t, blobFile(t, c, aside)); !bytes.Equal(got, damaged) {
		t.Error("what was damaged was not kept aside")
	}
	if bad, err := h.Inspect(t.Context(), inv.Blobs, nil); err != nil || len(bad) != 0 {
		t.Errorf("amiss: %v, %v", bad, err)
	}
	for range 2 {
		must(t, h.Forget(t.Context(), pack))
	}
	if none, err := h.SetAside(t.Context(), pack); none != "" || err != nil {
		t.Errorf("set aside %q, %v", none, err)
	}
	if _, err := h.Open(t.Context(), pack, 0, -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a blob that is not there: %v", err)
	}
	must(t, h.Put(t.Context(), known[pack], bytes.NewReader(good)))
	must(t, h.Close(t.Context()))

	c.Passphrase = passphrase
	again := reopen(t, c)
	if inv, err := again.Blobs(t.Context()); err != nil || len(inv.Faults)+len(inv.Adopted) != 0 {
		t.Errorf("mended: amiss %v, adopted %v, %v", inv.Faults, inv.Adopted, err)
	}
	c.Place.Path += "/none"
	if _, err := OpenHoldings(t.Context(), c, false); !errors.Is(err, ErrNoRepository) {
		t.Errorf("where no repository is: %v", err)
	}
	if _, err := os.Stat(c.Place.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
}

// Of a generation, what a snapshot needs is found without its data, and is enough.
func TestNeeds(t *testing.T) {
	r, _ := fresh(t)
	src := hospital(t)
	other := t.TempDir()
	plant(t, other, map[string][]byte{"big": noise(7, 3<<20)})
	id := snap(t, r, "imaging", disk(src)).ID
	snap(t, r, "accounting", disk(other))
	vault := vaultOf{}
	list := vault.replicate(t, r)
	data := vaultOf{}
	for _, b := range list {
		if !Metadata(b.Name) {
			data[b.SHA256] = vault[b.SHA256]
			delete(vault, b.SHA256)
		}
	}
	v := vault.view(t, list)
	needs, err := v.Needs(t.Context(), id, Part{})
	must(t, err)
	packs := 0
	for _, b := range list {
		if slices.Contains(needs, b.Name) {
			packs += strings.Count(b.Name[:1], "p")
			if !Metadata(b.Name) {
				vault[b.SHA256] = data[b.SHA256]
			}
		}
	}
	if packs == 0 || packs >= len(data) {
		t.Errorf("%d packs are needed of %d", packs, len(data))
	}
	sameTrees(t, src, restored(t, v, id))
	if _, err := v.Needs(t.Context(), "0000", Part{}); !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("a snapshot that is not there: %v", err)
	}
}
