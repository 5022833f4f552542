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
)

// permit is how a keeper gets, renews and gives back the lease of its vault's door,
// without which the guard shuts it (S4).
//
// Each renewal is ordered by the keeper's own loop, so that nothing renews for a keeper
// that hangs; and it counts from the order, so that a file which is written late is not
// valid for longer. The files are written by a goroutine of their own: a disk that hangs
// holds up no shutting (S2).
type permit struct {
	state  string // the site's folder
	folder lease.Folder
	door   string
	ttl    time.Duration
	every  time.Duration // between two renewals
	now    func() (lease.Instant, error)
	writer *TaskQueue

	// Only the keeper's goroutine uses what follows.
	held   lease.Lease
	failed error // why the last renewal was not written
}

func newPermit(p policies.Policy, door string) *permit {
	return &permit{
		state: p.State, folder: lease.In(p.State), door: door, now: lease.Now, writer: NewTaskQueue(),
		ttl: time.Duration(p.Guard.LeaseTTL), every: p.Guard.Renewal(),
	}
}

// leased is an opening whose lease was asked for, on its way back.
type leased struct {
	*intent
	lease lease.Lease
	err   error
}

// renewed is a lease that was to be renewed.
type renewed struct {
	lease lease.Lease
	err   error
}

// start begins to write for as long as the keeper lives, and tells its loop when to
// renew; never without a permit. The function that it returns waits for the writer.
func (p *permit) start(life context.Context) (<-chan time.Time, func()) {
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
func (p *permit) left() (time.Duration, error) {
	now, err := p.now()
	if err != nil {
		return 0, err
	}
	return p.held.Left(p.door, now, p.ttl)
}

// permit asks for the lease of a door whose intent is durable. The inner door needs none,
// for it rests open; but no door is opened in a lockdown, nor while nobody knows (S15).
func (k *keeper) permit(i *intent) {
	p := k.lease
	if p == nil {
		k.permitted(leased{intent: i})
		return
	}
	now, err := p.now()
	if err != nil {
		k.permitted(leased{i, lease.Lease{}, err})
		return
	}
	id, longest := k.state.Window, time.Until(k.state.Hard)
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
		k.post(leased{i, l, err})
	})
}

// permitted opens the door, unless it was told to shut since, or has no lease: a lease
// that cannot be written is as good as an intent that is not logged.
func (k *keeper) permitted(l leased) {
	if k.intents[l.side] != l.intent {
		return
	}
	if l.err == nil && l.side == window.Vault && k.lease != nil {
		k.lease.held, k.lease.failed = l.lease, nil
		_, l.err = k.lease.left()
	}
	if l.err == nil {
		k.intents[l.side] = nil
		k.open(l.side)
		return
	}
	now, first := time.Now(), !l.told
	l.told, l.refused = true, true // an inner door is tried again
	if first {
		k.call(Alarm{At: now, Door: l.entry.Door, Notice: notice.NoLease.Of(), Why: l.err.Error()})
	}
	k.step(window.Unsent{At: now, Side: l.side, Why: l.err.Error()})
}

// renew has the lease renewed for as long as the door may stand open. One that has run
// out is not renewed: this machine stood still, or its disk did, and the guard has shut
// the door or is about to. So the window is over.
func (k *keeper) renew() {
	p := k.lease
	if phase := k.state.Doors[window.Vault].Phase; phase != window.Opening && phase != window.Open || k.intents[window.Vault] != nil {
		return
	}
	if _, err := p.left(); err != nil {
		why := err.Error()
		if p.failed != nil {
			why += "; it was not renewed: " + p.failed.Error()
		}
		stepped{window.Cancel{At: time.Now(), Why: why}}.deliver(k)
		return
	}
	now, err := p.now()
	if err != nil {
		p.failed = err
		return
	}
	held := p.held
	p.writer.Enqueue(func() {
		l, err := p.folder.Renew(held, now, p.ttl)
		k.post(renewed{l, err})
	})
}

func (k *keeper) renewed(r renewed) {
	if k.lease.failed = r.err; r.err == nil && r.lease.Window == k.lease.held.Window {
		k.lease.held = r.lease
	}
}

// withdrawLease ends the lease of a door that is proven shut. One that cannot be
// withdrawn runs out by itself.
func (k *keeper) withdrawLease() {
	if p := k.lease; p != nil {
		p.writer.Enqueue(func() {
			if err := p.folder.Withdraw(p.door); err != nil {
				k.call(Alarm{At: time.Now(), Door: p.door, Notice: notice.LeaseStays.Of(), Why: err.Error()})
			}
		})
	}
}
