package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"airlock/console"
	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/ledger/stamp"
	"airlock/orchestrator"
	"airlock/orchestrator/custody"
	"airlock/policies"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"
)

// errUnsound: the ledger does not prove what it should.
var errUnsound = errors.New("the ledger does not prove what it should")

// auditing is what an audit is made of and with.
type auditing struct {
	key, ca string
	ledger  string   // another one's file than the site's
	outside []string // files of heads
	keys    []note.Verifier
	heads   []proof.Head
	roots   *x509.CertPool // nil if none were named
}

// audited is what an audit came to, in JSON.
type audited struct {
	proof.Report
	Sound  bool          `json:"sound"`
	Export *proof.Export `json:"export,omitempty"`
	Stamps stamp.Audit   `json:"stamps"`
}

// sound reports whether nothing grave was found, in the ledger or its time-stamps.
func (f audited) sound() bool { return f.Report.Sound() && len(f.Stamps.Wrong) == 0 }

func (a *app) auditVerifyCommand() *cobra.Command {
	var with auditing
	c := &cobra.Command{
		Use:   "verify [FILE]",
		Short: "Check the whole ledger, or an export of one: tree, signatures, time-stamps, and what the entries tell",
		Long:  "Check the whole ledger, or an export of one: tree, signatures, time-stamps, and what the entries tell. An export, and the proof of a contradiction that airlock leaves in proofs/, need no policy file and no site, only --key. Give --head a head that was kept elsewhere: without one, who has the site's key could have made the whole ledger anew.",
		Args:  usage(cobra.MaximumNArgs(1)),
		RunE: func(c *cobra.Command, files []string) error {
			verify := a.verifyLive
			if len(files) > 0 {
				if file, is, err := proof.ContradictionFile(files[0]); err != nil || is {
					return errors.Join(err, a.verifyContradiction(with, file))
				}
				verify = func(ctx context.Context, with auditing) (audited, error) { return a.verifyExport(ctx, with, files[0]) }
			}
			found, err := verify(c.Context(), with)
			if err != nil {
				return err
			}
			if found.Sound = found.sound(); a.json {
				err = a.printJSON(found)
			} else {
				a.printAudited(found)
			}
			if !found.Sound {
				err = errors.Join(err, fmt.Errorf("%w: %d grave findings", errUnsound, found.Grave+len(found.Stamps.Wrong)))
			}
			return err
		},
	}
	a.jsonFlag(c)
	c.Flags().StringVar(&with.key, "key", "", "the site's public `key`, or the file that holds it; needed with an export")
	c.Flags().StringArrayVar(&with.outside, "head", nil, "a `file` with a signed head that was kept elsewhere; may be repeated")
	c.Flags().StringVar(&with.ledger, "ledger", "", "another ledger's `file`, such as the guard's")
	c.Flags().StringVar(&with.ca, "ca", "", "the `file` of the time-stamp authorities to believe")
	return c
}

