package doors

import (
	"context"
	"fmt"
	"sync"
	"time"

	"airlock/lease"
	"airlock/notice"
	"airlock/orchestrator/doors/window"
	"airlock/policies"
	"airlock/state"
)

// leaseHolder is how a controller gets, renews and gives back the lease of its vault's door,
// without which the guard shuts it (S4).
//
// Each renewal is ordered by the controller's own loop, so that nothing renews for a controller
// that hangs; and it counts from the order, so that a file which is written late is not
// valid for longer. The files are written by a goroutine of their own: a disk that hangs
// holds up no shutting (S2).
type leaseHolder struct {
	state  state.Folder
	folder lease.Folder
	door   string
	ttl    time.Duration
	every  time.Duration // between two renewals
	now    func() (lease.Instant, error)
	writer *TaskQueue

	// Only the controller's goroutine uses what follows.
	current lease.Lease
	failed  error // why the last renewal was not written
}

func newLeaseHolder(p policies.Policy, door string) *leaseHolder {
	return &leaseHolder{
		state: p.State, folder: lease.In(p.State), door: door, now: lease.Now, writer: NewTaskQueue(),
		ttl: time.Duration(p.Guard.LeaseTTL), every: p.Guard.Renewal(),
	}
}

// leaseIssued is an opening whose lease was asked for, on its way back.
type leaseIssued struct {
	*intent
	lease lease.Lease
	err   error
}

// leaseRenewed is a lease that was to be renewed.
type leaseRenewed struct {
	lease lease.Lease
	err   error
}

// start begins to write for as long as the controller lives, and tells its loop when to
// renew; never without a holder. The function that it returns waits for the writer.
func (p *leaseHolder) start(life context.Context) (<-chan time.Time, func()) {
	if p == nil {
		return nil, func() {}
	}
	var writer sync.WaitGroup
	writer.Go(func() { p.writer.Run(life) })
	t := time.NewTicker(p.every)
	return t.C, func() {
		t.Stop()
		writer.Wait()
	}
}

// left is for how long the lease allows the door to stand open, or why it does not.
func (p *leaseHolder) left() (time.Duration, error) {
	now, err := p.now()
	if err != nil {
		return 0, err
	}
	return p.current.Left(p.door, now, p.ttl)
}

// requestLease asks for the lease of a door whose intent is durable. The inner door needs none,
// for it rests open; but no door is opened in a lockdown, nor while nobody knows (S15).
func (ctl *controller) requestLease(i *intent) {
	p := ctl.lease
	if p == nil {
		ctl.leaseIssued(leaseIssued{intent: i})
		return
	}
	now, err := p.now()
	if err != nil {
		ctl.leaseIssued(leaseIssued{i, lease.Lease{}, err})
		return
	}
	id, longest := ctl.state.Window, time.Until(ctl.state.Hard)
	p.writer.Enqueue(func() {
		locked, err := lease.Locked(p.state)
		var l lease.Lease
		switch {
		case err != nil:
			err = lease.LockdownUnknown(err)
		case locked != nil:
			err = fmt.Errorf("there is a lockdown, by %s: %s", locked.By, locked.Reason)
		case i.side == window.Vault:
			l, err = p.folder.Issue(p.door, id, now, p.ttl, longest)
		}
		ctl.post(leaseIssued{i, l, err})
	})
}

// leaseIssued opens the door, unless it was told to shut since, or has no lease: a lease
// that cannot be written is as good as an intent that is not logged.
func (ctl *controller) leaseIssued(l leaseIssued) {
	if ctl.intents[l.side] != l.intent {
		return
	}
	if l.err == nil && l.side == window.Vault && ctl.lease != nil {
		ctl.lease.current, ctl.lease.failed = l.lease, nil
		_, l.err = ctl.lease.left()
	}
	if l.err == nil {
		ctl.intents[l.side] = nil
		ctl.open(l.side)
		return
	}
	now, first := time.Now(), !l.told
	l.told, l.refused = true, true // an inner door is tried again
	if first {
		ctl.call(Alarm{At: now, Door: l.entry.Door, Notice: notice.NoLease.Of(), Why: l.err.Error()})
	}
	ctl.step(window.Unsent{At: now, Side: l.side, Why: l.err.Error()})
}

// renewLease has the lease renewed for as long as the door may stand open. One that has run
// out is not renewed: this machine stood still, or its disk did, and the guard has shut
// the door or is about to. So the window is over.
func (ctl *controller) renewLease() {
	p := ctl.lease
	if phase := ctl.state.Doors[window.Vault].Phase; phase != window.Opening && phase != window.Open || ctl.intents[window.Vault] != nil {
		return
	}
	if _, err := p.left(); err != nil {
		why := err.Error()
		if p.failed != nil {
			why += "; it was not renewed: " + p.failed.Error()
		}
		stepped{window.Cancel{At: time.Now(), Why: why}}.deliver(ctl)
		return
	}
	now, err := p.now()
	if err != nil {
		p.failed = err
		return
	}
	held := p.current
	p.writer.Enqueue(func() {
		l, err := p.folder.Renew(held, now, p.ttl)
		ctl.post(leaseRenewed{l, err})
	})
}

func (ctl *controller) leaseRenewed(r leaseRenewed) {
	if ctl.lease.failed = r.err; r.err == nil && r.lease.Window == ctl.lease.current.Window {
		ctl.lease.current = r.lease
	}
}

// withdrawLease ends the lease of a door that is proven shut. One that cannot be
// withdrawn runs out by itself.
func (ctl *controller) withdrawLease() {
	if p := ctl.lease; p != nil {
		p.writer.Enqueue(func() {
			if err := p.folder.Withdraw(p.door); err != nil {
				ctl.call(Alarm{At: time.Now(), Door: p.door, Notice: notice.LeaseStays.Of(), Why: err.Error()})
			}
		})
	}
}
