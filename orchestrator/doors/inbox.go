package doors

import (
	"time"

	"airlock/ledger"
	"airlock/orchestrator/doors/window"
)

// message is what a keeper's inbox takes. Only the goroutine of run delivers it.
type message interface{ deliver(k *keeper) }

// stepped is an event of the machine.
type stepped struct{ window.Event }

func (m stepped) deliver(k *keeper) {
	if c, ok := m.Event.(window.Cancel); ok {
		k.withdraw(c.Why)
	}
	k.step(m.Event)
}

func (m sighted) deliver(k *keeper)   { k.see(m, false) }
func (m patrolled) deliver(k *keeper) { k.patrolled(m) }
func (m recalled) deliver(k *keeper)  { k.recall(m) }
func (m trapped) deliver(k *keeper)   { k.heard(m) }
func (m shown) deliver(k *keeper)     { k.learn(m.sighting) }
func (m Opening) deliver(k *keeper)   { k.begin(m) }
func (m order) deliver(k *keeper)     { k.shutNow(m) }
func (m reopening) deliver(k *keeper) { k.takeReopening(m) }
func (m timing) deliver(k *keeper)    { k.timing(m) }
func (m lock) deliver(k *keeper)      { k.lock(m) }
func (m answered) deliver(k *keeper)  { k.intended(m) }
func (m leased) deliver(k *keeper)    { k.permitted(m) }
func (m renewed) deliver(k *keeper)   { k.renewed(m) }
func (m reached) deliver(*keeper)     { close(m) }

func (m failed) deliver(k *keeper) {
	if m.sent {
		k.step(window.Cancel{At: time.Now(), Why: m.err.Error()})
		return
	}
	k.step(window.Unsent{At: time.Now(), Side: m.side, Why: m.err.Error()})
}

// cut is a window that an earlier executor did not live to end. Its end is written once the
// vault's door is proven shut, and told since when that is so.
type cut struct {
	end func(since time.Time) ledger.Entry
}

func (m cut) deliver(k *keeper) {
	k.cut = &m
	k.endCut()
}

// endCut writes the end of a window that was cut short, if the vault's door is shut.
func (k *keeper) endCut() {
	if k.cut == nil || k.state.Doors[window.Vault].Phase != window.Shut {
		return
	}
	c := k.cut
	k.cut = nil
	e := c.end(k.since[window.Vault])
	k.clerk.Enqueue(func() { k.journal.Note(e) })
}

func (m ending) deliver(k *keeper) {
	k.ending = true
	k.withdraw(m.why)
	k.step(window.Cancel{At: time.Now(), Why: m.why})
}
