//go:build linux

// Package exposure measures in the lab for how long a vault's door stands open: behind a
// real port of 1 Gbit/s, for airlock and for what works through the open port.
//
// The same folder is kept by every way, night after night. A way's first copy is not
// measured, and made past the port. Then, for each night, the folder changes as a day's
// work changes it, and each way brings its copy up to date while the port is open: the
// port was down before and is down afterwards. An outside [lab.Sampler] says for how long
// it was up, and its own interface counters how much went through. airlock opens and
// shuts it by itself. For the others it is opened by hand, they begin once the vault's
// host answers, and it is shut as soon as they end.
//
// The wire time is what the port carried, both ways, at 1 Gbit/s.
package exposure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"airlock/lab"
)

// Options say what is measured.
type Options struct {
	// Airlock and Kopia are programs; without Kopia its row is left out.
	Airlock, Kopia string
	// Name keeps benches on one machine apart. Dir is where the hospital's folder is
	// made, by default /tmp; the large night wants 20 GB there.
	Name, Dir string
	// Runs is how often each figure is taken; its median counts.
	Runs int
	// Only has words: of the title of each row, "NIGHT / WAY", at least one. Empty: all.
	Only []string
	// Size is the part of its full size that every night has; 0 means 1.
	Size float64
	// Log takes the rows as they come, in Markdown, and what is being done meanwhile.
	Log, Progress io.Writer
}

// bench is a hospital in which one sequence of nights is measured.
type bench struct {
	*lab.Hospital
	options Options
	ways    []way
	source  string // the folder that all ways keep
}

// Run measures everything and writes the table.
func Run(ctx context.Context, o Options) error {
	if o.Size == 0 {
		o.Size = 1
	}
	if o.Dir == "" {
		o.Dir = os.TempDir()
	}
	about, err := o.about(ctx)
	if err != nil {
		return err
	}
	fmt.Fprint(o.Log, about, header)
	for _, s := range sequences(o) {
		if err := o.measure(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func (o Options) wants(night, way string) bool {
	title := night + " / " + way
	return len(o.Only) == 0 || slices.ContainsFunc(o.Only, func(word string) bool { return strings.Contains(title, word) })
}

func (o Options) wantsAny(nights []night, way string) bool {
	return slices.ContainsFunc(nights, func(n night) bool { return o.wants(n.title, way) })
}

func (o Options) say(format string, args ...any) {
	fmt.Fprintf(o.Progress, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// measure has a hospital of its own for each sequence of nights.
func (o Options) measure(ctx context.Context, s sequence) (err error) {
	makers := slices.DeleteFunc(makers(), func(m maker) bool { return !o.wantsAny(s.nights, m.title) })
	if len(makers) == 0 {
		return nil
	}
	o.say("%s: a hospital", s.name)
	hospital, err := lab.Up(ctx, lab.Options{Name: o.Name, Dir: filepath.Join(o.Dir, "al-"+o.Name)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hospital.Down()) }()
	b := &bench{Hospital: hospital, options: o, source: filepath.Join(hospital.Dir, "source")}
	defer func() {
		for _, w := range b.ways {
			err = errors.Join(err, w.end())
		}
	}()
	day, end, err := s.begin(ctx, b.source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	for _, m := range makers {
		o.say("%s: first copy by %s", s.name, m.title)
		w := m.make(b)
		b.ways = append(b.ways, w)
		if err := w.prime(ctx); err != nil {
			return fmt.Errorf("first copy by %s: %w", m.title, err)
		}
	}
	for _, n := range s.nights {
		if err := b.nights(ctx, n, day); err != nil {
			return fmt.Errorf("%s: %w", n.title, err)
		}
	}
	return nil
}

// nights measures one kind of night, several times.
func (b *bench) nights(ctx context.Context, n night, day func(ctx context.Context, number int) error) error {
	rows := make([]row, len(b.ways))
	for number := range max(1, b.options.Runs/n.divisor) {
		if n.changes {
			b.options.say("%s: day %d", n.title, number+1)
			if err := day(ctx, number+1); err != nil {
				return err
			}
		}
		for i, w := range b.ways {
			if !b.options.wants(n.title, w.title()) {
				continue
			}
			rows[i].night, rows[i].way = n.title, w.title()
			f, err := b.observe(ctx, w)
			if err != nil {
				return fmt.Errorf("%s: %w", w.title(), err)
			}
			b.options.say("%s / %s: %s", n.title, w.title(), f)
			rows[i].figures = append(rows[i].figures, f)
		}
	}
	for _, r := range rows {
		if len(r.figures) > 0 {
			fmt.Fprintln(b.options.Log, r)
		}
	}
	return nil
}

// observe measures one night of one way, and wants the port shut before and after.
func (b *bench) observe(ctx context.Context, w way) (figure, error) {
	if err := w.ready(ctx); err != nil {
		return figure{}, err
	}
	syscall.Sync() // the vault's host has disks of its own, with nobody else's writes
	before, err := b.octets(ctx)
	if err != nil {
		return figure{}, err
	}
	port, err := b.Sampler(lab.VaultPort)
	if err != nil {
		return figure{}, err
	}
	f, err := w.keep(ctx)
	for deadline := time.Now().Add(time.Second); err == nil && isUp(port.Transitions()) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // the sampler is as late as the machine lets it be
	}
	seen := port.Stop()
	if err != nil {
		return figure{}, err
	}
	if seen[0].Up || isUp(seen) || len(seen) < 3 {
		return figure{}, fmt.Errorf("the port was not shut, open and shut again, but: %v", seen)
	}
	for i := 2; i < len(seen); i += 2 {
		f.open += seen[i].By.Sub(seen[i-1].By)
	}
	after, err := b.octets(ctx)
	f.toVault, f.fromVault = after.toVault-before.toVault, after.fromVault-before.fromVault
	return f, err
}

func isUp(seen []lab.Transition) bool { return len(seen) > 0 && seen[len(seen)-1].Up }