// read reads keys, outside heads and authorities. The key is the text itself, or a file of it.
func (w *auditing) read() error {
	text := w.key
	if !strings.Contains(text, "+") || strings.ContainsAny(text, `/\`) && fileThere(text) {
		data, err := os.ReadFile(text)
		if err != nil {
			return fmt.Errorf("the site's public key: %w", err)
		}
		text = string(data)
	}
	var err error
	if w.keys, err = proof.ReadKeys(text); err != nil {
		return err
	}
	for _, file := range w.outside {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("a head of the ledger: %w", err)
		}
		heads, err := proof.FindHeads(data, w.keys...)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		w.heads = append(w.heads, heads...)
	}
	if w.ca != "" {
		w.roots, err = stamp.Authorities(w.ca)
	}
	return err
}

func fileThere(name string) bool { _, err := os.Stat(name); return err == nil }

func (a *app) verifyLive(ctx context.Context, with auditing) (audited, error) {
	p, err := a.readersPolicy(with.ledger)
	if err != nil {
		return audited{}, err
	}
	switch {
	case with.key != "":
	case with.ledger != "":
		_, with.key = ledger.KeyFiles(with.ledger)
	default:
		with.key = publicKeyFile(p)
	}
	if t := p.Ledger.Timestamps; t != nil && with.ca == "" {
		with.ca = t.CA
	}
	if err := with.read(); err != nil {
		return audited{}, err
	}
	r, err := openLedger(ctx, p, with.ledger)
	if err != nil {
		return audited{}, err
	}
	if r == nil {
		return audited{}, errNoLedger
	}
	found, err := a.verifyReader(ctx, r, with)
	err = errors.Join(err, r.Close())
	if with.ledger == "" && with.key == publicKeyFile(p) { // by no key that a person may have mistaken
		err = errors.Join(err, tellVerified(ctx, p, found, err))
	}
	return found, err
}

// tellVerified keeps what was found, and has a running executor look: it opens no door by a
// ledger that was changed, and does again once that was found sound.
func tellVerified(ctx context.Context, p policies.Policy, found audited, err error) error {
	switch {
	case errors.Is(err, ledger.ErrDamaged):
	case err != nil:
		return nil // nothing was found out
	}
	if err := custody.TakeVerified(p.State, found.Report, err); err != nil {
		return err
	}
	remote, err := console.Connect(ctx, p.State.Socket())
	if err != nil {
		return nil // none runs; the next one reads what was kept
	}
	_, err = remote.Do(ctx, orchestrator.Order{Verb: "recheck"}, func(orchestrator.Progress) {})
	return err
}

func (a *app) verifyReader(ctx context.Context, r *ledger.Reader, with auditing) (found audited, err error) {
	watch, end := a.progress()
	defer end()
	found.Report, err = r.Verify(ctx, with.keys, with.heads, func(done, of int64) {
		watch(orchestrator.Progress{Task: "verify", Stage: "reading back", Files: done, TotalFiles: of})
	})
	if err != nil {
		return found, err
	}
	watch(orchestrator.Progress{Task: "verify", Stage: "done"})
	all, err := r.Stamps(ctx)
	if err != nil {
		return found, err
	}
	for _, s := range all {
		found.Stamps.Take(s, with.keys, with.roots, r.Against(ctx, s.Head))
	}
	return found, nil
}

func (a *app) verifyExport(ctx context.Context, with auditing, file string) (found audited, err error) {
	if with.key == "" {
		return found, fmt.Errorf("%w: say by which key the export has to be signed: --key FILE, as the site gave it to you, not as the export has it", errUsage)
	}
	if err := with.read(); err != nil {
		return found, err
	}
	f, err := os.Open(file)
	if err != nil {
		return found, err
	}
	watch, end := a.progress()
	defer end()
	export, report, err := proof.VerifyExport(ctx, f, proof.Options{
		Keys: with.keys, Outside: with.heads,
		Progress: func(entries int64) {
			watch(orchestrator.Progress{Task: "verify", Stage: "reading back", Files: entries})
		},
		Stamp: func(s proof.Stamp) error {
			found.Stamps.Take(s, with.keys, with.roots, nil) // that its head is the ledger's is looked at already
			return nil
		},
	})
	watch(orchestrator.Progress{Task: "verify", Stage: "done"})
	found.Report, found.Export = report, &export
	return found, errors.Join(err, f.Close())
}

// printAudited says what was found, grave things first.
func (a *app) printAudited(found audited) {
	for _, grave := range []bool{true, false} {
		for _, f := range found.Findings {
			if f.Grave == grave {
				word := a.text("note")
				if grave {
					word = a.text("GRAVE")
				}
				fmt.Fprintf(a.out, "%s: %s\n", word, plain(a.words.tell(f.String())))
			}
		}
	}
	for _, wrong := range found.Stamps.Wrong {
		fmt.Fprintf(a.out, "%s: %s\n", a.text("GRAVE"), plain(wrong))
	}
	if found.More > 0 {
		a.print("  and %d more", found.More)
	}
	a.print("%s, root %s", a.count(int(found.Entries), "%d entry", "%d entries"), found.Root)
	a.print("windows %d, openings %d, doors open for %s in all, the longest %s", found.Windows, found.Openings, found.Exposure.Round(time.Millisecond), found.Longest.Round(time.Millisecond))
	if found.Bounded > 0 {
		a.print("of these, %d were measured by nobody, and count with the longest that they can have been; %d are no window's", found.Bounded, found.Unexplained)
	}
	if found.After > 0 {
		a.print("a part: %d entries came before, and are not in this file", found.After)
	}
	for _, key := range found.Vouchers {
		a.print("receipts %d, whose signatures hold; a key of the vaults' hosts, to compare with theirs: %s", found.Receipts, key)
	}
	a.print("signed heads %d, the last over %d entries; kept elsewhere: over %d", found.Heads, found.Signed, found.Outside)
	switch s := found.Stamps; {
	case s.All > 0 && s.Checked+len(s.Wrong) == 0:
		a.print("time-stamps %d, none checked: name the authorities with --ca FILE", s.All)
	case s.Checked > 0:
		a.print("time-stamps %d, of which %d hold; the newest is of %s, over %d entries, by %s", s.All, s.Checked, s.Newest.Format(time.RFC3339), s.Last.Entries, plain(s.Last.By))
	}
	switch {
	case !found.sound():
	case found.Outside == 0:
		a.print("sound: the signatures hold. Whether the ledger was made anew by somebody with the key, only a head that was kept elsewhere shows: --head FILE")
	default:
		a.print("sound: nothing was changed, removed or added before entry %d, by the head that was kept elsewhere", found.Outside+1)
	}
}

func publicKeyFile(p policies.Policy) string { return p.State.PublicKey() }
