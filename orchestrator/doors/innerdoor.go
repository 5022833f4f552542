package doors

import "sync"

// innerDoor is an inner door that several vaults share. One controller at a time has the
// claim on it, for a window or to open it, and nobody opens it while any of the vaults'
// doors is not proven shut (S6). A nil innerDoor is no door, and free.
type innerDoor struct {
	mu          sync.Mutex
	holder      *controller
	open        map[*controller]bool // whose vault's door counts as open
	controllers []*controller        // who share it; they do not change once one of them runs
}

// join makes ctl one of those who share the door.
func (i *innerDoor) join(ctl *controller) {
	ctl.shared = i
	i.controllers = append(i.controllers, ctl)
	i.tell(ctl, false)
}

// show tells the others what ctl saw of the door, without waiting: who is at rest would
// otherwise believe what was so when it looked last.
func (i *innerDoor) show(ctl *controller, s sighting) {
	if i == nil {
		return
	}
	for _, other := range i.controllers {
		if other == ctl {
			continue
		}
		select {
		case other.inbox <- shown{s}:
		default:
		}
	}
}

// tell says whether the door of ctl's vault is proven shut.
func (i *innerDoor) tell(ctl *controller, shut bool) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.open == nil {
		i.open = map[*controller]bool{}
	}
	i.open[ctl] = true
	if shut {
		delete(i.open, ctl)
	}
}

func (i *innerDoor) take(ctl *controller) bool {
	if i == nil {
		return true
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.holder == nil {
		i.holder = ctl
	}
	return i.holder == ctl
}

// takeToOpen is take for opening the door.
func (i *innerDoor) takeToOpen(ctl *controller) bool {
	if !i.take(ctl) {
		return false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.open) == 0
}

func (i *innerDoor) release(ctl *controller) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.holder == ctl {
		i.holder = nil
	}
}
