package proof

import (
	"encoding/json"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// vouched is what the end of a window tells of the vault's receipt: the signed note as it
// came, and the key that the site had pinned for that vault's host.
type vouched struct {
	Generation  int64  `json:"generation"`
	Hash        string `json:"generation_sha256"`
	ReceiptNote string `json:"receipt_note"`
	ReceiptKey  string `json:"receipt_key"`
	wrong       error  // with the receipt
}

// receiptTitle is the first line of a receipt; the second is a JSON object.
const receiptTitle = "airlock receipt\n"

// mostVouchers bounds the keys that an audit lists.
const mostVouchers = 100

// check looks at the receipt's signature, and whether it is about the generation that the
// window made.
func (v *vouched) check() {
	if v.ReceiptNote == "" {
		return
	}
	key, err := note.NewVerifier(v.ReceiptKey)
	if err != nil {
		v.wrong = errors.New("the key that it is to be signed by is none")
		return
	}
	n, err := note.Open([]byte(v.ReceiptNote), note.VerifierList(key))
	if err != nil {
		v.wrong = err
		return
	}
	var said struct {
		Generation int64  `json:"generation"`
		Hash       string `json:"generation_sha256"`
	}
	text, ok := strings.CutPrefix(n.Text, receiptTitle)
	if !ok || json.Unmarshal([]byte(text), &said) != nil {
		v.wrong = errors.New("something else was signed")
	} else if said.Generation != v.Generation || said.Hash != v.Hash {
		v.wrong = errors.New("it is about another generation")
	}
}

// receipt takes what a window's end tells of a receipt.
func (s *story) receipt(e *Entry, d *evidence) {
	switch {
	case d.ReceiptNote == "":
	case d.wrong != nil:
		s.found(e.Seq, true, "receipt", "the receipt of window %s does not hold: %s", e.Window, clip(d.wrong.Error()))
	default:
		s.receipts++
		if len(s.vouchers) < mostVouchers {
			s.vouchers[clip(d.ReceiptKey)] = true
		}
	}
}
