package doors

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/orchestrator/doors/window"
	"airlock/switchctl"

	"pgregory.net/rapid"
)

// What the switch and the ledger do for a while. A command that comes late comes within
// the lag that the rules reckon with.
var (
	setModes = map[string]func(context.Context) (carriedOut, error){
		"obeys":            func(context.Context) (carriedOut, error) { return carriedOut{}, nil },
		"slow":             func(ctx context.Context) (carriedOut, error) { return carriedOut{}, wait(ctx, 700*time.Millisecond) },
		"obeys later":      func(context.Context) (carriedOut, error) { return carriedOut{after: 9 * time.Second}, nil },
		"forgets":          func(context.Context) (carriedOut, error) { return carriedOut{lost: true}, nil },
		"refuses":          func(context.Context) (carriedOut, error) { return carriedOut{}, switchctl.ErrRefused },
		"no answer":        func(ctx context.Context) (carriedOut, error) { return carriedOut{}, hang(ctx) },
		"no answer, lost":  func(ctx context.Context) (carriedOut, error) { return carriedOut{lost: true}, hang(ctx) },
		"no answer, later": func(ctx context.Context) (carriedOut, error) { return carriedOut{after: 9 * time.Second}, hang(ctx) },
		"connection lost":  func(context.Context) (carriedOut, error) { return carriedOut{after: time.Second}, net.ErrClosed },
	}
	callModes = map[string]func(context.Context) error{
		"works": nil,
		"slow":  func(ctx context.Context) error { return wait(ctx, 400*time.Millisecond) },
		"hangs": hang,
		"fails": func(context.Context) error { return switchctl.ErrTimeout },
		"lost":  func(context.Context) error { return net.ErrClosed },
		"late":  func(ctx context.Context) error { return wait(ctx, 5*time.Second) },
	}
	ledgerModes = map[string]func(context.Context) error{
		"works":   nil,
		"slow":    func(ctx context.Context) error { return wait(ctx, 3*time.Second) },
		"hangs":   hang,
		"refuses": func(context.Context) error { return errors.New("disk full") },
	}
)

// spell is what the parts do from some moment on.
type spell struct {
	lasts                        time.Duration
	set, read, find, dial, takes string
}

func (s spell) String() string {
	return fmt.Sprintf("%s: set %s, read %s, find %s, dial %s, ledger %s", s.lasts, s.set, s.read, s.find, s.dial, s.takes)
}

// mostly draws the first of the names three times in four.
func mostly[T any](t *rapid.T, label, usual string, modes map[string]T) string {
	if rapid.IntRange(0, 3).Draw(t, label+" as usual") > 0 {
		return usual
	}
	names := make([]string, 0, len(modes))
	for name := range modes {
		names = append(names, name)
	}
	slices.Sort(names)
	return rapid.SampledFrom(names).Draw(t, label)
}

func drawSpells(t *rapid.T) []spell {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) spell {
		return spell{
			lasts: time.Duration(rapid.IntRange(1, 40_000).Draw(t, "ms")) * time.Millisecond,
			set:   mostly(t, "set", "obeys", setModes),
			read:  mostly(t, "read", "works", callModes),
			find:  mostly(t, "find", "works", callModes),
			dial:  mostly(t, "dial", "works", callModes),
			takes: mostly(t, "ledger", "works", ledgerModes),
		}
	}), 1, 12).Draw(t, "spells")
}

// deed is something that is asked of a controller.
type deed struct {
	after      time.Duration // the one before
	controller int
	what       string        // window, stubborn window, shut
	takes      time.Duration // the work
	cancel     time.Duration // from then on; 0: never
}

func drawDeeds(t *rapid.T, controllers int) []deed {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) deed {
		return deed{
			after:      time.Duration(rapid.IntRange(0, 60_000).Draw(t, "after ms")) * time.Millisecond,
			controller: rapid.IntRange(0, controllers-1).Draw(t, "controller"),
			what:       rapid.SampledFrom([]string{"window", "window", "stubborn window", "shut"}).Draw(t, "deed"),
			takes:      time.Duration(rapid.IntRange(0, 120).Draw(t, "work s")) * time.Second,
			cancel:     time.Duration(rapid.SampledFrom([]int{0, 0, 1, 3, 10, 500, 30_000}).Draw(t, "cancel ms")) * time.Millisecond,
		}
	}), 1, 6).Draw(t, "deeds")
}

