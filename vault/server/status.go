package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"airlock/ledger"
	"airlock/vault"

	"github.com/gofrs/flock"
)

// Status is how the vault's host stands.
type Status struct {
	Vault       string    `json:"vault"`
	Served      bool      `json:"served"` // a process serves it
	Generations int       `json:"generations"`
	Newest      int64     `json:"newest,omitempty"`
	Arrived     time.Time `json:"arrived,omitzero"` // when the newest did
	Bytes       int64     `json:"bytes"`            // of all files, each name counted besides
	Room        int64     `json:"room"`             // that may still come
	Quota       int64     `json:"quota,omitempty"`
	Reserve     int64     `json:"reserve,omitempty"` // of the room, what is the site's windows' alone
	Waiting     Waiting   `json:"waiting,omitzero"`
	Unsigned    int       `json:"unsigned,omitempty"` // files in the place of generations that the site has not signed
	Verified    time.Time `json:"verified,omitzero"`  // when verify last ended
	Unread      time.Time `json:"unread,omitzero"`    // since when some file was not read back
	// Another is why the folder is not the one that the state knows; "" if it is.
	Another string `json:"another,omitempty"`
	// Held is why nothing is dropped; "" if it is.
	Held string `json:"held,omitempty"`
	// Damaged is how many files are not as they were, Alarms what was alarmed of in the last
	// seven days, the newest first.
	Damaged int      `json:"damaged,omitempty"`
	Alarms  []string `json:"alarms,omitempty"`
	// Wrong is what a person must look at, a sentence each; Grave that it cannot wait.
	Wrong []string `json:"wrong,omitempty"`
	Grave bool     `json:"grave,omitempty"`
}

const (
	alarmsFor   = 7 * 24 * time.Hour
	alarmsShown = 20
)

// Status looks how the host stands, and changes nothing.
func (h *Host) Status(ctx context.Context) (s Status, err error) {
	s = Status{Vault: h.conf.Name, Quota: h.conf.Quota, Reserve: h.conf.Reserve}
	if err := h.Same(ctx); errors.Is(err, ErrAnother) {
		s.Another = err.Error()
	} else if err != nil {
		return s, err
	}
	sure, _, err := h.arrivals(ctx)
	if err != nil {
		return s, err
	}
	s.Generations = len(sure)
	if s.Unsigned, err = h.unsigned(sure); err != nil {
		return s, err
	}
	for _, a := range sure {
		if a.At.After(s.Arrived) {
			s.Newest, s.Arrived = a.Number, a.At.In(h.conf.Zone)
		}
	}
	if s.Newest > 0 {
		s.Waiting.Since = s.Newest
		if s.Waiting.Files, s.Waiting.Bytes, err = h.index.arrivedSince(ctx, s.Arrived); err != nil {
			return s, err
		}
	}
	if s.Bytes, err = h.index.total(ctx); err != nil {
		return s, err
	}
	r := room{disk: h.folder.disk, lies: func() (int64, error) { return s.Bytes, nil }, quota: h.conf.Quota, floor: h.conf.Floor}
	if s.Room, err = r.left(true); err != nil {
		return s, err
	}
	lock := flock.New(filepath.Join(h.conf.State, "serve.lock"))
	if mine, err := lock.TryRLock(); err == nil && !mine {
		s.Served = true
	}
	if err = errors.Join(lock.Close(), h.statusOfUpkeep(ctx, &s)); err != nil {
		return s, err
	}
	s.judge(h.conf)
	return s, nil
}

// sealsWithin is how long a window may take to bring both files of a generation.
const sealsWithin = time.Hour

