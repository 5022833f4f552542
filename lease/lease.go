// Package lease is the permission by which a door may stand open right now.
//
// A lease is one small JSON file, DOOR.json, in a folder that the executor writes and
// the guard reads. The executor issues it before it opens a door, renews it while it is
// alive and the door may stay open, and withdraws it once the door is proven shut. A
// door that stands open without a valid lease stands open by nobody's leave.
//
// A lease is valid while all of this is true: its file is whole and names the door, it
// is of the boot that runs, it was renewed no longer ago than the reader's own measure
// of a lease's life, and neither its time nor its deadline has passed. The deadline is
// set when the lease is issued, and no renewal moves it (S4). Whatever else is in the
// file, or keeps it from being read, makes the lease invalid.
//
// Time is counted since the machine was booted, time asleep included (CLOCK_BOOTTIME):
// a wall clock that is stepped makes no lease longer or shorter. The times of day in
// the file are for people.
//
// The file is written beside itself and renamed, so that a reader sees the old lease or
// the new. It is not fsynced: a lease that is lost has ended, which is the safe side.
package lease

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"airlock/state"
)

// Folder is where the leases of a site lie.
type Folder string

// In is the folder of leases in a site's state folder.
func In(state state.Folder) Folder { return Folder(state.Leases()) }

// Instant is a moment on the clock by which leases run.
type Instant struct {
	Boot  string        `json:"boot"`     // identifies the boot; instants of two boots cannot be compared
	Since time.Duration `json:"since_ns"` // since that boot
}

// Lease is what a file says. The zero Lease is valid for nothing.
type Lease struct {
	Door     string    `json:"door"`
	Window   string    `json:"window"`
	PID      int       `json:"pid"` // of the executor
	Issued   time.Time `json:"issued"`
	Until    time.Time `json:"until"`
	Deadline time.Time `json:"deadline"`
	Boot     Boot      `json:"boot"`
}

// Boot are a lease's times as they count, since the boot.
type Boot struct {
	ID       string        `json:"id"`
	Renewed  time.Duration `json:"renewed_ns"`
	Until    time.Duration `json:"until_ns"`
	Deadline time.Duration `json:"deadline_ns"` // never moved after the issue
}

// ErrLapsed: the lease had run out before it was to be renewed.
var ErrLapsed = errors.New("the lease has run out")

// Issue writes a lease for door that is valid from now for ttl, and by renewals for
// longest at the most.
func (f Folder) Issue(door, window string, now Instant, ttl, longest time.Duration) (Lease, error) {
	day := time.Now()
	l := Lease{
		Door: door, Window: window, PID: os.Getpid(), Issued: day, Deadline: day.Add(longest),
		Boot: Boot{ID: now.Boot, Deadline: now.Since + longest},
	}
	if longest <= 0 {
		return Lease{}, fmt.Errorf("lease of door %s: its deadline has passed", door)
	}
	if err := os.MkdirAll(string(f), 0o700); err != nil {
		return Lease{}, fmt.Errorf("lease of door %s: %w", door, err)
	}
	return f.write(l, now, ttl)
}

// Renew writes l again so that it is valid from now for ttl, but never beyond its
// deadline. A lease that is not valid any more is ErrLapsed, and stays as it is.
func (f Folder) Renew(l Lease, now Instant, ttl time.Duration) (Lease, error) {
	if l.Boot.ID != now.Boot || now.Since >= min(l.Boot.Until, l.Boot.Deadline) {
		return l, fmt.Errorf("lease of door %s: %w", l.Door, ErrLapsed)
	}
	renewed, err := f.write(l, now, ttl)
	if err != nil {
		return l, err
	}
	return renewed, nil
}

func (f Folder) write(l Lease, now Instant, ttl time.Duration) (Lease, error) {
	l.Boot.Renewed, l.Boot.Until = now.Since, min(now.Since+ttl, l.Boot.Deadline)
	l.Until = time.Now().Add(l.Boot.Until - now.Since)
	data, err := json.Marshal(l)
	if err != nil {
		return Lease{}, fmt.Errorf("lease of door %s: %w", l.Door, err)
	}
	next := f.file(l.Door) + ".new"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return Lease{}, fmt.Errorf("lease of door %s: %w", l.Door, err)
	}
	if err := os.Rename(next, f.file(l.Door)); err != nil {
		return Lease{}, fmt.Errorf("lease of door %s: %w", l.Door, err)
	}
	return l, nil
}

// Withdraw ends the lease of a door. Where there is none, that is no error.
func (f Folder) Withdraw(door string) error {
	if err := os.Remove(f.file(door)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("lease of door %s: %w", door, err)
	}
	return nil
}

// sizeLimit is many times what a lease takes.
const sizeLimit = 16 << 10

// Read gives the lease of a door as it stands, valid or not.
func (f Folder) Read(door string) (Lease, error) {
	file, err := os.Open(f.file(door))
	if errors.Is(err, fs.ErrNotExist) {
		return Lease{}, fmt.Errorf("door %s has no lease", door)
	}
	if err != nil {
		return Lease{}, fmt.Errorf("lease of door %s: %w", door, err)
	}
	data, err := io.ReadAll(io.LimitReader(file, sizeLimit))
	if err = errors.Join(err, file.Close()); err != nil {
		return Lease{}, fmt.Errorf("lease of door %s: %w", door, err)
	}
	var l Lease
	if err := json.Unmarshal(data, &l); err != nil {
		return Lease{}, fmt.Errorf("lease of door %s: the file is no lease: %w", door, err)
	}
	return l, nil
}

// Left is for how long l allows door to stand open from now on, by a reader to whom a
// lease lives for ttl after each renewal: more than zero, or an error that says why it
// does not.
func (l Lease) Left(door string, now Instant, ttl time.Duration) (time.Duration, error) {
	b := l.Boot
	left := min(b.Until, b.Deadline, b.Renewed+ttl) - now.Since
	why := ""
	switch {
	case l.Door != door:
		why = fmt.Sprintf("it names door %q", l.Door)
	case b.ID == "" || b.ID != now.Boot:
		why = "it is of another boot of the machine"
	case b.Renewed > now.Since:
		why = fmt.Sprintf("it was renewed %s in the future", b.Renewed-now.Since)
	case b.Deadline <= now.Since:
		why = fmt.Sprintf("its deadline passed %s ago", now.Since-b.Deadline)
	case left <= 0:
		why = fmt.Sprintf("it ran out %s ago", -left)
	default:
		return left, nil
	}
	return 0, fmt.Errorf("the lease of door %s is not valid: %s", door, why)
}

func (f Folder) file(door string) string { return filepath.Join(string(f), door+".json") }
