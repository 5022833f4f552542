package vault

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// PlanInput is what a plan is made of.
type PlanInput struct {
	Site, Vault string
	Window      string // the window's ID
	Now         time.Time
	Ledger      string // the ledger's checkpoint; "" for none
	Blobs       []Blob // all that the repository consists of, in any order
	Memory      *Memory
	// Workers is how many blobs are on their way at once; 0 means 8.
	Workers int
}

// Plan is one window's work, made with the doors shut: no network, no file but the
// memory's. It may be sent again after a cut, and then carries on.
type Plan struct {
	Lacking []Blob // what the vault lacks: data, metadata, indexes, kopia's own; in each the largest first
	Bytes   int64  // their sizes together
	Held    int    // blobs that the vault is known to hold

	in     PlanInput
	blobs  []Blob      // all, in the order of Lacking
	sealed *Generation // if all goes as remembered
	file   []byte      // its bytes
}

const defaultWorkers = 8

// NewPlan compares the repository with the memory of the vault.
func NewPlan(in PlanInput) (*Plan, error) {
	if in.Memory == nil {
		return nil, fmt.Errorf("plan for vault %s: no memory given", in.Vault)
	}
	in.Workers = cmp.Or(in.Workers, defaultWorkers)
	in.Now = in.Now.UTC().Truncate(time.Millisecond)
	known := in.Memory.snapshot()
	if err := known.belongs(in); err != nil {
		return nil, err
	}
	p := &Plan{in: in, blobs: slices.Clone(in.Blobs)}
	slices.SortFunc(p.blobs, inOrder)
	entries := make([]Entry, 0, len(p.blobs))
	for _, b := range p.blobs {
		e, held := known.place(b)
		if held {
			p.Held++
		} else {
			p.Lacking = append(p.Lacking, b)
			p.Bytes += b.Size
		}
		entries = append(entries, e)
	}
	number, previous := known.next()
	p.sealed = p.generation(number, previous, entries, nil)
	var err error
	if p.file, err = p.sealed.Encode(); err != nil {
		return nil, fmt.Errorf("plan for vault %s: the catalogue is not sound: %w", in.Vault, err)
	}
	return p, nil
}

// inOrder is the order in which blobs land. Large ones go first, so that the last
// worker to end a class has little left.
func inOrder(a, b Blob) int {
	if a.Name == "" || b.Name == "" {
		return strings.Compare(a.Name, b.Name) // Encode refuses it
	}
	return cmp.Or(cmp.Compare(classOf(a.Name), classOf(b.Name)), cmp.Compare(b.Size, a.Size), strings.Compare(a.Name, b.Name))
}

// place is where a blob lies, or will if its name is still free.
func (s snapshot) place(b Blob) (e Entry, held bool) {
	if e, held = s.held[heldKey{b.Name, b.SHA256}]; held {
		return e, true
	}
	e = Entry{Name: b.Name, Size: b.Size, SHA256: b.SHA256}
	if s.taken[b.Name] {
		e.Path = versionPath(b.Name, b.SHA256)
	}
	return e, false
}

// belongs refuses to send one repository after another's generations.
func (s snapshot) belongs(in PlanInput) error {
	if s.last == nil {
		return nil
	}
	return belongs(s.last, in)
}

func belongs(g *Generation, in PlanInput) error {
	if g.Site == in.Site && g.Vault == in.Vault {
		return nil
	}
	return fmt.Errorf("generation %d is vault %s's of site %s, not vault %s's of site %s: give each vault a folder of its own",
		g.Number, g.Vault, g.Site, in.Vault, in.Site)
}

func (p *Plan) generation(number int64, previous Sum, entries []Entry, lacks []Lack) *Generation {
	return &Generation{
		Number: number, Site: p.in.Site, Vault: p.in.Vault, Window: p.in.Window,
		Time: p.in.Now, Previous: previous, Ledger: p.in.Ledger, Lacks: lacks, Blobs: entries,
	}
}
