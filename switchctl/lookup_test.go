package switchctl

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func row(index int, name, alias, description string) Row {
	return Row{Index: index, Name: name, Alias: alias, Description: description, Type: 6}
}

func typed(r Row, ifType int) Row { r.Type = ifType; return r }

// S7: it is resolved at every use to exactly one row by name, its expected description
// is compared, and an aggregate, stack or VLAN interface is refused.
func TestMatch(t *testing.T) {
	plain := []Row{row(1, "p1", "", "p1"), row(2, "p2", "", "p2"), row(3, "p3", "vault", "p3")}
	// AlliedWare Plus 5.4.7: ifAlias empty, the user's description in ifDescr.
	awplus := []Row{row(5009, "port1.0.9", "", "vault"), row(5010, "port1.0.10", "", "Vlan10"), typed(row(4601, "po1", "", "vault"), 1)}
	fortiswitch := []Row{row(9, "port9", "port9", ""), row(10, "port10", "port10", "")}
	repeated := []Row{row(1, "Gi0", "a", "x"), row(2, "Gi0", "b", "y"), row(3, "g3", "", "Ethernet Interface"), row(4, "g4", "", "Ethernet Interface")}
	crossed := []Row{row(1, "1", "", "2"), row(2, "2", "", "3"), row(3, "3", "", "1")}
	nameless := []Row{row(101, "", "", "RMON Port 01 on unit 1"), row(102, "", "", "RMON Port 02 on unit 1")}
	sparse := []Row{row(1276379648, "0/1", "", ""), row(7, "0/2", "", "")}
	same := []Row{typed(row(1, "x", "", ""), 161), row(2, "x", "", "")}

	for _, c := range []struct {
		name string
		rows []Row
		ask  Lookup
		want int // index
		err  error
		says string
	}{
		{"by name", plain, Lookup{Name: "p3"}, 3, nil, ""},
		{"by alias", plain, Lookup{Alias: "vault"}, 3, nil, ""},
		{"by description", plain, Lookup{Description: "p2"}, 2, nil, ""},
		{"by index", plain, Lookup{Index: 2}, 2, nil, ""},
		{"by everything", plain, Lookup{"p3", "vault", "p3", 3}, 3, nil, ""},
		{"a typed space in the policy file", plain, Lookup{Name: " p3 "}, 3, nil, ""},
		{"no key", plain, Lookup{}, 0, ErrNoMatch, "no key given"},
		{"a key of spaces is no key", plain, Lookup{Name: " \t"}, 0, ErrNoMatch, "no key given"},
		{"negative index", plain, Lookup{Index: -1}, 0, ErrNoMatch, "1 or more"},
		{"unknown name, near one", plain, Lookup{Name: "P3"}, 0, ErrNoMatch, `near it are (index 3 name "p3"`},
		{"unknown name, far from all", plain, Lookup{Name: "GigabitEthernet1"}, 0, ErrNoMatch, "airlock ports"},
		{"the other column", plain, Lookup{Name: "vault"}, 0, ErrNoMatch, "ask by alias"},
		{"another description", plain, Lookup{Name: "p3", Alias: "lobby"}, 0, ErrNoMatch, `name "p3" is (index 3`},
		{"keys of two rows", plain, Lookup{Name: "p3", Index: 2}, 0, ErrNoMatch, "index 2 is (index 2"},
		{"unknown index", plain, Lookup{Index: 9}, 0, ErrNoMatch, "a name is safer"},
		{"empty table", nil, Lookup{Name: "p3"}, 0, ErrNoMatch, "read access to ifTable"},
		{"user's text in ifDescr", awplus, Lookup{Description: "vault"}, 0, ErrAmbiguous, "port1.0.9"},
		{"told apart by a second key", awplus, Lookup{Name: "port1.0.9", Description: "vault"}, 5009, nil, ""},
		{"user's text that looks like a VLAN", awplus, Lookup{Name: "port1.0.10"}, 5010, nil, ""},
		{"no alias anywhere", awplus, Lookup{Alias: "vault"}, 0, ErrNoMatch, "gives no ifAlias"},
		{"aggregate of type other", awplus, Lookup{Name: "po1"}, 0, ErrNotPhysical, "ifType 1 (other)"},
		{"alias is the name", fortiswitch, Lookup{Alias: "port9"}, 9, nil, ""},
		{"repeated name", repeated, Lookup{Name: "Gi0"}, 0, ErrAmbiguous, "index 2"},
		{"repeated name, told apart", repeated, Lookup{Name: "Gi0", Alias: "b"}, 2, nil, ""},
		{"repeated description", repeated, Lookup{Description: "Ethernet Interface"}, 0, ErrAmbiguous, ""},
		{"port 1's name is port 3's description", crossed, Lookup{Name: "1"}, 1, nil, ""},
		{"port 3's description is port 1's name", crossed, Lookup{Description: "1"}, 3, nil, ""},
		{"no ifName at all", nameless, Lookup{Name: "RMON Port 01 on unit 1"}, 0, ErrNoMatch, "gives no ifName"},
		{"no ifName, by description", nameless, Lookup{Description: "RMON Port 01 on unit 1"}, 101, nil, ""},
		{"index beyond 2^30", sparse, Lookup{Index: 1276379648}, 1276379648, nil, ""},
		{"one of two is an aggregate", same, Lookup{Name: "x"}, 0, ErrAmbiguous, ""},
		{"the aggregate of two", same, Lookup{Name: "x", Index: 1}, 0, ErrNotPhysical, "ieee8023adLag"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.ask.Match(c.rows)
			if !errors.Is(err, c.err) || got.Index != c.want {
				t.Fatalf("Match(%s) = index %d, %v; want index %d, %v", c.ask, got.Index, err, c.want, c.err)
			}
			if c.says != "" && !strings.Contains(err.Error(), c.says) {
				t.Errorf("Match(%s) says %q, without %q", c.ask, err, c.says)
			}
		})
	}
}

