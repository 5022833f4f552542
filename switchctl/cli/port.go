package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"airlock/switchctl"
)

// agent is a switch by its command line.
type agent struct{ *session }

func (a *agent) Rows(ctx context.Context) ([]switchctl.Row, error) {
	var rows []switchctl.Row
	err := a.read(ctx, func(c *console) error {
		entries, err := c.list()
		rows = rowsOf(entries)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	return rows, nil
}

func (a *agent) Find(ctx context.Context, l switchctl.Lookup) (switchctl.Port, error) {
	p := &port{session: a.session, asked: l}
	var unfound error
	err := a.read(ctx, func(c *console) error {
		entries, err := c.list()
		if err != nil {
			return err
		}
		p.found, unfound = l.Match(rowsOf(entries))
		if unfound != nil {
			return nil
		}
		for _, e := range entries {
			if e.row == p.found {
				p.typed = e.typed
			}
		}
		_, unfound = a.platform.command("{port}", p.typed)
		return nil
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("look up port %s: %w", l, err)
	case unfound != nil:
		return nil, fmt.Errorf("switch %s: %w", a.config.Address, unfound)
	}
	return p, nil
}

func rowsOf(entries []entry) []switchctl.Row {
	rows := make([]switchctl.Row, 0, len(entries))
	for _, e := range entries {
		rows = append(rows, e.row)
	}
	return rows
}

// port is one interface that was found by a lookup.
type port struct {
	session *session
	asked   switchctl.Lookup
	found   switchctl.Row
	typed   string // its name in commands
	closed  atomic.Bool
}

func (p *port) Read(ctx context.Context) (switchctl.Reading, error) {
	var reading switchctl.Reading
	err := p.read(ctx, func(c *console) error {
		e, err := p.now(c)
		if err != nil {
			return err
		}
		reading = switchctl.Reading{At: time.Now(), Row: e.row, InOctets: e.in, OutOctets: e.out, WideOctets: e.octets}
		return understood(e)
	})
	if err != nil {
		return switchctl.Reading{}, fmt.Errorf("read port %s: %w", p.asked, err)
	}
	return reading, nil
}

// understood refuses a reading that would have to be guessed (S3).
func understood(e entry) error {
	switch {
	case e.row.Admin == switchctl.AdminUnknown:
		return &stillUsable{fmt.Errorf("the switch says %q of its administrative state, which the platform's admin: does not know", e.adminWord)}
	case e.row.Oper == switchctl.OperNotRead:
		return &stillUsable{fmt.Errorf("the switch says %q of its operational state, which the platform's oper: does not know", e.operWord)}
	}
	return nil
}

func (p *port) Set(ctx context.Context, admin switchctl.Admin) error {
	if admin != switchctl.AdminUp && admin != switchctl.AdminDown {
		return fmt.Errorf("set port %s: ifAdminStatus %d is neither up (1) nor down (2); nothing was sent", p.asked, admin)
	}
	templates := p.session.platform.Open
	if admin == switchctl.AdminDown {
		templates = p.session.platform.Shut
	}
	err := p.do(ctx, func(c *console) error {
		if _, err := p.now(c); err != nil {
			return fmt.Errorf("nothing was set: %w", err)
		}
		w, err := c.platform.naming(p.typed)
		if err != nil {
			return &stillUsable{err}
		}
		return c.order(w.fillAll(templates))
	})
	if err != nil {
		return fmt.Errorf("set port %s to %d: %w", p.asked, admin, err)
	}
	return nil
}

// Saved tells what the port will be after the switch restarted, by its saved
// configuration (S8).
func (p *port) Saved(ctx context.Context) (switchctl.Saved, error) {
	saved := p.session.platform.Saved
	if saved == nil {
		return switchctl.Saved{}, fmt.Errorf("port %s: platform %s gives no way to read the saved configuration: %w", p.asked, p.session.platform.Platform, errors.ErrUnsupported)
	}
	var answer switchctl.Saved
	err := p.read(ctx, func(c *console) error {
		e, err := p.now(c)
		if err != nil {
			return err
		}
		w, err := c.platform.naming(p.typed)
		if err != nil {
			return &stillUsable{err}
		}
		output, err := c.ask(w.fill(saved.Command))
		if err != nil {
			return err
		}
		answer.Shut, err = saved.proves(output, w)
		if err == nil && !answer.Shut {
			answer.Cure = p.cure(e, w)
		}
		return err
	})
	if err != nil {
		return switchctl.Saved{}, fmt.Errorf("read the saved configuration of port %s: %w", p.asked, err)
	}
	return answer, nil
}

// cure is what a person types to have the port come up shut: it is shut first, where it
// is not.
func (p *port) cure(e entry, w words) []string {
	templates := p.session.platform.Saved.Save
	if e.row.Admin != switchctl.AdminDown || len(templates) == 0 {
		templates = slices.Concat(p.session.platform.Shut, templates)
	}
	return w.fillAll(templates)
}

// Found is the row as the lookup found it.
func (p *port) Found() switchctl.Row { return p.found }

// Close ends this port's use of the session; the session stays.
func (p *port) Close() error {
	p.closed.Store(true)
	return nil
}

func (p *port) do(ctx context.Context, work func(*console) error) error {
	return p.use(ctx, p.session.do, work)
}

func (p *port) read(ctx context.Context, work func(*console) error) error {
	return p.use(ctx, p.session.read, work)
}

func (p *port) use(ctx context.Context, how func(context.Context, func(*console) error) error, work func(*console) error) error {
	if p.closed.Load() {
		return fmt.Errorf("it is closed: %w", net.ErrClosed)
	}
	return how(ctx, work)
}

// now reads the port's row and compares its identity with the one that was found (S7).
func (p *port) now(c *console) (entry, error) {
	entries, err := c.one(p.typed)
	if err != nil {
		return entry{}, err
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool { return e.typed != p.typed })
	switch len(entries) {
	case 0:
		return entry{}, &stillUsable{fmt.Errorf("port %s: %w: the switch has no interface %q any more; look it up again", p.asked, switchctl.ErrMoved, p.typed)}
	case 1:
		if err := p.asked.Moved(p.found, entries[0].row); err != nil {
			return entry{}, &stillUsable{err}
		}
		return entries[0], nil
	}
	return entry{}, &stillUsable{fmt.Errorf("port %s: %w: the switch has %d interfaces %q now", p.asked, switchctl.ErrMoved, len(entries), p.typed)}
}

// list reads every interface.
func (c *console) list() ([]entry, error) {
	entries, err := c.tables(func(t Table) string { return t.Command }, "")
	if err == nil && len(entries) == 0 {
		return nil, &stillUsable{fmt.Errorf("%q printed no interface that platform %s can read", c.platform.List[0].Command, c.platform.Platform)}
	}
	return entries, err
}

// one reads one interface. Where the switch refuses to tell of it, the list says whether
// it is still there.
func (c *console) one(name string) ([]entry, error) {
	if c.platform.List[0].One == "" {
		return c.list()
	}
	entries, err := c.tables(func(t Table) string { return cmp.Or(t.One, t.Command) }, name)
	if !errors.Is(err, switchctl.ErrRefused) {
		return entries, err
	}
	all, listing := c.list()
	if listing != nil {
		return nil, errors.Join(err, listing)
	}
	if slices.ContainsFunc(all, func(e entry) bool { return e.typed == name }) {
		return nil, err
	}
	return nil, nil
}

// tables sends each table's command and understands what all of them print.
func (c *console) tables(template func(Table) string, name string) ([]entry, error) {
	var rows []fields
	for i, t := range c.platform.List {
		command, err := c.platform.command(template(t), name)
		if err != nil {
			return nil, &stillUsable{err}
		}
		output, err := c.ask(command)
		if err != nil {
			return nil, err
		}
		found := t.records(output)
		for _, f := range found {
			f["name"] = rename(c.platform.Long, f["name"])
		}
		if i == 0 {
			rows = found
		} else {
			merge(rows, found)
		}
	}
	return c.entries(rows)
}

// entries understands the rows, in the order of the index where there is one.
func (c *console) entries(rows []fields) ([]entry, error) {
	var entries []entry
	for _, f := range rows {
		e, err := c.platform.entry(f)
		if err != nil {
			return nil, &stillUsable{err}
		}
		entries = append(entries, e)
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return a.row.Index - b.row.Index })
	return entries, nil
}