// cast programs what a spell says.
func (n *night) cast(s spell) {
	n.write("now %s", s)
	n.sw.fault(func() {
		n.sw.set = func(ctx context.Context, _ setCommand) (carriedOut, error) { return setModes[s.set](ctx) }
		n.sw.find, n.sw.dial, n.sw.read = callModes[s.find], callModes[s.dial], nil
		if f := callModes[s.read]; f != nil {
			n.sw.read = func(ctx context.Context, _ *switchctl.Reading) error { return f(ctx) }
		}
	})
	var take func(context.Context, ledger.Entry) error
	if f := ledgerModes[s.takes]; f != nil {
		take = func(ctx context.Context, _ ledger.Entry) error { return f(ctx) }
	}
	n.journal.fault(take, nil)
}

var wellAgain = spell{0, "obeys", "works", "works", "works", "works"}

// TestAnyNight runs random nights with faults. Whatever happens,
//
//	S1: no command opens a door without its intent in the ledger before it;
//	S3: a door that is believed shut is not up;
//	S4: a command to shut has left when a window's time is up, if the switch can be reached;
//	S6: the vaults' doors and the inner door are never up together;
//	S11: the ledger tells a story that can have happened, each opening with its intent, its
//	window and its proof of closure, and the exposures add up;
//	S12: once the switch obeys again, every door gets to where it belongs.
func TestAnyNight(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		two, inner := rapid.Bool().Draw(r, "two vaults"), rapid.Bool().Draw(r, "inner door")
		second := rapid.Bool().Draw(r, "second way")
		foundOpen := rapid.IntRange(0, 3).Draw(r, "found open") == 0
		names := []string{"p3", "p4"}[:1]
		if two {
			names = []string{"p3", "p4"}
		}
		spells, deeds := drawSpells(r), drawDeeds(r, len(names))
		var wrong []string
		var log string
		inNight(t, func(n *night) {
			var controllers []*controller
			for _, port := range names {
				d := doors{vault: port}
				if inner {
					d.inner = "p1"
				}
				controllers = append(controllers, n.controller(port, d))
			}
			if second {
				n.second(controllers[0])
			}
			if foundOpen {
				n.sw.move(1, false) // S6 was not broken by us
				n.sw.move(3, true)
			}
			n.sw.rises = func(index int) {
				for i, ctl := range controllers {
					if index == 3+i && phase(ctl, window.Vault) == window.Shut {
						wrong = append(wrong, fmt.Sprintf("S3: %s went up and is believed shut", names[i]))
					}
				}
			}
			n.run(controllers...)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for _, s := range spells {
					n.cast(s)
					time.Sleep(s.lasts)
				}
				n.cast(wellAgain)
			}()
			n.do(controllers, deeds)
			<-ended
			time.Sleep(10 * time.Minute)
			for i, ctl := range controllers {
				if n.sw.up(3+i) || phase(ctl, window.Vault) != window.Shut {
					wrong = append(wrong, fmt.Sprintf("S12: %s is up: %t, and believed %s", names[i], n.sw.up(3+i), phase(ctl, window.Vault)))
				}
				if len(ctl.ended) > 0 {
					wrong = append(wrong, fmt.Sprintf("%d windows are remembered", len(ctl.ended)))
				}
			}
			// A command to shut that comes late may shut an inner door that rests open.
			late := slices.ContainsFunc(spells, func(s spell) bool { return strings.HasSuffix(s.set, "later") || s.set == "connection lost" })
			if inner && !foundOpen && !late && !n.sw.up(1) {
				wrong = append(wrong, "S6: the inner door was not opened again")
			}
			wrong = append(wrong, n.breaches(inner, spells)...)
			wrong = append(wrong, n.audit()...)
			log = n.diary.String()
		})
		if len(wrong) > 0 {
			r.Fatalf("%s%s", strings.Join(wrong, "\n"), log)
		}
	})
}

// do asks the deeds of the controllers, and waits for what becomes of them.
func (n *night) do(controllers []*controller, deeds []deed) {
	var all []<-chan held
	for i, d := range deeds {
		time.Sleep(d.after)
		ctl := controllers[d.controller]
		ctx, cancel := context.WithCancel(n.life)
		defer cancel()
		if d.cancel > 0 {
			time.AfterFunc(d.cancel, cancel)
		}
		if d.what == "shut" {
			done := make(chan held, 1)
			go func() { done <- held{err: ctl.shut(n.life, window.Vault, "user root", byHand)} }()
			all = append(all, done)
			continue
		}
		stubborn := d.what == "stubborn window"
		all = append(all, n.logged(ctx, ctl, Opening{
			Window: fmt.Sprintf("w%d", i), Actor: "test", Reason: "any night", MaxOpen: time.Minute,
			Work: func(ctx context.Context) error {
				if stubborn {
					ctx = n.life
				}
				return wait(ctx, d.takes)
			},
		}))
	}
	for _, h := range all {
		<-h
	}
}