// S7: an aggregate, stack or VLAN interface is refused. The names and types are from
// recorded tables; many agents give type 6 to all of them.
func TestNotPhysical(t *testing.T) {
	for _, c := range []struct {
		ifType            int
		name, description string
		ok                bool
	}{
		{6, "p3", "p3", true},
		{6, "port1.0.9", "Link-to-C1-X510-STK", true},
		{6, "Gi1/0/1", "GigabitEthernet1/0/1", true},
		{6, "1/1/1:1", "1/1/1:1", true},
		{6, "1", "Trunk to vault", true},
		{6, "0/1", "Slot: 0 Port: 1 Gigabit - Level", true},
		{6, "swp1", "swp1", true},
		{6, "ap1", "ap1", true},
		{6, "P1.1", "Siemens, SIMATIC NET, Ethernet Port, X1 P1", true},
		{6, "eth0", "eth0", true},
		{6, "mgatebackup", "", true},
		{7, "1", "", true}, {26, "1", "", true}, {62, "e1", "", true}, {69, "1", "", true}, {117, "1/1", "", true},
		{0, "p3", "", false},
		{1, "po1", "", false}, {24, "lo", "", false}, {53, "Vl10", "Vlan10", false}, {54, "Trk1", "", false},
		{131, "tunnel1", "", false}, {135, "VLAN1", "", false}, {136, "v1", "", false}, {161, "lag1", "", false},
		{209, "brtrunk", "", false}, {250, "x", "", false}, {99999, "x", "", false}, {-1, "x", "", false},
		{6, "Vlan10", "", false}, {6, "vlan100", "vlan100", false}, {6, "Vlan-interface1", "", false}, {6, "", "VLAN-IF1", false},
		{6, "Port-channel1", "", false}, {6, "Po1", "", false}, {6, "po 3", "", false}, {6, "port-channel 1", "", false},
		{6, "ae0", "", false}, {6, "lag1", "", false}, {6, "Trk1", "", false}, {6, "Bridge-Aggregation1", "", false},
		{6, "Eth-Trunk1", "", false}, {6, "bond0", "", false}, {6, "ch1", "Ethernet Interface", false},
		{6, "0/3/1", "Link Aggregate 1", false}, {6, "1/1/1", "Alcatel-Lucent OS6900 XNI VFL 1/1/1", false},
		{6, "stack-port1", "", false}, {6, "StackPort1", "", false}, {6, "Stack-Port1/1", "", false},
		{6, "lo", "", false}, {6, "loopback", "", false}, {6, "dummy0", "", false}, {6, "br-lan", "", false}, {6, "br0", "", false},
		{6, "mgmt0", "", false}, {6, "mgmt", "", false}, {6, "MgmtEth0/RSP0/CPU0/0", "", false}, {6, "oob", "", false},
		{6, "MEth0/0/1", "", false}, {6, "fxp0", "", false}, {6, "CPU", "", false}, {6, "Console1", "", false},
		{6, "ge-0/0/0.0", "", false}, {6, "eth0.100", "", false}, {6, "gretap0", "", false},

		// free text in ifDescr, in which a slash, a dot and a maker's word say nothing
		{6, "1/7", "Example Works EW-2400-24T/SE V2.05.003 Port 7", true}, {6, "7", "EW-2400/B1.2 Port 7", true},
		{6, "1:7", "Unit 1 Port 7: 10G - Level", true}, {6, "7", "Ethernet Interface", true}, {6, "", "Ethernet Interface", true},
		{6, "", "RMON:10/100.5 Port 7 on unit 1", true}, {6, "", "Example, Hospital Series, GigabitEthernet0/0/7", true},
		{6, "7", "Switch 2 Port 7", true}, {6, "", "Stack 2 Port 7", true}, {6, "7", "VLAN 10 for the imaging systems", true},
		{6, "7", "LAG 1/2.0 to the core", true}, {6, "7", "Trunk", true}, {6, "7", "Port 7 (VLAN 12)", true},
		{6, "", "Port 7 on EW-2400 (VLAN 12)", true}, {6, "port1.0.7", "vlan10", true}, {6, "port1.0.7", "bond0", true},
		{6, "port 7: Gigabit Copper", "", true}, {6, "ge.1.7", "", true}, {6, "gei-1/2/1/7", "gei-1/2/1/7 WLAN-9", true},
		// and what is no port whatever its ifType says
		{6, "1/7.100", "Example Works EW-2400-24T/SE V2.05.003", false}, {6, "", "Example, Hospital Series, Vlanif10", false},
		{6, "", "Example, Hospital Series, GigabitEthernet0/0/7.20", false}, {6, "TenGigabitEthernet 1/7.20", "", false},
		{6, "swp7.20", "", false}, {6, "enp3s0.20", "", false}, {6, "Gi0/7.SI.20", "", false}, {6, "Gi0/7--Uncontrolled", "", false},
		{6, "0/5/1", "CPU Interface for Unit: 5 Slot: 0 Port: 1", false}, {6, "10", "VLAN 10", false}, {6, "10", "vlan10", false},
		{6, "", "vlan10 MGMT", false}, {6, "", "Management Port 192.0.2.7   on unit 1", false}, {6, "0/7", "Dynamic Aggregate Number 7 ref 40000007 size 2", false},
		{6, "L3VLAN 10", "", false}, {6, "10", "802.1Q Encapsulation Tag 0010", false}, {6, "sa1", "", false}, {6, "Trunk7", "", false},
		{6, "BD7", "BDI7", false}, {6, "Bl0/4", "Bluetooth0/4", false}, {6, "Ap1/0/1", "AppGigabitEthernet1/0/1", false},
		{6, "lag.0.1", "", false}, {6, "host.0.1", "", false}, {6, "re0:mgmt-0", "", false}, {6, "Stacking Port 1/A", "", false},
	} {
		r := Row{Index: 1, Name: c.name, Description: c.description, Type: c.ifType}
		if _, err := (Lookup{Index: 1}).Match([]Row{r}); (err == nil) != c.ok || !c.ok && !errors.Is(err, ErrNotPhysical) {
			t.Errorf("type %d name %q description %q: %v, want accepted %v", c.ifType, c.name, c.description, err, c.ok)
		}
	}
}

