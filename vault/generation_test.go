package vault

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"path"
	"strings"
	"testing"
	"time"

	kopia "github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/sharded"
	"pgregory.net/rapid"

	"airlock/blob"
)

func sampleGeneration() *Generation {
	changed := blob.Sum(sha256.Sum256([]byte("second")))
	return &Generation{
		Number: 7, Site: "中央病院", Vault: "secondary", Window: "w-7",
		Time:     time.Date(2026, 11, 21, 17, 30, 0, 5e6, time.UTC),
		Previous: sha256.Sum256([]byte("six")),
		Lacks:    []blob.Fault{{Name: "p0ffffffffffffffffffffffffff", Why: "the repository no longer has it"}},
		Blobs: []Entry{
			{"kopia.maintenance", 6, changed, versionPath("kopia.maintenance", changed)},
			{"kopia.repository", 1000, sha256.Sum256([]byte("r")), ""},
			{"p0123456789abcdef0123456789abcdef", 20 << 20, sha256.Sum256([]byte("p")), ""},
			{"xn0_empty", 0, sha256.Sum256(nil), ""},
		},
	}
}

func encode(t *testing.T, g *Generation) []byte {
	t.Helper()
	file, err := g.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestGenerationRoundTrip(t *testing.T) {
	g := sampleGeneration()
	file := encode(t, g)
	again, err := Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encode(t, again), file) {
		t.Error("decoded and encoded, it is another file")
	}
	g.Blobs[0], g.Blobs[3] = g.Blobs[3], g.Blobs[0]
	if !bytes.Equal(encode(t, g), file) {
		t.Error("the order in which blobs are given shows in the file")
	}
	sum, err := g.Hash()
	if err != nil || sum != sha256.Sum256(file) {
		t.Errorf("hash %s, %v", sum, err)
	}
	for _, e := range g.Blobs {
		if got, ok := again.Blob(e.Name); !ok || got != e {
			t.Errorf("blob %s: %v", e.Name, got)
		}
	}
	if _, ok := again.Blob("p0ffffffffffffffffffffffffff"); ok {
		t.Error("it has the blob that it lacks")
	}
}

// A manifest decides what is restored: a forged one must not lead anywhere.
func TestDecodeRefuses(t *testing.T) {
	file := string(encode(t, sampleGeneration()))
	const p = "p0123456789abcdef0123456789abcdef"
	line := file[strings.Index(file, `{"name":"`+p):strings.Index(file, "\n"+`{"name":"xn0`)]
	for what, forged := range map[string]string{
		"nothing":         "",
		"no JSON":         "generation 7",
		"trailing bytes":  file + " ",
		"two":             file + file,
		"cut":             file[:len(file)-3],
		"unknown field":   strings.Replace(file, `"site"`, `"sight":1,"site"`, 1),
		"doubled field":   strings.Replace(file, `"number":7`, `"number":7,"number":7`, 1),
		"other case":      strings.Replace(file, `"site"`, `"Site"`, 1),
		"other spacing":   strings.Replace(file, `"number":7`, `"number": 7`, 1),
		"other format":    strings.Replace(file, `"airlock_generation":1`, `"airlock_generation":2`, 1),
		"number 0":        strings.Replace(file, `"number":7`, `"number":0`, 1),
		"doubled blob":    strings.Replace(file, line, line+"\n"+line, 1),
		"another order":   strings.Replace(file, "kopia.repository", "a.repository", 1),
		"negative size":   strings.Replace(file, `"size":1000`, `"size":-1`, 1),
		"fractional size": strings.Replace(file, `"size":1000`, `"size":1e3`, 1),
		"huge size":       strings.Replace(file, `"size":1000`, `"size":9223372036854775808`, 1),
		"upper-case hash": strings.Replace(file, sampleGeneration().Previous.String(), strings.ToUpper(sampleGeneration().Previous.String()), 1),
		"short hash":      strings.Replace(file, sampleGeneration().Previous.String(), sampleGeneration().Previous.String()[2:], 1),
		"path elsewhere":  strings.Replace(file, `"path":"versions/`, `"path":"../versions/`, 1),
		"another's path":  strings.Replace(file, "/kopia.maintenance\"", "/kopia.repository\"", 1),
		"path to itself":  strings.Replace(file, `"name":"`+p+`"`, `"path":"`+BlobPath(p)+`","name":"`+p+`"`, 1),
		"name that leads": strings.Replace(file, p, "../../etc/passwd", 1),
		"dotted name":     strings.Replace(file, p, "."+p, 1),
		"empty name":      strings.Replace(file, `"name":"`+p+`"`, `"name":""`, 1),
		"lacked and held": strings.Replace(file, "p0ffffffffffffffffffffffffff", p, 1),
		"local time":      strings.Replace(file, "2026-11-21T17:30:00.005Z", "2026-11-22T02:30:00.005+09:00", 1),
	} {
		if forged == file {
			t.Errorf("%s: the test forges nothing", what)
		}
		if g, err := Decode([]byte(forged)); err == nil {
			t.Errorf("%s: taken, as %+v", what, g)
		}
		if g, err := scanned([]byte(forged)); err == nil {
			t.Errorf("%s: taken piece by piece, as %+v", what, g)
		}
	}
}

