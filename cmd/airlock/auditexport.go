package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"airlock/console"
	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/policies"

	"github.com/spf13/cobra"
)

func (a *app) auditExportCommand() *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use:   "export FILE",
		Short: "Write the whole ledger into one file, which audit verify checks anywhere",
		Long:  "Write the whole ledger into one file, which audit verify checks anywhere. With --from or --to it is a part, which goes on to the next signed head; that head vouches for it.",
		Args:  usage(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, files []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			var f ledger.Filter
			if f.Since, err = parseSince(from, p.Timezone.Location); err != nil {
				return err
			}
			if f.Until, err = parseTime(to, p.Timezone.Location); err != nil {
				return err
			}
			// A head over everything that is there, if an executor runs that can sign one.
			if remote, err := console.Connect(c.Context(), p.State.Socket()); err == nil {
				if _, err := remote.Head(c.Context()); err != nil {
					return err
				}
			}
			r, err := openLedger(c.Context(), p, "")
			if err != nil {
				return err
			}
			if r == nil {
				return errNoLedger
			}
			err = writeWhole(files[0], func(w io.Writer) error { return a.exportTo(c.Context(), w, p, r, f) })
			if err = errors.Join(err, r.Close()); err == nil {
				a.print("wrote %s", files[0])
			}
			return err
		},
	}
	c.Flags().StringVar(&from, "from", "", "only from this `time` on; a day counts from its beginning")
	c.Flags().StringVar(&to, "to", "", "only before this `time`; a day counts to its end")
	return c
}

// exportTo writes an export of the times that f names, or of everything.
func (a *app) exportTo(ctx context.Context, w io.Writer, p policies.Policy, r *ledger.Reader, f ledger.Filter) error {
	keys, err := publicKeys(p)
	if err != nil {
		return err
	}
	after, last, err := r.Part(ctx, f)
	if err != nil {
		return err
	}
	h, err := r.Behind(ctx, a.exportHeader(p), after)
	if err != nil {
		return err
	}
	x, err := proof.NewWriter(w, h, keys...)
	if err != nil {
		return err
	}
	if err := exportWhole(ctx, x, r, last); err != nil {
		return errors.Join(err, x.Abort())
	}
	return x.Close()
}

func (a *app) exportHeader(p policies.Policy) proof.Header {
	return proof.Header{Site: p.Site, Made: time.Now(), By: "airlock " + a.version}
}

// publicKeys are the site's, which signs heads, and those of its vaults' hosts, which
// sign receipts.
func publicKeys(p policies.Policy) ([]string, error) {
	key, err := os.ReadFile(publicKeyFile(p))
	if err != nil {
		return nil, fmt.Errorf("the site's public key: %w", err)
	}
	keys := []string{string(bytes.TrimSpace(key))}
	for _, name := range slices.Sorted(maps.Keys(p.Vaults)) {
		if key := p.Vaults[name].ReceiptKey; key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// exportWhole writes what belongs into an export up to entry last.
func exportWhole(ctx context.Context, x *proof.Writer, r *ledger.Reader, last int64) error {
	if err := r.ExportUpTo(ctx, x, last); err != nil {
		return err
	}
	all, err := r.Stamps(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Head.Size < x.After() || s.Head.Size > last {
			continue // of a head that is not in this part
		}
		if err := x.Stamp(s); err != nil {
			return err
		}
	}
	return nil
}