// TestSubInterfaceByItsParent: a name with a dot is a part of the port before the dot
// where the table has that port, and a port of its own where it has not (S7).
func TestSubInterfaceByItsParent(t *testing.T) {
	for _, name := range []string{"lan1", "P1", "te-1/0/1"} {
		for _, test := range []struct {
			parent Row
			ok     bool
		}{{Row{Index: 1, Name: name, Type: 6}, false}, {Row{Index: 1, Description: name, Type: 6}, false}, {Row{Index: 1, Name: name + ".2", Type: 6}, true}} {
			if name == "te-1/0/1" && test.ok {
				continue // has a unit's form
			}
			rows := []Row{test.parent, {Index: 2, Name: name + ".1", Type: 6}}
			if _, err := (Lookup{Index: 2}).Match(rows); (err == nil) != test.ok || !test.ok && !errors.Is(err, ErrNotPhysical) {
				t.Errorf("%s.1 beside %+v: %v, want accepted %v", name, test.parent, err, test.ok)
			}
		}
	}
}

// FuzzTextNeverDecides: where ifName is a name, neither text of several words in ifDescr
// nor anything in ifAlias changes what is refused (S7).
func FuzzTextNeverDecides(f *testing.F) {
	for _, name := range []string{"Gi1/0/7", "port1.0.7", "Po1", "vlan10", "ge-0/0/7.0", "P1.7", "mgmt0"} {
		f.Add(name, "Maker X-24/SE R1.10 Port 7", "VLAN 10, LAG1")
		f.Add(name, "Link Aggregate 1", "loopback")
	}
	f.Fuzz(func(t *testing.T, name, description, alias string) {
		bare := Row{Index: 7, Name: Normalise([]byte(name)), Type: 6}
		told := bare
		told.Description, told.Alias = Normalise([]byte(description)), Normalise([]byte(alias))
		if !strings.ContainsFunc(bare.Name, unicode.IsLetter) || len(strings.Fields(told.Description)) < 2 {
			t.Skip("another kind of row")
		}
		if without, with := notPhysical(bare, []Row{bare}), notPhysical(told, []Row{told}); without != with {
			t.Errorf("%+v: %q, with its texts %q", told, without, with)
		}
	})
}

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{
		"p3":                      "p3",
		" p3 \r\n":                "p3",
		"p3\x00\x00":              "p3",
		`"Port 1"`:                "Port 1",
		"' p3'":                   "p3",
		`Rack "B"`:                `Rack "B"`,
		`5"`:                      `5"`,
		"47 69 31":                "Gi1",
		"47:69:31:00":             "Gi1",
		"0x476931":                "Gi1",
		`"47 69 31 "`:             "Gi1",
		"10 20 30":                "10 20 30",
		"1/1/1":                   "1/1/1",
		"12:34":                   "12:34",
		"医事":                      "医事",
		"\x93\xfa":                "\x93\xfa", // not UTF-8: kept as it is
		"Gi1/0/1":                 "Gi1/0/1",
		"":                        "",
		"\x00":                    "",
		"E5 8C BB E4 BA 8B":       "医事",
		"0x":                      "0x",
		"Uplink rox\n2D 31 00 ":   "Uplink rox\n2D 31 00",
		"Ethernet Interface \x00": "Ethernet Interface",
	} {
		if got := Normalise([]byte(in)); got != want {
			t.Errorf("Normalise(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNormaliseIsIdempotent(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching("[ \"'\\x00]*(0x)?([0-9A-F]{2}[ :]?){0,6}[ \"'\n]*"))
	rapid.Check(t, func(t *rapid.T) {
		once := Normalise([]byte(text.Draw(t, "text")))
		if twice := Normalise([]byte(once)); twice != once {
			t.Fatalf("first %q, then %q", once, twice)
		}
	})
}

// few words and types, so that rows collide often
func genRows() *rapid.Generator[[]Row] {
	word := rapid.SampledFrom([]string{"", "1", "2", "p1", "p2", "P1", "uplink", "Vlan1", "Ethernet Interface"})
	one := rapid.Custom(func(t *rapid.T) Row {
		return Row{Index: rapid.IntRange(1, 6).Draw(t, "index"), Name: word.Draw(t, "name"), Alias: word.Draw(t, "alias"),
			Description: word.Draw(t, "description"), Type: rapid.SampledFrom([]int{0, 1, 6, 6, 6, 117, 161}).Draw(t, "type")}
	})
	return rapid.SliceOfN(one, 0, 8)
}

func genLookup() *rapid.Generator[Lookup] {
	return rapid.Custom(func(t *rapid.T) Lookup {
		word := rapid.SampledFrom([]string{"", "", "1", "p1", "p2", "uplink", "Vlan1", "Ethernet Interface", " p1"})
		return Lookup{word.Draw(t, "name"), word.Draw(t, "alias"), word.Draw(t, "description"), rapid.IntRange(0, 6).Draw(t, "index")}
	})
}

// S7: no match, two matches, or another description: nothing is sent. So whatever the
// rows, an answer is a row that has every key asked for, and that no other row has.
func TestMatchAnswersOnlyTheOneRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, ask := genRows().Draw(t, "rows"), genLookup().Draw(t, "ask")
		has := func(r Row) bool {
			return (ask.Name == "" || r.Name == strings.TrimSpace(ask.Name)) && (ask.Alias == "" || r.Alias == strings.TrimSpace(ask.Alias)) &&
				(ask.Description == "" || r.Description == strings.TrimSpace(ask.Description)) && (ask.Index == 0 || r.Index == ask.Index)
		}
		var matches []Row
		for _, r := range rows {
			if ask != (Lookup{}) && has(r) {
				matches = append(matches, r)
			}
		}
		got, err := ask.Match(rows)
		switch {
		case len(matches) == 0 && !errors.Is(err, ErrNoMatch), len(matches) > 1 && !errors.Is(err, ErrAmbiguous):
			t.Fatalf("%d rows match, but: %+v, %v", len(matches), got, err)
		case len(matches) == 1 && err == nil && got != matches[0]:
			t.Fatalf("got %+v instead of %+v", got, matches[0])
		case len(matches) == 1 && err != nil && !errors.Is(err, ErrNotPhysical):
			t.Fatalf("one row matches, but: %v", err)
		case err == nil && (got.Type != 6 && got.Type != 117 || got.Name == "Vlan1"):
			t.Fatalf("not a port: %+v", got)
		case err != nil && got != Row{}:
			t.Fatalf("an error and a row: %+v, %v", got, err)
		}
	})
}

