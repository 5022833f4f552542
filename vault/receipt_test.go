package vault_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"airlock/blob"
	"airlock/ledger/proof/notetest"
	"airlock/vault"
)

// anyKey takes every signature by its name, so that what it signs is parsed.
type anyKey struct{ note.Verifier }

func (anyKey) Verify(msg, sig []byte) bool { return true }

// Whatever was signed, it is a receipt that says the same when it is signed anew, or it
// is none.
func FuzzReceipt(f *testing.F) {
	signer, verifier := notetest.Keys(f, "host")
	for _, r := range []vault.Receipt{
		{}, {Vault: "host", Site: "lab", Generation: 7, Time: time.Unix(1, 0).UTC(), Blobs: 3, Bytes: 9, Lacks: []blob.Fault{{Name: "p1", Why: "missing"}}, Alarms: []string{"時計"}},
	} {
		file, err := r.Sign(signer)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
		if _, err := vault.OpenReceipt(file, anyKey{verifier}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add([]byte("airlock receipt\n{\n\n— host AAAAAQ==\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := vault.OpenReceipt(file, anyKey{verifier})
		if err != nil {
			return
		}
		again, err := r.Sign(signer)
		if err != nil {
			t.Fatal(err)
		}
		same, err := vault.OpenReceipt(again, verifier)
		a, err1 := json.Marshal(r)
		b, err2 := json.Marshal(same)
		if err != nil || err1 != nil || err2 != nil || !bytes.Equal(a, b) {
			t.Errorf("%s\nis not\n%s\n%v", b, a, err)
		}
	})
}

// Every path is that of one file of the layout, or of a folder, or of neither.
func FuzzLayout(f *testing.F) {
	for _, name := range []string{vault.GenerationPath(1), vault.SignaturePath(99999999), vault.ReceiptPath(3), vault.BlobPath("p" + strings.Repeat("a", 30)), "kopia.repository.f", "versions/" + strings.Repeat("0", 64) + "/kopia.maintenance", "p/abc", ".shards", "generations", "generations/1.json", "x//y", "../a"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if vault.IsFile(name) && vault.IsFolder(name) {
			t.Errorf("%q is a file and a folder", name)
		}
		if n := vault.GenerationOf(name); n != 0 && vault.GenerationPath(n) != name {
			t.Errorf("%q is taken for generation %d", name, n)
		}
		if n := vault.SignedOf(name); n != 0 && vault.SignaturePath(n) != name {
			t.Errorf("%q is taken for the signature of %d", name, n)
		}
		if n := vault.ReceiptOf(name); n != 0 && vault.ReceiptPath(n) != name {
			t.Errorf("%q is taken for the receipt of %d", name, n)
		}
		if b := vault.BlobOf(name); b != "" && vault.BlobPath(b) != name {
			t.Errorf("%q is taken for blob %q", name, b)
		}
		if vault.IsFile(name) && vault.CheckName(name) != nil {
			t.Errorf("%q is a file, and no name: %v", name, vault.CheckName(name))
		}
	})
}
