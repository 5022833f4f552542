package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"airlock/orchestrator"
	"airlock/policies"
	"airlock/switchctl"

	"github.com/spf13/cobra"
)

// portRow is a switch port as people and programs are shown it.
type portRow struct {
	Index       int     `json:"index"`
	Name        string  `json:"name"`
	Alias       string  `json:"alias"`
	Description string  `json:"description"`
	Type        int     `json:"type"` // ifType
	Admin       string  `json:"admin"`
	Oper        string  `json:"oper"`
	Speed       uint64  `json:"speed"`       // bit/s
	LastChange  float64 `json:"last_change"` // seconds of the switch's uptime
	Door        string  `json:"door,omitempty"`
}

func (a *app) portsCommand() *cobra.Command {
	var find []string
	c := &cobra.Command{
		Use:   "ports SWITCH",
		Short: "Show a switch's ports as airlock sees them, and which door uses which",
		Long: "Show a switch's ports as airlock sees them, and which door uses which. With --find it does exactly the lookup that a door would do: " +
			"every key that is given (name=, alias=, description=, index=) must match one and the same physical port.",
		Example:           "  airlock ports core\n  airlock ports core --find name=p3 --find alias=vault",
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.switchNames,
		RunE: func(c *cobra.Command, args []string) error {
			p, err := a.policy()
			if err != nil {
				return err
			}
			s := p.Switches[args[0]]
			if s == nil {
				return fmt.Errorf("switch %q is %w; it has %s", args[0], orchestrator.ErrUnknown, strings.Join(keys(p.Switches), ", "))
			}
			ctx, cancel := context.WithTimeout(c.Context(), 2*time.Minute)
			defer cancel()
			if !c.Flags().Changed("find") {
				if len(args) > 1 {
					return fmt.Errorf("%w: %s: give keys with --find", errUsage, strings.Join(args[1:], " "))
				}
				return a.listPorts(ctx, p, args[0])
			}
			l, err := parseLookup(append(find, args[1:]...))
			if err != nil {
				return err
			}
			return a.findPort(ctx, p, args[0], l)
		},
	}
	a.jsonFlag(c)
	c.Flags().StringArrayVar(&find, "find", nil, "`KEY=VALUE` of the one port meant: name, alias, description, index; may be repeated")
	return c
}

// parseLookup reads the keys of a lookup.
func parseLookup(pairs []string) (switchctl.Lookup, error) {
	var l switchctl.Lookup
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || value == "" {
			return l, fmt.Errorf("%w: %q is not KEY=VALUE", errUsage, pair)
		}
		switch key {
		case "name":
			l.Name = value
		case "alias":
			l.Alias = value
		case "description":
			l.Description = value
		case "index":
			n, err := strconv.Atoi(value)
			if err != nil || n <= 0 {
				return l, fmt.Errorf("%w: index=%s is no ifIndex", errUsage, value)
			}
			l.Index = n
		default:
			return l, fmt.Errorf("%w: %q is none of name, alias, description, index", errUsage, key)
		}
	}
	return l, nil
}

func (a *app) findPort(ctx context.Context, p policies.Policy, name string, l switchctl.Lookup) error {
	r, err := readPort(ctx, *p.Switches[name], l)
	if err != nil {
		return err
	}
	rows, err := readRows(ctx, *p.Switches[name])
	if err != nil {
		return err
	}
	row := describePort(r.Row, a.doorsOf(p, name, rows)[r.Row.Index])
	if a.json {
		return a.printJSON(row)
	}
	return a.printPorts([]portRow{row})
}

func (a *app) listPorts(ctx context.Context, p policies.Policy, name string) error {
	rows, err := readRows(ctx, *p.Switches[name])
	if err != nil {
		return err
	}
	doors := a.doorsOf(p, name, rows)
	list := make([]portRow, len(rows))
	for i, r := range rows {
		list[i] = describePort(r, doors[r.Index])
	}
	if a.json {
		return a.printJSON(list)
	}
	return a.printPorts(list)
}

func readRows(ctx context.Context, s policies.Switch) ([]switchctl.Row, error) {
	sw, err := readSwitch(ctx, s)
	if err != nil {
		return nil, err
	}
	rows, err := sw.Rows(ctx)
	return rows, errors.Join(err, sw.Close())
}

// doorsOf says which door is which port of a switch, by ifIndex. A door that finds no
// port is told of.
func (a *app) doorsOf(p policies.Policy, name string, rows []switchctl.Row) map[int]string {
	doors := map[int]string{}
	for _, door := range keys(p.Doors) {
		d := p.Doors[door]
		port := d.Port
		switch name {
		case d.Switch:
		case d.Fallback:
			port = d.FallbackPort
		default:
			continue
		}
		row, err := switchctl.Lookup(port).Match(rows)
		if err != nil {
			fmt.Fprintf(a.errs, "door %s: %s\n", door, plain(err.Error()))
			continue
		}
		doors[row.Index] = door
	}
	return doors
}

func describePort(r switchctl.Row, door string) portRow {
	return portRow{r.Index, r.Name, r.Alias, r.Description, r.Type, adminWord(r.Admin), operWord(r.Oper), r.Speed, r.LastChange.Seconds(), door}
}

func (a *app) printPorts(rows []portRow) error {
	var t table
	a.heading(&t, "INDEX", "NAME", "ALIAS", "DESCRIPTION", "TYPE", "ADMIN", "OPER", "SPEED", "CHANGED AT UPTIME", "DOOR")
	for _, r := range rows {
		t.row(r.Index, r.Name, r.Alias, r.Description, strings.TrimSpace(fmt.Sprintf("%d %s", r.Type, switchctl.TypeName(r.Type))), r.Admin, r.Oper,
			speedWord(r.Speed), time.Duration(r.LastChange)*time.Second, r.Door)
	}
	return t.print(a.out, "")
}

func speedWord(bits uint64) string {
	if bits == 0 {
		return ""
	}
	return strings.TrimSuffix(orchestrator.Size(int64(bits)), "B") + "bit/s"
}

func adminWord(s switchctl.Admin) string {
	switch s {
	case switchctl.AdminUp:
		return "up"
	case switchctl.AdminDown:
		return "down"
	case switchctl.AdminTesting:
		return "testing"
	}
	return "unknown"
}

func operWord(s switchctl.Oper) string {
	words := map[switchctl.Oper]string{
		switchctl.OperUp: "up", switchctl.OperDown: "down", switchctl.OperTesting: "testing", switchctl.OperUnknown: "unknown",
		switchctl.OperDormant: "dormant", switchctl.OperNotPresent: "notPresent", switchctl.OperLowerLayerDown: "lowerLayerDown",
	}
	if word := words[s]; word != "" {
		return word
	}
	return "not read"
}