// unsigned counts what has lain for a while in the place of generations and is none.
func (h *Host) unsigned(sure []vault.Arrival) (n int, err error) {
	files, err := fs.ReadDir(h.folder.FS(), generationsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	ours := map[string]bool{}
	for _, a := range sure {
		ours[vault.GenerationPath(a.Number)], ours[vault.SignaturePath(a.Number)] = true, true
	}
	for _, f := range files {
		if ours[generationsDir+"/"+f.Name()] {
			continue
		}
		info, err := f.Info()
		if err == nil && h.conf.Now().Sub(info.ModTime()) > sealsWithin {
			n++
		}
	}
	return n, err
}

// statusOfUpkeep is what verify and prune know.
func (h *Host) statusOfUpkeep(ctx context.Context, s *Status) error {
	for _, err := range h.index.damaged(ctx) {
		if err != nil {
			return err
		}
		s.Damaged++
	}
	for r, err := range h.index.due(ctx, h.conf.Now().Add(time.Hour), 1) {
		if err != nil {
			return err
		}
		if s.Unread = r.read.In(h.conf.Zone); r.read.UnixNano() == 0 {
			s.Unread = r.arrived.In(h.conf.Zone)
		}
	}
	if w, err := h.readWitness(); err != nil {
		s.Held = err.Error()
	} else if w.Trouble != "" {
		s.Held = w.Trouble + "; " + clockRight
	}
	if l, err := h.readLineage(); err != nil {
		s.Held = err.Error()
	} else if l.Doubt != "" {
		s.Held = l.Doubt + "; " + lineageHint
	}
	for e, err := range h.ledger.Entries(ctx, ledger.Filter{Kind: ledger.KindVerify}) {
		if err != nil {
			return err
		}
		s.Verified = e.Time.In(h.conf.Zone)
	}
	for e, err := range h.ledger.Entries(ctx, ledger.Filter{Kind: ledger.KindAlarm, Since: h.conf.Now().Add(-alarmsFor)}) {
		if err != nil {
			return err
		}
		s.Alarms = append(s.Alarms, e.Time.In(h.conf.Zone).Format("2006-01-02 15:04:05")+" "+e.Reason)
	}
	slices.Reverse(s.Alarms)
	s.Alarms = s.Alarms[:min(len(s.Alarms), alarmsShown)]
	return nil
}

// judge says what a person must look at.
func (s *Status) judge(c Config) {
	wrong := func(grave bool, format string, args ...any) {
		s.Wrong, s.Grave = append(s.Wrong, fmt.Sprintf(format, args...)), s.Grave || grave
	}
	if s.Another != "" {
		wrong(true, "%s", s.Another)
	}
	if !s.Served {
		wrong(true, "nobody serves the vault: systemctl start airlock-vault")
	}
	if s.Damaged > 0 {
		wrong(true, "files that are not as they were: %d; airlock vault verify names them", s.Damaged)
	}
	if s.Held != "" {
		wrong(true, "nothing is dropped: %s", s.Held)
	}
	switch {
	case s.Room == 0 || s.Room < s.Quota/100:
		wrong(true, "there is no room for more: airlock vault prune says what takes it")
	case s.Quota > 0 && s.Room < s.Quota/20:
		wrong(false, "%s of the quota of %s are left: airlock vault prune says what takes it", size(s.Room), size(s.Quota))
	case s.Room <= s.Reserve:
		wrong(false, "nothing is left but the reserve of %s, for windows that the site announces: airlock vault prune says what takes the rest", size(s.Reserve))
	}
	if s.Unsigned > 0 {
		wrong(false, "files in the place of generations that the site has not signed: %d; they count for nothing; somebody else has put them there, or a window was cut: airlock vault prune --strays drops them", s.Unsigned)
	}
	if s.Generations == 0 && s.Another == "" {
		wrong(false, "no window has brought a generation yet")
	}
	if age := c.Now().Sub(s.Unread); c.ReadAll > 0 && !s.Unread.IsZero() && age > c.ReadAll {
		wrong(false, "a file was not read back since %s, and read_all says %s: run airlock vault verify longer, or more often", s.Unread.In(c.Zone).Format("2006-01-02 15:04"), c.ReadAll)
	}
	if n := len(s.Alarms); n > 0 {
		wrong(false, "alarms in the last seven days: %d, the newest: %s", n, s.Alarms[0])
	}
}

// Finding is one thing that was looked at before a vault is served.
type Finding struct {
	What string `json:"what"`
	Text string `json:"text"`
	Fix  string `json:"fix,omitempty"` // what to do; "" where all is well
}

// Examine looks at what serve and upkeep need, and makes nothing.
func Examine(folder, state string) (all []Finding) {
	look := func(what, dir, fix string, private bool) bool {
		info, err := os.Stat(dir)
		f := Finding{What: what, Text: dir}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			f.Text, f.Fix = dir+" is not there", fix
		case err != nil:
			f.Text, f.Fix = err.Error(), "give the vault's user the right to it: chown airlock-vault "+dir
		case !info.IsDir():
			f.Text, f.Fix = dir+" is no folder", fix
		case private && info.Mode().Perm()&0o077 != 0:
			f.Text, f.Fix = fmt.Sprintf("%s may be read by others (%s)", dir, info.Mode().Perm()), "chmod 700 "+dir
		default:
			f.Text, f.Fix = writable(dir)
		}
		all = append(all, f)
		return f.Fix == ""
	}
	look("folder", folder, "mount its disk, or make it: mkdir -m 700 "+folder, false)
	if look("state", state, "make it: mkdir -m 700 "+state+"; at the first start the vault's keys are made there", true) {
		for _, key := range []string{"receipt.key", "ssh_host_ed25519"} {
			f := Finding{What: "key", Text: key}
			info, err := os.Stat(filepath.Join(state, "keys", key))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				f.Text += ": none yet; airlock vault keys makes it"
			case err != nil:
				f.Text, f.Fix = err.Error(), "run this as the user that serves the vault"
			case info.Mode().Perm()&0o077 != 0:
				f.Text, f.Fix = fmt.Sprintf("%s may be read by others (%s)", key, info.Mode().Perm()), "chmod 600 "+filepath.Join(state, "keys", key)
			}
			all = append(all, f)
		}
		f := Finding{What: "clock", Text: time.Now().Format("2006-01-02 15:04:05 -0700")}
		if w, err := vault.ReadWitness(filepath.Join(state, "clock.json")); err != nil {
			f.Text, f.Fix = err.Error(), clockRight
		} else if w.Trouble != "" {
			f.Text, f.Fix = w.Trouble, clockRight
		}
		all = append(all, f)
	}
	return all
}

// writable says whether files can be made in a folder.
func writable(dir string) (text, fix string) {
	f, err := os.CreateTemp(dir, ".airlock-check-")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return err.Error(), "give the vault's user the right to it: chown airlock-vault " + dir
	}
	return dir, ""
}
