// Airlock-audit verifies the export of a ledger: on any machine, offline, with the
// export, the site's public key, and, against somebody who had the site's own key, a
// head that was kept elsewhere.
//
//	airlock-audit verify FILE --key KEY [--head HEADFILE]… [--ca CAFILE] [--json]
//
// KEY is the line that airlock init printed, or a file that holds it. Exit codes: 0 the
// ledger proves what it should, 1 it does not, or the file cannot be read, 2 usage.
package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"airlock/ledger/proof"
	"airlock/ledger/stamp"

	"golang.org/x/mod/sumdb/note"
)

// version is set when a release is built.
var version = "unknown"

const usage = `usage: airlock-audit verify FILE --key KEY [--head HEADFILE]... [--ca CAFILE] [--json]

Verifies an export of a ledger that "airlock audit export" wrote, or the proof of a
contradiction that airlock left in proofs/ in its state folder (exit code 1 if it holds).

  --key KEY        the site's public key: the line that airlock init printed, or a file
                   that holds it; more than one line if the key was changed
  --head HEADFILE  a head that was kept outside the machine that wrote the ledger: out
                   of a vault, a receipt, or the status; without one, somebody who had
                   the site's key could have written all of it anew
  --ca CAFILE      the certificates of the time-stamp authorities to believe, in PEM;
                   without it time-stamps are only counted
  --json           the report as JSON

Exit codes: 0 the ledger proves what it should, 1 it does not, 2 usage.
`

// Exit codes.
const (
	sound  = 0
	failed = 1
	misuse = 2
)

// growth is by how many percent the heap, of a few megabytes, may grow before it is
// collected: by Go's 100, a third of the time goes into collecting it.
const growth = 400

func main() {
	debug.SetGCPercent(growth)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// order is what the command line says.
type order struct {
	file   string
	key    string
	heads  []string
	ca     string
	asJSON bool
}

func run(ctx context.Context, args []string, out, complaints io.Writer) int {
	if len(args) > 0 && (args[0] == "version" || args[0] == "--version") {
		fmt.Fprintln(out, "airlock-audit", version)
		return sound
	}
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(out, usage)
		return sound
	}
	if err != nil {
		fmt.Fprintf(complaints, "airlock-audit: %v\n\n%s", err, usage)
		return misuse
	}
	proven, err := verify(ctx, o, out)
	if err != nil {
		fmt.Fprintf(complaints, "airlock-audit: %v\n", err)
	}
	if err != nil || !proven {
		return failed
	}
	return sound
}

// parse takes options before and behind the file.
func parse(args []string) (order, error) {
	var o order
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.key, "key", "", "")
	flags.StringVar(&o.ca, "ca", "", "")
	flags.BoolVar(&o.asJSON, "json", false, "")
	flags.Func("head", "", func(file string) error { o.heads = append(o.heads, file); return nil })
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		return o, flag.ErrHelp
	}
	if args[0] != "verify" {
		return o, fmt.Errorf("there is no command %q", args[0])
	}
	var files []string
	for rest := args[1:]; ; rest = flags.Args()[1:] {
		if err := flags.Parse(rest); err != nil {
			return o, err
		}
		if flags.NArg() == 0 {
			break
		}
		files = append(files, flags.Arg(0))
	}
	switch {
	case len(files) != 1:
		return o, errors.New("name one FILE to verify")
	case o.key == "":
		return o, errors.New("the site's public key is missing: --key; without it anybody could have signed")
	}
	o.file = files[0]
	return o, nil
}

// found is what an audit came to, in JSON.
type found struct {
	Export proof.Export `json:"export"`
	Report proof.Report `json:"report"`
	Stamps stamp.Audit  `json:"stamps"`
	Sound  bool         `json:"sound"`
	Whole  bool         `json:"whole"` // the file could be read to its end
}

// verify says whether the file proves what it should.
func verify(ctx context.Context, o order, out io.Writer) (bool, error) {
	keys, err := readKeys(o.key)
	if err != nil {
		return false, err
	}
	outside, err := readHeads(o.heads, keys)
	if err != nil {
		return false, err
	}
	if file, is, err := proof.ContradictionFile(o.file); err != nil || is {
		return false, errors.Join(err, verifyContradiction(file, o, keys, out))
	}
	var roots *x509.CertPool
	if o.ca != "" {
		if roots, err = stamp.Authorities(o.ca); err != nil {
			return false, err
		}
	}
	f, err := os.Open(o.file)
	if err != nil {
		return false, err
	}
	var x found
	x.Export, x.Report, err = proof.VerifyExport(ctx, f, proof.Options{
		Keys: keys, Outside: outside,
		Stamp: func(s proof.Stamp) error {
			x.Stamps.Take(s, keys, roots, nil) // that its head is the ledger's is looked at already
			return nil
		},
	})
	if err = errors.Join(err, f.Close()); err != nil {
		err = fmt.Errorf("%s: %w", o.file, err)
	}
	x.Whole = err == nil
	x.Sound = x.Whole && x.Report.Sound() && len(x.Stamps.Wrong) == 0
	if o.asJSON {
		return x.Sound, errors.Join(err, json.NewEncoder(out).Encode(x))
	}
	tell(out, x, len(outside))
	return x.Sound, err
}

