package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"airlock/blob"
	"airlock/vault"
	"airlock/wholefile"
)

// lineage is how far the line of the site's generations has been followed. Each names the
// hash of the one before it, and a head of a ledger that only grows; they come in the order
// of their numbers, and no more of them in a day than there are windows. Whoever has the
// site's key can sign others, but not so that the site's own next one follows them. While
// the line is in doubt nothing expires (S17), until a person has looked.
type lineage struct {
	Number int64    `json:"number"` // of the last one in the line
	Sum    blob.Sum `json:"sha256"`
	Vault  string   `json:"vault"`
	Ledger int64    `json:"ledger"` // entries that its head of the ledger has; 0 for no head
	Day    string   `json:"day"`    // on which the last one arrived
	OnDay  int      `json:"on_day"` // how many did on that day
	// Seen is when the last generation arrived that was looked at, and At those that did then.
	Seen  time.Time `json:"seen"`
	At    []int64   `json:"at,omitempty"`
	Doubt string    `json:"doubt,omitempty"` // until a person says that it is right
}

func (h *Host) lineageFile() string { return filepath.Join(h.conf.State, "lineage.json") }

func (h *Host) readLineage() (l lineage, err error) {
	text, err := os.ReadFile(h.lineageFile())
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil {
		return l, fmt.Errorf("the line of generations: %w; move %s aside, and it is followed anew", err, h.lineageFile())
	}
	return l, nil
}

// newcomer is a generation that has arrived with its signature.
type newcomer struct {
	number int64
	at     time.Time
}

// followLine looks at the generations that came since the last time. right is a person's
// word that they are all the site's. It wants to be alone.
func (h *Host) followLine(ctx context.Context, right bool) (l lineage, err error) {
	if l, err = h.readLineage(); err != nil && !right {
		return l, err
	}
	before := l
	var come []newcomer
	for n, err := range h.index.signedSince(ctx, l.Seen) {
		if err != nil {
			return l, err
		}
		come = append(come, n)
	}
	for _, n := range come {
		if n.at.Equal(l.Seen) && slices.Contains(l.At, n.number) {
			continue
		}
		if err := h.join(ctx, &l, n); err != nil {
			return l, err
		}
	}
	if right {
		l.Doubt = ""
	}
	if l.Doubt != "" && before.Doubt == "" {
		h.alarm("generations that may not be the site's", l.Doubt+"; "+lineageHint)
	}
	if l.Seen.Equal(before.Seen) && len(l.At) == len(before.At) && l.Doubt == before.Doubt {
		return l, nil
	}
	text, err := json.Marshal(l)
	if err != nil {
		return l, err
	}
	return l, wholefile.Replace(h.lineageFile(), append(text, '\n'), 0o600)
}

const lineageHint = "nothing is dropped until a person has compared airlock vault generations with airlock vaults at the site; if all of them are the site's: airlock vault prune --generations-are-right"

// join takes a generation into the line, or notes why it may not belong there.
func (h *Host) join(ctx context.Context, l *lineage, n newcomer) error {
	if !n.at.Equal(l.Seen) {
		l.Seen, l.At = n.at, nil
	}
	l.At = append(l.At, n.number)
	sum, err := h.counts(n.number)
	if err != nil {
		return nil // not the site's
	}
	r, err := h.index.find(ctx, vault.GenerationPath(n.number))
	if err != nil || r.sum != nil && *r.sum != sum {
		return unlessNone(err)
	}
	f, err := h.folder.openRegular(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // damage, which others tell
	}
	if err != nil {
		return err
	}
	g, err := vault.ScanHead(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil // the same
	}
	if why := l.strange(g, h.conf.perDay(), n.at.In(h.conf.Zone).Format(time.DateOnly)); why != "" && l.Doubt == "" {
		l.Doubt = fmt.Sprintf("generation %d, which arrived %s, bears the site's signature, and %s", g.Number, n.at.In(h.conf.Zone).Format("2006-01-02 15:04:05"), why)
	}
	l.take(g, sum)
	return nil
}

// strange says why a generation may not be the next one in the line; "" for no reason.
func (l *lineage) strange(g *vault.Generation, perDay int, day string) string {
	if day != l.Day {
		l.Day, l.OnDay = day, 0
	}
	l.OnDay++
	switch {
	case l.OnDay > perDay:
		return fmt.Sprintf("it is the %d. on %s, where windows_per_day is %d", l.OnDay, day, perDay)
	case l.Number == 0:
		return ""
	case g.Number <= l.Number:
		return fmt.Sprintf("generation %d was here before it", l.Number)
	case g.Vault != l.Vault:
		return fmt.Sprintf("it is of vault %s, and those before it are of %s", g.Vault, l.Vault)
	case g.Previous != l.Sum && (l.Sum != blob.Sum{}):
		return fmt.Sprintf("it does not follow generation %d, which is the last one here before it", l.Number)
	case entriesOf(g.Ledger) < l.Ledger:
		return fmt.Sprintf("it names a head of the ledger of %d entries, and generation %d named one of %d", entriesOf(g.Ledger), l.Number, l.Ledger)
	}
	return ""
}

// take goes on from a generation. One that came out of its order is not gone on from.
func (l *lineage) take(g *vault.Generation, sum blob.Sum) {
	if g.Number > l.Number {
		l.Number, l.Sum, l.Vault, l.Ledger = g.Number, sum, g.Vault, entriesOf(g.Ledger)
	}
}

// entriesOf is how many entries the head of a ledger has: its second line. 0 for no head.
func entriesOf(head string) int64 {
	lines := strings.SplitN(head, "\n", 3)
	if len(lines) < 3 {
		return 0
	}
	n, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// windowsPerDay is as many generations as a day may bring, where nobody says otherwise.
const windowsPerDay = 24

func (c Config) perDay() int { return cmp.Or(c.WindowsPerDay, windowsPerDay) }