// scanned is a generation as Scan has it.
func scanned(file []byte) (*Generation, error) {
	var blobs []Entry
	g, sum, err := Scan(bytes.NewReader(file), func(e Entry) error { blobs = append(blobs, e); return nil })
	if err != nil {
		return nil, err
	}
	if sum != sha256.Sum256(file) {
		return nil, errors.New("another hash")
	}
	g.Blobs = blobs
	return g, nil
}

func TestScan(t *testing.T) {
	empty := &Generation{Number: 1, Time: time.Unix(1, 0).UTC()}
	for _, g := range []*Generation{sampleGeneration(), empty} {
		file := encode(t, g)
		again, err := scanned(file)
		if err != nil || !bytes.Equal(encode(t, again), file) {
			t.Errorf("%+v, %v", again, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	file, err := sampleGeneration().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add([]byte(`{"airlock_generation":1,"number":1,"site":"","vault":"","window":"","time":"2026-01-01T00:00:00Z","previous":"` + blob.Sum{}.String() + `","blobs":[` + "\n]}\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		g, err := Decode(file)
		piecewise, refused := scanned(file)
		if (refused == nil) != (err == nil) {
			t.Fatalf("whole: %v; piece by piece: %v", err, refused)
		}
		if err != nil {
			return
		}
		if other, err := piecewise.Encode(); err != nil || !bytes.Equal(other, file) {
			t.Errorf("read piece by piece, it is another: %v", err)
		}
		again, err := g.Encode()
		if err != nil || !bytes.Equal(again, file) {
			t.Errorf("taken, and then another file: %v", err)
		}
		for _, e := range g.Blobs {
			if err := CheckName(e.At()); err != nil {
				t.Error(err)
			}
		}
	})
}

// Kopia's own code is the judge of where a blob lies.
func TestBlobPathIsKopias(t *testing.T) {
	var parameters sharded.Parameters
	if err := parameters.Load(strings.NewReader(ShardsFile)); err != nil {
		t.Fatal(err)
	}
	if err := checkShards([]byte(ShardsFile)); err != nil {
		t.Error(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z0-9_][a-z0-9_.-]{0,60}`).Draw(t, "name")
		dir, rest := parameters.GetShardDirectoryAndBlob("", kopia.ID(name))
		if got, want := BlobPath(name), path.Join(dir, string(rest))+sharded.CompleteBlobSuffix; got != want {
			t.Errorf("%s lies at %s, kopia looks at %s", name, got, want)
		}
		if got := BlobOf(BlobPath(name)); got != name {
			t.Errorf("%s is listed as %q", name, got)
		}
		if err := CheckName(BlobPath(name)); err != nil {
			t.Error(err)
		}
	})
}

func TestCheckShardsRefusesOthers(t *testing.T) {
	for _, other := range []string{"", "{}", `{"default":[3,3],"maxNonShardedLength":20}`, `{"default":[1,3],"maxNonShardedLength":10}`,
		`{"default":[1,3],"maxNonShardedLength":20,"overrides":[{"prefix":"p","shards":[2]}]}`} {
		if checkShards([]byte(other)) == nil {
			t.Errorf("%s was taken", other)
		}
	}
}
