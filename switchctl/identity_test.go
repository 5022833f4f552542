package switchctl

import "testing"

// S6, S7: one switch by two names, addresses or drivers is one switch; two switches are two,
// whatever a maker delivers them with.
func TestSame(t *testing.T) {
	engine := Identity{Address: "10.0.0.1:161", Name: "core", Engine: "8000"}
	for name, c := range map[string]struct {
		a, b Identity
		want bool
	}{
		"another address of it":            {engine, Identity{Address: "10.9.0.1:161", Name: "core", Engine: "8000"}, true},
		"by its command line":              {engine, Identity{Address: "10.0.0.1:22", Name: "core", HostKey: "k"}, true},
		"by its command line, elsewhere":   {engine, Identity{Address: "10.9.0.1:22", Name: "Core.hospital.local", HostKey: "k"}, true},
		"its engine made anew":             {engine, Identity{Address: "10.0.0.1:161", Name: "core", Engine: "8001"}, true},
		"nothing told, the same host":      {Identity{Address: "10.0.0.1:161"}, Identity{Address: "10.0.0.1:22"}, true},
		"one MAC":                          {Identity{Address: "a:1", MAC: "m", Name: "x"}, Identity{Address: "b:1", MAC: "m", Name: "y"}, true},
		"one key, one name":                {Identity{Address: "a:22", Name: "core", HostKey: "k"}, Identity{Address: "b:22", Name: "core", HostKey: "k"}, true},
		"another key of it":                {Identity{Address: "a:22", Name: "core", HostKey: "k"}, Identity{Address: "b:22", Name: "core", HostKey: "l"}, true},
		"another switch":                   {engine, Identity{Address: "10.0.0.2:161", Name: "edge", Engine: "8002"}, false},
		"another switch of one name":       {engine, Identity{Address: "10.0.0.2:161", Name: "core", Engine: "8002"}, false},
		"an engine ID that many have":      {engine, Identity{Address: "10.0.0.2:161", Name: "edge", Engine: "8000"}, false},
		"another MAC, one engine":          {Identity{Address: "a:1", MAC: "m", Engine: "8000"}, Identity{Address: "b:1", MAC: "n", Engine: "8000"}, false},
		"another switch at the address":    {engine, Identity{Address: "10.0.0.1:161", Name: "edge", Engine: "8002"}, false},
		"nothing told, other hosts":        {Identity{Address: "10.0.0.1:161"}, Identity{Address: "10.0.0.2:161"}, false},
		"nothing told, on this machine":    {Identity{Address: "127.0.0.1:1161"}, Identity{Address: "127.0.0.1:1162"}, false},
		"keys that many have, other names": {Identity{Address: "a:22", Name: "core", HostKey: "k"}, Identity{Address: "b:22", Name: "edge", HostKey: "k"}, false},
	} {
		if got, back := c.a.Same(c.b), c.b.Same(c.a); got != c.want || back != c.want {
			t.Errorf("%s: %t, and the other way round %t; want %t", name, got, back, c.want)
		}
	}
}
