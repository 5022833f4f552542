package ledger

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"airlock/ledger/proof"
)

func TestStampsAreKept(t *testing.T) {
	l, err := Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	h := proof.Head{Origin: "airlock/kitano", Size: 3, Note: "airlock/kitano\n3\n" + proof.Hash{}.String() + "\n\n— kitano AAAA\n"}
	at := time.Now().UTC().Round(0)
	for i := range byte(2) {
		if err := l.KeepStamp(t.Context(), Stamp{Head: h, At: at, Token: []byte{i}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := l.Stamps(t.Context())
	if err != nil || len(got) != 2 || got[0].Head != h || !got[1].At.Equal(at) || !bytes.Equal(got[1].Token, []byte{1}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := l.writer.Exec("DELETE FROM stamp"); err == nil {
		t.Error("a time-stamp could be removed")
	}
}
