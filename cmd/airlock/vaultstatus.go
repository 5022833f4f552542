package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"airlock/orchestrator"
	"airlock/policies"
	"airlock/vault/server"

	"github.com/spf13/cobra"
)

func (a *app) vaultCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the vault's policy file, its folder, keys, clock and room, and say what to do",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.vaultPolicy()
			if err != nil {
				return err
			}
			found := append(a.exposedHost(p), server.Examine(p.Folder, p.State)...)
			if !wrong(found) {
				err = a.hosting(c, func(ctx context.Context, p *policies.VaultHost, h *server.Host) error {
					st, err := h.Status(ctx)
					found = append(found, sameFolder(st), listening(p, st), roomOf(st))
					return err
				})
				if err != nil {
					return err
				}
			}
			return a.printExamined(p, found)
		},
	}
	a.jsonFlag(c)
	return c
}

func wrong(found []server.Finding) bool {
	for _, f := range found {
		if f.Fix != "" {
			return true
		}
	}
	return false
}

// sameFolder is whether the folder is the one that the vault's state knows.
func sameFolder(st server.Status) server.Finding {
	f := server.Finding{What: "folder", Text: "it holds what the state knows"}
	if st.Another != "" {
		f.Text, f.Fix = st.Another, "mount its disk; if it was replaced: airlock vault serve --replaced, once, and then a window with --replaced"
	}
	return f
}

// listening is whether the vault is served, or could be.
func listening(p *policies.VaultHost, st server.Status) server.Finding {
	f := server.Finding{What: "listen", Text: p.Listen}
	if st.Served {
		return f
	}
	l, err := net.Listen("tcp", p.Listen)
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		f.Text, f.Fix = err.Error(), "write an address of this host in listen, have no other server on that port (sshd, perhaps), and for a port below 1024 let the service bind it"
	}
	return f
}

func roomOf(st server.Status) server.Finding {
	f := server.Finding{What: "room", Text: string(orchestrator.Size(st.Room))}
	if st.Room == 0 {
		f.Fix = "airlock vault prune says what takes the room, and what to do"
	}
	return f
}

func (a *app) printExamined(p *policies.VaultHost, found []server.Finding) error {
	failed := 0
	var t table
	for _, f := range found {
		mark := "ok"
		if f.Fix != "" {
			mark = "FAILED"
			failed++
		}
		t.row(a.words.tell(mark), f.What, a.words.tell(f.Text))
		if f.Fix != "" {
			t.row("", "", a.words.tell(f.Fix))
		}
	}
	if a.json {
		if err := a.printJSON(map[string]any{"found": found, "remarks": p.Remarks()}); err != nil {
			return err
		}
	} else {
		a.printRemarks(p.Remarks())
		if err := t.print(a.out, ""); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d are not as they must be", failed, len(found))
	}
	return nil
}

func (a *app) vaultStatusCommand() *cobra.Command {
	var nagios bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how the vault stands: generations, room, last arrival, what a person must look at",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var st server.Status
			err := a.hosting(c, func(ctx context.Context, _ *policies.VaultHost, h *server.Host) (err error) {
				st, err = h.Status(ctx)
				return err
			})
			switch {
			case err != nil && nagios:
				fmt.Fprintf(a.out, "AIRLOCK VAULT UNKNOWN - %s\n", oneLine(err.Error()))
				return exitStatus(3)
			case err != nil:
				return err
			case nagios:
				return a.nagiosVault(st)
			case a.json:
				return a.printJSON(st)
			}
			return a.printVaultStatus(st)
		},
	}
	a.jsonFlag(c)
	c.Flags().BoolVar(&nagios, "nagios", false, "print one line and exit with Nagios' codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN")
	return c
}

// nagiosVault prints one line in the form of the Nagios plug-in guidelines.
func (a *app) nagiosVault(st server.Status) error {
	code, text := 0, fmt.Sprintf("%d generations, the newest %d of %s", st.Generations, st.Newest, st.Arrived.Format(timeLayout))
	if len(st.Wrong) > 0 {
		code, text = 1, oneLine(strings.Join(st.Wrong, "; "))
	}
	if st.Grave {
		code = 2
	}
	text = strings.ReplaceAll(text, "|", "/")
	fmt.Fprintf(a.out, "AIRLOCK VAULT %s - %s | generations=%d bytes=%dB room=%dB\n", [...]string{"OK", "WARNING", "CRITICAL"}[code], text, st.Generations, st.Bytes, st.Room)
	if code == 0 {
		return nil
	}
	return exitStatus(code)
}

func (a *app) printVaultStatus(st server.Status) error {
	var t table
	served := a.text("served")
	if !st.Served {
		served = a.text("NOT SERVED")
	}
	t.row(a.text("Vault"), st.Vault+", "+served)
	t.row(a.text("Generations"), st.Generations)
	if st.Newest > 0 {
		t.row(a.text("Newest"), a.text("generation %d, arrived %s", st.Newest, st.Arrived.Format(timeLayout)))
	}
	t.row(a.text("Room"), a.text("%s lie here, %s may still come", orchestrator.Size(st.Bytes), orchestrator.Size(st.Room)))
	if st.Waiting.Files > 0 {
		t.row(a.text("Waiting"), a.text("%s, %s, since generation %d", a.count(st.Waiting.Files, "%d file", "%d files"), orchestrator.Size(st.Waiting.Bytes), st.Waiting.Since))
	}
	if !st.Verified.IsZero() {
		t.row(a.text("Verified"), st.Verified.Format(timeLayout))
	}
	err := t.print(a.out, "")
	for _, what := range st.Wrong {
		a.print("! %s", a.words.tell(what))
	}
	for _, what := range st.Alarms {
		a.print("ALARM %s", what)
	}
	if st.Grave {
		err = errors.Join(err, fmt.Errorf("the vault needs a person: %s", st.Wrong[0]))
	}
	return err
}
