package switchctl

import (
	"bytes"
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestMatchOnRecordedWalks asks for every row of every recorded switch by each of its
// keys: the answer is that row or a refusal, never another row (S7).
// AIRLOCK_SWITCHDATA names the folder that holds snmp/*.snmprec.
func TestMatchOnRecordedWalks(t *testing.T) {
	folder := os.Getenv("AIRLOCK_SWITCHDATA")
	if folder == "" {
		t.Skip("AIRLOCK_SWITCHDATA is not set: no recorded walks here")
	}
	walks, err := filepath.Glob(filepath.Join(folder, "snmp", "*.snmprec"))
	if err != nil || len(walks) == 0 {
		t.Fatalf("no walks in %s: %v", folder, err)
	}
	asked, answered, ports := 0, 0, 0
	for _, walk := range walks {
		rows := readWalk(t, walk)
		for _, r := range rows {
			if notPhysical(r, rows) == "" {
				ports++
			}
			for _, ask := range []Lookup{{Name: r.Name}, {Alias: r.Alias}, {Description: r.Description}, {Index: r.Index}, {r.Name, r.Alias, r.Description, r.Index}} {
				if ask == (Lookup{}) {
					continue
				}
				asked++
				got, err := ask.Match(rows)
				switch {
				case err == nil && got == r && notPhysical(r, rows) == "":
					answered++
				case err == nil:
					t.Errorf("%s: %s is %+v, answered %+v", filepath.Base(walk), ask, r, got)
				case errors.Is(err, ErrNoMatch):
					t.Errorf("%s: %s is there, but: %v", filepath.Base(walk), ask, err)
				case ask.Index != 0 && !errors.Is(err, ErrNotPhysical):
					t.Errorf("%s: an index is unique, but: %v", filepath.Base(walk), err)
				}
			}
		}
	}
	t.Logf("%d walks, %d physical ports, %d questions, %d answered, the others refused", len(walks), ports, asked, answered)
	if answered < ports*2 {
		t.Errorf("each of %d ports has an index and an index with everything else, but only %d answers came", ports, answered)
	}
}

// readWalk reads a recording in snmpsim's form: OID|type|value a line, x for hex.
func readWalk(t *testing.T, path string) []Row {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[int]*Row{}
	for line := range bytes.Lines(data) {
		fields := strings.SplitN(strings.TrimRight(string(line), "\n"), "|", 3)
		dot := strings.LastIndexByte(fields[0], '.')
		if len(fields) < 3 || dot < 0 {
			continue
		}
		value := []byte(fields[2])
		if strings.HasSuffix(fields[1], "x") {
			if value, err = hex.DecodeString(fields[2]); err != nil {
				t.Fatalf("%s: %s: %v", path, line, err)
			}
		}
		index, _ := strconv.Atoi(fields[0][dot+1:])
		r := rows[index]
		if r == nil {
			r = &Row{Index: index}
		}
		switch fields[0][:dot] {
		case "1.3.6.1.2.1.2.2.1.2":
			r.Description = Normalise(value)
		case "1.3.6.1.2.1.2.2.1.3":
			r.Type, _ = strconv.Atoi(string(value))
		case "1.3.6.1.2.1.31.1.1.1.1":
			r.Name = Normalise(value)
		case "1.3.6.1.2.1.31.1.1.1.18":
			r.Alias = Normalise(value)
		default:
			continue
		}
		rows[index] = r
	}
	var sorted []Row
	for _, index := range slices.Sorted(maps.Keys(rows)) {
		sorted = append(sorted, *rows[index])
	}
	return sorted
}
