package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"airlock/blob"
)

// Receipt is what a vault's host vouches for: which generation it has, since when by
// its own clock, and what of it is not there as it should be. All that it says it has
// is on its disk, fsynced, and had the hash that the generation names when it arrived
// or was read since.
//
// Its file is a signed note (golang.org/x/mod/sumdb/note) by the host's own key, whose
// text is the line "airlock receipt" and, in a second line, this as JSON.
type Receipt struct {
	Vault      string   `json:"vault"` // the host's own name
	Site       string   `json:"site"`  // whose generation
	Generation int64    `json:"generation"`
	Hash       blob.Sum `json:"generation_sha256"`
	// Ledger is the checkpoint of the site's ledger that the generation names, a signed
	// note; "" for none, and of a host whose airlock is older.
	Ledger  string    `json:"ledger,omitempty"`
	Arrived time.Time `json:"arrived"` // when the generation did, by the host's clock
	Time    time.Time `json:"time"`    // when the receipt was made, by the host's clock
	Blobs   int       `json:"blobs"`   // that the generation lists
	Bytes   int64     `json:"bytes"`
	// Lacks are the listed blobs that are missing, of another size or of other bytes.
	Lacks []blob.Fault `json:"lacks,omitempty"`
	// Unread counts listed blobs that lie there in their size and whose hash the host
	// does not know: its index is being made anew.
	Unread int      `json:"unread,omitempty"`
	Free   int64    `json:"free"`             // bytes that may still come
	Alarms []string `json:"alarms,omitempty"` // what a person must look at on the host, a sentence each
	// Note is the signed note that it was read from: evidence for whoever keeps it.
	Note string `json:"-"`
}

const (
	receiptsDir  = "receipts"
	noteSuffix   = ".note"
	receiptTitle = "airlock receipt\n"
	// maxReceipt bounds a receipt, in bytes. MaxLacks keeps it below.
	maxReceipt = 8 << 20
)

// MaxLacks is how many lacking blobs a receipt names at the most; the next one names
// others once these have been sent.
const MaxLacks = 10_000

// ReceiptPath is where a host shows the receipt of a generation. It is made when it is
// asked for, and says what is true then.
func ReceiptPath(number int64) string {
	return notePath(receiptsDir, number)
}

// ReceiptOf is the number of the generation whose receipt lies at a path; 0 for any
// other file.
func ReceiptOf(file string) int64 { return noteOf(receiptsDir, file) }

// notePath is where a signed note about a generation lies in a folder; noteOf is its inverse,
// 0 for any other file.
func notePath(dir string, number int64) string {
	return strings.TrimSuffix(path.Join(dir, path.Base(GenerationPath(number))), manifestSuffix) + noteSuffix
}

func noteOf(dir, file string) int64 {
	number := generationOfFile(strings.TrimSuffix(path.Base(file), noteSuffix) + manifestSuffix)
	if number == 0 || notePath(dir, number) != file {
		return 0
	}
	return number
}

// Sign makes the receipt's file.
func (r Receipt) Sign(host note.Signer) ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("receipt of generation %d: %w", r.Generation, err)
	}
	signed, err := note.Sign(&note.Note{Text: receiptTitle + string(text) + "\n"}, host)
	if err != nil {
		return nil, fmt.Errorf("sign the receipt of generation %d: %w", r.Generation, err)
	}
	return signed, nil
}

// OpenReceipt reads a receipt's file, which must be signed by the host's key:
// ErrUntrusted otherwise. Fields that a later airlock adds are passed over.
func OpenReceipt(file []byte, host note.Verifier) (Receipt, error) {
	n, err := note.Open(file, note.VerifierList(host))
	if err != nil {
		return Receipt{}, fmt.Errorf("%w: receipt by %s: %w", ErrUntrusted, host.Name(), err)
	}
	text, ok := strings.CutPrefix(n.Text, receiptTitle)
	if !ok {
		return Receipt{}, fmt.Errorf("%w: %s has signed something else", ErrUntrusted, host.Name())
	}
	var r Receipt
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return Receipt{}, fmt.Errorf("the receipt by %s cannot be read; use the same version of airlock on both sides: %w", host.Name(), err)
	}
	r.Note = string(file)
	return r, nil
}

// Whole says that the host has every blob that the generation lists, as it should be.
func (r Receipt) Whole() bool { return len(r.Lacks) == 0 && r.Unread == 0 }

// fetchReceipt asks the vault's host for its receipt of a generation that names that head
// of the ledger.
func fetchReceipt(ctx context.Context, store Store, number int64, sum blob.Sum, head string, host note.Verifier) (Receipt, error) {
	name := ReceiptPath(number)
	body, err := store.Open(ctx, name, 0, maxReceipt+1)
	if err != nil {
		return Receipt{}, fmt.Errorf("receipt %s: %w", name, err)
	}
	file, err := readAtMost(body, maxReceipt, name)
	if err != nil {
		return Receipt{}, err
	}
	r, err := OpenReceipt(file, host)
	if err != nil {
		return Receipt{}, err
	}
	if r.Generation != number || r.Hash != sum {
		return Receipt{}, fmt.Errorf("%w: %s is the receipt of generation %d with SHA-256 %s, not of what was sent", ErrUntrusted, name, r.Generation, r.Hash)
	}
	if r.Ledger != "" && r.Ledger != head {
		return Receipt{}, fmt.Errorf("%w: %s names another head of the ledger than generation %d does", ErrUntrusted, name, number)
	}
	return r, nil
}

// readAtMost reads a whole file of a known bound, and closes it.
func readAtMost(r io.ReadCloser, limit int64, name string) ([]byte, error) {
	var file bytes.Buffer
	n, err := io.Copy(&file, io.LimitReader(r, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("larger than %d bytes", limit)
	}
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return file.Bytes(), nil
}
