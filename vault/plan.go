package vault

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"airlock/blob"
)

// PlanInput is what a plan is made of.
type PlanInput struct {
	Site, Vault string
	Window      string // the window's ID
	Now         time.Time
	Ledger      string // the ledger's checkpoint; "" for none
	// Met is shown the newest generation in the vault, if there is one, before anything
	// is sent, and must not wait: its error ends the window. It may be nil.
	Met   func(*Generation) error
	Blobs []blob.Blob // all that the repository consists of, in any order
	// Amiss are those of Blobs that the repository cannot give as they once were, and
	// why. They are not sent. Where the vault holds one, as it once was, the generation
	// lists it all the same; otherwise it says that it lacks it.
	Amiss  map[string]string
	Memory *Memory
	// Identity is what the vault is known again by; the zero Identity refuses none.
	Identity Identity
	// Workers is how many blobs are on their way at once; 0 means 8.
	Workers int
	// SiteKey signs the generation; nil leaves it unsigned, and no reader trusts it.
	SiteKey note.Signer
	// Trust are the public keys by which the site's generations may be signed. What stands in
	// the vault and is signed by none of them counts for nothing.
	Trust []note.Verifier
	// Past is what the site knows of its own windows; nil if nothing.
	Past *Past
	// HostKey is that of the vault's host, whose receipt is asked for; nil for a vault
	// that gives none.
	HostKey note.Verifier
}

// Plan is one window's work, made with the doors shut: no network, no file but the
// memory's. It may be sent again after a cut, and then carries on.
type Plan struct {
	Lacking []blob.Blob  // what the vault lacks: data, metadata, indexes, kopia's own; in each the largest first
	Bytes   int64        // their sizes together
	Held    int          // blobs that the vault is known to hold
	Lacks   []blob.Fault // what neither the repository nor, as far as is known, the vault has

	in    PlanInput
	blobs []blob.Blob // all, in the order of Lacking

	// What follows is true as long as the memory says what it said then.
	known  recollection
	work   work
	sealed *Generation
	file   []byte // sealed's bytes
}

// work is what there is to do, by what is known of the vault.
type work struct {
	holdings
	kept    []Entry // blobs that are held already
	lacking [classes][]blob.Blob
	lacks   []blob.Fault // amiss, and not held
}

const defaultWorkers = 8

// NewPlan compares the repository with the memory of the vault.
func NewPlan(in PlanInput) (*Plan, error) {
	if in.Memory == nil {
		return nil, fmt.Errorf("plan for vault %s: no memory given", in.Vault)
	}
	in.Workers = cmp.Or(in.Workers, defaultWorkers)
	in.Now = in.Now.UTC().Truncate(time.Millisecond)
	known := in.Memory.recall()
	if known.last != nil {
		if err := belongs(known.last, in); err != nil {
			return nil, err
		}
	}
	p := &Plan{in: in, blobs: slices.Clone(in.Blobs), known: known}
	slices.SortFunc(p.blobs, inOrder)
	p.work = p.divide(known)
	p.Held, p.Lacks = len(p.work.kept), p.work.lacks
	entries := slices.Clone(p.work.kept)
	for _, blobs := range p.work.lacking {
		p.Lacking = append(p.Lacking, blobs...)
		for _, b := range blobs {
			p.Bytes += b.Size
			e, _ := p.work.place(b)
			entries = append(entries, e)
		}
	}
	number, previous := known.next()
	p.sealed = p.generation(number, previous, entries, slices.Clone(p.work.lacks))
	var err error
	if p.file, err = p.sealed.Encode(); err != nil {
		return nil, fmt.Errorf("plan for vault %s: the catalogue is not sound: %w", in.Vault, err)
	}
	return p, nil
}

// divide tells what the vault holds from what it lacks.
func (p *Plan) divide(known recollection) work {
	w := work{holdings: known.holdings()}
	for _, b := range p.blobs {
		why, amiss := p.in.Amiss[b.Name]
		switch e, held := w.place(b); {
		case held:
			w.kept = append(w.kept, e)
		case amiss:
			w.lacks = append(w.lacks, blob.Fault{Name: b.Name, Why: strings.ToValidUTF8(why, "?")})
		default:
			w.lacking[classOf(b.Name)] = append(w.lacking[classOf(b.Name)], b)
		}
	}
	return w
}

// inOrder is the order in which blobs land. Large ones go first, so that the last
// worker to end a class has little left.
func inOrder(a, b blob.Blob) int {
	return cmp.Or(cmp.Compare(classOf(a.Name), classOf(b.Name)), cmp.Compare(b.Size, a.Size), strings.Compare(a.Name, b.Name))
}

// belongs refuses to send one repository after another's generations.
func belongs(g *Generation, in PlanInput) error {
	if g.Site == in.Site && g.Vault == in.Vault {
		return nil
	}
	return fmt.Errorf("generation %d is vault %s's of site %s, not vault %s's of site %s: give each vault a folder of its own",
		g.Number, g.Vault, g.Site, in.Vault, in.Site)
}

func (p *Plan) generation(number int64, previous blob.Sum, entries []Entry, lacks []blob.Fault) *Generation {
	return &Generation{
		Number: number, Site: p.in.Site, Vault: p.in.Vault, Window: p.in.Window,
		Time: p.in.Now, Previous: previous, Ledger: p.in.Ledger, Lacks: lacks, Blobs: entries,
	}
}