// windowRecord is what an audit asks of the record of a window.
type windowRecord struct {
	ID       string    `json:"id"`
	OpenedAt time.Time `json:"opened_at,omitzero"`
	ProvenAt time.Time `json:"proven_at,omitzero"`
	Exposure float64   `json:"exposure_seconds"`
}

// logged begins a window, and writes its beginning and its end into the ledger as a site
// does, one at a time of each vault. A window that the ledger does not take is none.
func (n *night) logged(ctx context.Context, ctl *controller, r Opening) <-chan held {
	entry := ledger.Entry{Time: time.Now(), Kind: ledger.KindWindow, Actor: r.Actor, Reason: r.Reason, Vault: ctl.vault, Window: r.Window, To: "copying"}
	done := make(chan held, 1)
	if _, twice := n.passing.LoadOrStore(ctl, true); twice {
		done <- held{err: ErrRefused}
		return done
	}
	go func() {
		defer n.passing.Delete(ctl)
		if _, err := n.journal.Append(ctx, entry); err != nil {
			done <- held{err: err}
			return
		}
		h := <-n.begin(ctx, ctl, r)
		if errors.Is(h.err, ErrRefused) { // a site lets no two windows of a vault come so far
			h.times = Times{}
		}
		end, record := entry, windowRecord{ID: r.Window, OpenedAt: h.times.OpenedAt, ProvenAt: h.times.ProvenAt}
		if !h.times.OpenedAt.IsZero() {
			record.Exposure = h.times.Exposure().Seconds()
		}
		end.Time, end.From, end.To, end.Detail = time.Now(), "copying", "done", ledger.Detail(record)
		n.journal.Note(end)
		done <- h
	}()
	return done
}

// audit holds what the ledger tells to what can have happened.
func (n *night) audit() []string {
	items := []proof.Item{}
	put := func(e ledger.Entry) {
		e.Seq = int64(len(items) + 1)
		e.Version, e.Clock, e.Time, e.Recorded = proof.Version, proof.ClockFree, e.Time.UTC(), e.Recorded.UTC()
		leaf, err := proof.AppendLeaf(nil, &e)
		if err != nil {
			n.Error(err)
		}
		items = append(items, proof.ItemOfLeaf(leaf))
	}
	put(ledger.Entry{Time: n.begun, Recorded: n.begun, Kind: ledger.KindStart, Actor: "test"})
	recorded := n.begun
	for _, e := range n.journal.all() {
		if e.Recorded.Before(recorded) { // the real one writes in that order, too
			e.Recorded = recorded
		}
		recorded = e.Recorded
		put(e)
	}
	a := proof.NewAudit(nil)
	if err := a.Run(n.Context(), func(yield func(func() []proof.Item, error) bool) { yield(func() []proof.Item { return items }, nil) }, nil); err != nil {
		n.Error(err)
	}
	var grave []string
	for _, f := range a.End().Findings {
		if f.Grave {
			grave = append(grave, "S11: "+f.String())
		}
	}
	return grave
}

// breaches reads the diary for rules that were broken.
func (n *night) breaches(inner bool, spells []spell) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var wrong []string
	reachable := !slices.ContainsFunc(spells, func(s spell) bool {
		return s.find != "works" && s.find != "slow" || s.dial != "works" && s.dial != "slow"
	})
	up := map[string]bool{"p1": true}
	intent, openSince := map[string]time.Duration{}, map[string]time.Duration{}
	for _, e := range n.events {
		for port, since := range openSince {
			if reachable && e.at > since+time.Minute+2*time.Second {
				wrong = append(wrong, fmt.Sprintf("S4: %s after the command to open %s none to shut it has left", e.at-since, port))
				delete(openSince, port)
			}
		}
		switch w := strings.Fields(e.what); w[0] {
		case "entry":
			port, from, to := strings.TrimSuffix(w[1], "-door:"), w[2], w[4]
			if to == "opening" {
				intent[port] = time.Duration(math.MaxInt64)
			} else if from == "opening" {
				intent[port] = e.at // at one instant, the command and its end may cross
			}
		case "SET":
			if w[2] == "down" {
				delete(openSince, w[1])
				break
			}
			if _, open := openSince[w[1]]; !open && w[1] != "p1" {
				openSince[w[1]] = e.at
			}
			if until, ok := intent[w[1]]; !ok || w[1] != "p1" && e.at > until { // p1 may have two controllers
				wrong = append(wrong, fmt.Sprintf("S1: %s was told to open at %s without an intent", w[1], e.at))
			}
		default:
			if len(w) == 3 && w[1] == "is" {
				up[w[0]] = w[2] == "up"
				if inner && up["p1"] && (up["p3"] || up["p4"]) {
					wrong = append(wrong, fmt.Sprintf("S6: both doors were open at %s", e.at))
				}
			}
		}
	}
	return wrong
}