// verifyContradiction holds the proof of a contradiction to the key. That it holds is an
// error as well: some ledger does not prove what it should.
func verifyContradiction(file []byte, o order, keys []note.Verifier, out io.Writer) error {
	c, err := proof.OpenContradiction(file, keys...)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", o.file, err)
	case o.asJSON:
		err = json.NewEncoder(out).Encode(c)
	default:
		_, err = fmt.Fprintf(out, "%-12s %s\n", "proven", c)
	}
	return errors.Join(err, errors.New("the ledger is not the one that it was"))
}

// readKeys takes a key, or the name of a file of keys.
func readKeys(key string) ([]note.Verifier, error) {
	keys, err := proof.ReadKeys(key)
	if err == nil {
		return keys, nil
	}
	text, notThere := os.ReadFile(key)
	if notThere != nil {
		return nil, fmt.Errorf("--key: %w, and no file that can be read: %w", err, notThere)
	}
	if keys, err = proof.ReadKeys(string(text)); err != nil {
		return nil, fmt.Errorf("--key %s: %w", key, err)
	}
	return keys, nil
}

func readHeads(files []string, keys []note.Verifier) (heads []proof.Head, err error) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("--head: %w", err)
		}
		found, err := proof.FindHeads(text, keys...)
		if err != nil {
			return nil, fmt.Errorf("--head %s: %w", file, err)
		}
		heads = append(heads, found...)
	}
	return heads, nil
}

// tell prints what was verified, and what was found.
func tell(out io.Writer, all found, outside int) {
	x, r := all.Export, all.Report
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", what, fmt.Sprintf(format, args...))
	}
	const layout = "2006-01-02 15:04:05Z"
	if x.Header.Site != "" { // else the file could not be read so far
		line("site", "%s, exported %s by %s", x.Header.Site, x.Header.Made.UTC().Format(layout), x.Header.By)
	}
	if r.Entries > 0 {
		line("entries", "%d, from %s to %s", r.Entries, r.First.Format(layout), r.Last.Format(layout))
	}
	line("root", "%s", r.Root)
	line("heads", "%d signed by the key, over entries 1 to %d", r.Heads, r.Signed)
	if outside == 0 {
		line("outside", "no head from elsewhere was given (--head): who had the site's key could have written all of this")
	} else {
		line("outside", "%d heads given; entries 1 to %d are those that were there when the last that fits was signed", outside, r.Outside)
	}
	line("doors", "%d windows, %d openings, open for %s in all, the longest %s", r.Windows, r.Openings, r.Exposure.Round(time.Millisecond), r.Longest.Round(time.Millisecond))
	if r.Bounded > 0 {
		line("", "of these, %d were measured by nobody, and count with the longest that they can have been; %d are no window's", r.Bounded, r.Unexplained)
	}
	if r.After > 0 {
		line("part", "%d entries came before, and are not in this file", r.After)
	}
	for i, key := range r.Vouchers {
		line("receipts", "%d, whose signatures hold; key %d of the vaults' hosts, to compare with theirs: %s", r.Receipts, i+1, key)
	}
	switch t := all.Stamps; {
	case t.Checked > 0:
		line("time-stamps", "%d, of which %d hold; the newest is of %s, over %d entries, by %s", t.All, t.Checked, t.Newest.Format(layout), t.Last.Entries, t.Last.By)
	case t.All > len(t.Wrong):
		line("time-stamps", "%d, none checked: name the authorities with --ca CAFILE", t.All)
	}
	if x.Receipts > 0 {
		line("also there", "%d other receipts, which this program does not look at", x.Receipts)
	}
	for _, wrong := range all.Stamps.Wrong {
		line("FINDING", "%s", wrong)
	}
	for _, grave := range []bool{true, false} {
		for _, f := range r.Findings {
			if f.Grave == grave {
				line(map[bool]string{true: "FINDING", false: "notice"}[grave], "%s", f)
			}
		}
	}
	if r.More > 0 {
		line("", "and %d more", r.More)
	}
	switch {
	case !all.Whole:
		line("result", "NOT VERIFIED: the file could not be read to its end")
	case all.Sound:
		line("result", "verified")
	default:
		line("result", "NOT VERIFIED: %d findings", int(r.Grave)+len(all.Stamps.Wrong))
	}
	fmt.Fprint(out, b.String())
}