// S7: only the configured port is ever changed. A row that took the place of the one
// found is told by what was asked for, its name and its type.
func TestMoved(t *testing.T) {
	found := row(7, "p3", "vault", "p3")
	nameless := row(7, "", "", "Port 3")
	for _, c := range []struct {
		name       string
		ask        Lookup
		found, now Row
		moved      bool
	}{
		{"same", Lookup{Name: "p3"}, found, found, false},
		{"other state", Lookup{Name: "p3"}, found, Row{Index: 7, Name: "p3", Alias: "vault", Description: "p3", Type: 6, Admin: AdminDown, LastChange: 9}, false},
		{"another name", Lookup{Name: "p3"}, found, row(7, "p4", "vault", "p3"), true},
		{"another name, asked by index", Lookup{Index: 7}, found, row(7, "p4", "vault", "p3"), true},
		{"another type", Lookup{Name: "p3"}, found, typed(found, 161), true},
		{"another index", Lookup{Name: "p3"}, found, row(8, "p3", "vault", "p3"), true},
		{"a text that was not asked for", Lookup{Name: "p3"}, found, row(7, "p3", "edited", "edited"), false},
		{"the alias that was asked for", Lookup{Name: "p3", Alias: "vault"}, found, row(7, "p3", "edited", "p3"), true},
		{"the description that was asked for", Lookup{Description: "p3"}, found, row(7, "p3", "vault", "edited"), true},
		{"nameless, another description", Lookup{Index: 7}, nameless, row(7, "", "", "Port 4"), true},
		{"nameless, the same", Lookup{Index: 7}, nameless, nameless, false},
	} {
		if err := c.ask.Moved(c.found, c.now); errors.Is(err, ErrMoved) != c.moved || (err != nil) != c.moved {
			t.Errorf("%s: %v, want moved %v", c.name, err, c.moved)
		}
	}
}

func ExampleLookup_Match() {
	rows := []Row{{Index: 3, Name: "p3", Type: 6}, {Index: 4, Name: "p33", Type: 6}, {Index: 5, Name: "Po1", Type: 161}}
	for _, ask := range []Lookup{{Name: "p3"}, {Name: "P3"}, {Name: "Po1"}} {
		r, err := ask.Match(rows)
		fmt.Println(r.Index, err)
	}
	// Output:
	// 3 <nil>
	// 0 look up port name "P3": no port matches: no interface has name "P3"; near it are (index 3 name "p3"), (index 4 name "p33")
	// 0 look up port name "Po1": not a physical port: (index 5 name "Po1") has ifType 161 (ieee8023adLag), not a physical Ethernet type; name the physical port itself
}
