package server

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"airlock/blob"
	"airlock/ledger"
	"airlock/vault"
)

// sneak puts a generation that whoever has the client's and the site's key has made.
func (w *world) sneak(g *vault.Generation) {
	w.t.Helper()
	g.Site, g.Vault, g.Window, g.Time = "lab", "secondary", "sneaked", time.Now().UTC().Truncate(time.Millisecond)
	file, err := g.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	signature, err := vault.SignGeneration(g.Number, sha256.Sum256(file), w.site)
	if err != nil {
		w.t.Fatal(err)
	}
	r := w.raw()
	r.put(w.conf.Folder+"/"+vault.GenerationPath(g.Number), file)
	r.put(w.conf.Folder+"/"+vault.SignaturePath(g.Number), signature)
}

// older has everything arrive earlier, which stands for days that pass.
func (w *world) older(by time.Duration) {
	w.t.Helper()
	if _, err := w.host.index.db.Exec("UPDATE file SET arrived = arrived - ?", by.Nanoseconds()); err != nil && !errors.Is(err, sql.ErrNoRows) {
		w.t.Fatal(err)
	}
}

// S17: whoever has the client's key and the site's sends generations for a night, or one
// each day: no good one goes, and a person is told on both sides.
func TestFlood(t *testing.T) {
	for what, send := range map[string]func(w *world, day int){
		"three in one night": func(w *world, day int) {
			for n := range int64(3) {
				if day == 0 {
					w.sneak(&vault.Generation{Number: 4 + n})
				}
			}
		},
		"forty in one night, in a line of their own": func(w *world, day int) {
			previous := blob.Sum{}
			if l, err := w.host.readLineage(); err == nil {
				previous = l.Sum
			}
			for n := range int64(40) {
				if day > 0 {
					break
				}
				g := &vault.Generation{Number: 4 + n, Previous: previous}
				w.sneak(g)
				previous, _ = g.Hash()
			}
		},
		"one each day": func(w *world, day int) { w.sneak(&vault.Generation{Number: int64(4 + day)}) },
		"lower numbers": func(w *world, day int) {
			if day == 0 {
				w.sneak(&vault.Generation{Number: 50})
				w.sneak(&vault.Generation{Number: 40})
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.conf.Keep, w.conf.MinAge = vault.Keep{Last: 3, MinCount: 3}, 14*24*time.Hour
			w.conf.Brake = 5
			w.serve(usual())
			for range 3 {
				w.night()
				w.window()
				w.older(24 * time.Hour)
			}
			told := 0
			for day := range 20 {
				send(w, day)
				if _, err := w.host.Prune(t.Context(), PruneOptions{}); errors.Is(err, ErrHeld) && !strings.Contains(err.Error(), "--brake 3") {
					told++
				}
				w.older(24 * time.Hour)
			}
			if told != 20 || w.entries(ledger.KindAlarm) == 0 {
				t.Errorf("held %d times of 20, %d alarms", told, w.entries(ledger.KindAlarm))
			}
			w.sound(1, 2, 3)
			w.night()
			report, err := w.plan().Send(t.Context(), w.store(), w, nil)
			if err != nil || report.Receipt == nil || len(report.Receipt.Alarms) == 0 || !strings.Contains(report.Receipt.Alarms[0], "bears the site's signature") {
				t.Errorf("what the site is told: %+v, %v", report.Receipt, err)
			}
		})
	}
}

// A person's word lets retention go on, and the line goes on from there.
func TestLineIsRight(t *testing.T) {
	w := newWorld(t)
	w.windows(2)
	w.serve(usual())
	w.sneak(&vault.Generation{Number: 3})
	if _, err := w.host.Prune(t.Context(), PruneOptions{}); !errors.Is(err, ErrHeld) {
		t.Fatal(err)
	}
	w.prune(PruneOptions{LineRight: true})
	w.prune(PruneOptions{})
	w.windows(2) // which follow it
	w.open()
	w.prune(PruneOptions{})
}

// S17: honest nights, whatever is lost on either side, raise no doubt.
func TestLineOfHonestNights(t *testing.T) {
	w := newWorld(t)
	for night := range 6 {
		w.windows(1)
		if night == 2 {
			w.open()
			w.prune(PruneOptions{})
		}
		w.open()
		l, err := w.host.followLine(t.Context(), false)
		if err != nil || l.Doubt != "" || l.Number != int64(night+1) {
			t.Fatalf("night %d: %+v, %v", night, l, err)
		}
	}
	if err := os.Remove(w.host.lineageFile()); err != nil {
		t.Fatal(err)
	}
	if l, err := w.host.followLine(t.Context(), false); err != nil || l.Doubt != "" || l.Number != 6 {
		t.Errorf("followed anew: %+v, %v", l, err)
	}
}

// The brake says which generations would go and which stay, and advises no number.
func TestBrakeAdvises(t *testing.T) {
	w := newWorld(t)
	w.conf.Brake = 1
	w.windows(6)
	w.open()
	r, err := w.host.Prune(t.Context(), PruneOptions{Try: true})
	if !errors.Is(err, ErrHeld) || len(r.Fate) != 6 || len(r.Dropped) != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	_, err = w.host.Prune(t.Context(), PruneOptions{})
	if text := fmt.Sprint(err); !strings.Contains(text, "3 generations would go (1, 2, 3), and 3 would stay (4, 5, 6)") || strings.Contains(text, "--brake 3") || !strings.Contains(text, "--dry-run") {
		t.Error(text)
	}
}
