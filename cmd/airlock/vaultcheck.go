package main

import (
	"context"
	"fmt"
	"net"

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
