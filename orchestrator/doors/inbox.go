package doors

import (
	"time"

	"airlock/ledger"
	"airlock/orchestrator/doors/window"
)

// message is what a controller's inbox takes. Only the goroutine of run delivers it.
type message interface{ deliver(ctl *controller) }

// stepped is an event of the machine.
type stepped struct{ window.Event }

func (m stepped) deliver(ctl *controller) {
	if c, ok := m.Event.(window.Cancel); ok {
		ctl.withdraw(c.Why)
	}
	ctl.step(m.Event)
}

func (m sighted) deliver(ctl *controller)      { ctl.see(m, false) }
func (m patrolled) deliver(ctl *controller)    { ctl.patrolled(m) }
func (m recalled) deliver(ctl *controller)     { ctl.recall(m) }
func (m trapped) deliver(ctl *controller)      { ctl.heard(m) }
func (m shown) deliver(ctl *controller)        { ctl.learn(m.sighting) }
func (m Opening) deliver(ctl *controller)      { ctl.begin(m) }
func (m shutOrder) deliver(ctl *controller)    { ctl.shutNow(m) }
func (m reopening) deliver(ctl *controller)    { ctl.takeReopening(m) }
func (m timing) deliver(ctl *controller)       { ctl.timing(m) }
func (m lock) deliver(ctl *controller)         { ctl.lock(m) }
func (m answered) deliver(ctl *controller)     { ctl.intended(m) }
func (m leaseIssued) deliver(ctl *controller)  { ctl.leaseIssued(m) }
func (m leaseRenewed) deliver(ctl *controller) { ctl.leaseRenewed(m) }
func (m reached) deliver(*controller)          { close(m) }

func (m failed) deliver(ctl *controller) {
	if m.sent {
		ctl.step(window.Cancel{At: time.Now(), Why: m.err.Error()})
		return
	}
	ctl.step(window.Unsent{At: time.Now(), Side: m.side, Why: m.err.Error()})
}

// cut is a window that an earlier executor did not live to end. Its end is written once the
// vault's door is proven shut, and told since when that is so.
type cut struct {
	end func(since time.Time) ledger.Entry
}

func (m cut) deliver(ctl *controller) {
	ctl.cut = &m
	ctl.endCut()
}

// endCut writes the end of a window that was cut short, if the vault's door is shut.
func (ctl *controller) endCut() {
	if ctl.cut == nil || ctl.state.Doors[window.Vault].Phase != window.Shut {
		return
	}
	c := ctl.cut
	ctl.cut = nil
	e := c.end(ctl.since[window.Vault])
	ctl.queue.Enqueue(func() { ctl.journal.Note(e) })
}

func (m ending) deliver(ctl *controller) {
	ctl.ending = true
	ctl.withdraw(m.why)
	ctl.step(window.Cancel{At: time.Now(), Why: m.why})
}
