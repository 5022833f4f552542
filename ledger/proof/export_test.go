package proof

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/mod/sumdb/note"

	"airlock/ledger/proof/notetest"
)

// exported is an export of some nights, its lines, and the key of its one head.
func exported(t testing.TB) (file []byte, lines []string, head Head, key note.Verifier) {
	t.Helper()
	signer, key := notetest.Keys(t, "kitano")
	var out bytes.Buffer
	x, err := NewWriter(&out, Header{Site: "kitano", Made: time.Now(), By: "test"}, "kitano+1+key")
	if err != nil {
		t.Fatal(err)
	}
	var tree Edge
	for _, e := range tale(t, wholeNight) {
		tree.Add(LeafHash(leafOf(t, e)))
		if err := x.Entry(&e); err != nil {
			t.Fatal(err)
		}
	}
	if head, err = SignHead(tree.Size(), tree.Root(), signer); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(x.Head(head), x.Stamp(Stamp{Head: head, At: time.Unix(0, 0).UTC(), Token: []byte{0}}), x.Receipt(json.RawMessage(`{"generation":1}`)), x.Close())
	if err != nil {
		t.Fatal(err)
	}
	zip, err := zstd.NewReader(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer zip.Close()
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n"), head, key
}

func zipped(t testing.TB, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	zip, err := zstd.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zip.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestExport(t *testing.T) {
	file, lines, head, key := exported(t)
	var stamps, receipts []string
	x, report, err := VerifyExport(t.Context(), bytes.NewReader(file), Options{
		Keys: []note.Verifier{key}, Outside: []Head{head},
		Stamp:   func(s Stamp) error { stamps = append(stamps, s.Head.Note); return nil },
		Receipt: func(j json.RawMessage) error { receipts = append(receipts, string(j)); return nil },
	})
	if err != nil || !report.Sound() || report.Outside != head.Size || report.Signed != head.Size || report.Heads != 1 || report.Openings != 1 {
		t.Errorf("verified %+v, %v", report, err)
	}
	if x.Header.Site != "kitano" || len(x.Keys) != 1 || x.Stamps != 1 || x.Receipts != 1 || fmt.Sprint(stamps, receipts) != fmt.Sprint([]string{head.Note}, ` [{"generation":1}]`) {
		t.Errorf("the export is %+v with %v and %v", x, stamps, receipts)
	}
	if !strings.HasPrefix(lines[0], `{"export":{"version":1,"site":"kitano",`) || !strings.HasPrefix(lines[2], `{"v":2,"seq":1,`) ||
		lines[len(lines)-1] != `{"end":{"entries":13,"heads":1,"stamps":1,"receipts":1}}` {
		t.Errorf("its lines are\n%s", strings.Join(lines, ""))
	}
	refusal := errors.New("a bad stamp")
	if _, _, err := VerifyExport(t.Context(), bytes.NewReader(file), Options{Stamp: func(Stamp) error { return refusal }}); !errors.Is(err, refusal) {
		t.Errorf("with a stamp that is refused: %v", err)
	}
}

// S11: who has the site's key can make the ledger anew, and sign it; a head of the one
// before, which an authority has stamped, shows it.
func TestStampedHeadOfAnother(t *testing.T) {
	signer, key := notetest.Keys(t, "kitano")
	export := func(entries []Entry, stamped func(own Head) Head) Report {
		t.Helper()
		var file bytes.Buffer
		x, err := NewWriter(&file, Header{})
		if err != nil {
			t.Fatal(err)
		}
		var tree Edge
		for _, e := range entries {
			tree.Add(LeafHash(leafOf(t, e)))
			err = errors.Join(err, x.Entry(&e))
		}
		own, signing := SignHead(tree.Size(), tree.Root(), signer)
		if err := errors.Join(err, signing, x.Head(own), x.Stamp(Stamp{Head: stamped(own)}), x.Close()); err != nil {
			t.Fatal(err)
		}
		_, report, err := VerifyExport(t.Context(), &file, Options{Keys: []note.Verifier{key}})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	entries := tale(t, wholeNight)
	var first Head
	if r := export(entries, func(own Head) Head { first = own; return own }); !r.Sound() {
		t.Fatalf("its own head, stamped: %v", r.Findings)
	}
	entries[3].Reason += ", or so"
	r := export(entries, func(Head) Head { return first })
	if r.Grave != 1 || r.Findings[0].Rule != "time-stamp" {
		t.Errorf("a ledger that was made anew, with a stamp of the one before: %v", r.Findings)
	}
	r = export(entries[:4], func(Head) Head { return first })
	if r.Sound() {
		t.Error("the same, and shorter: nothing is found")
	}
}

// exhaustive has the tests try every bit, and larger bombs: make exhaustive.
func exhaustive() bool { return os.Getenv("AIRLOCK_EXHAUSTIVE") != "" }

// S11: every bit of every line of an export, and of the file as it is, counts.
func TestEveryBitOfAnExport(t *testing.T) {
	file, lines, head, key := exported(t)
	found := func(data []byte) bool {
		_, report, err := VerifyExport(t.Context(), bytes.NewReader(data), Options{Keys: []note.Verifier{key}, Outside: []Head{head}})
		return err != nil || !report.Sound()
	}
	if found(file) {
		t.Fatal("the export is not sound")
	}
	for n, line := range lines[2 : len(lines)-1] { // what is signed; those before are for reading, and the key is the auditor's
		opaque := strings.HasPrefix(line, `{"stamp"`) || strings.HasPrefix(line, `{"receipt"`)
		for bit := range 8 * len(line) {
			if !exhaustive() && bit%8 != bit/8%8 { // one of each byte
				continue
			}
			changed := []byte(line)
			changed[bit/8] ^= 1 << (bit % 8)
			var i Item
			switch {
			case opaque:
				continue // what is in there is signed by others
			case strings.HasPrefix(line, `{"head"`):
				if !exhaustive() && bit%5 != 0 {
					continue
				}
				text := strings.Join(lines[:n+2], "") + string(changed) + strings.Join(lines[n+3:], "") + "\n"
				if !found(zipped(t, text)) {
					t.Errorf("bit %d of byte %d of the head: not found", bit%8, bit/8)
				}
				continue
			default:
				i = ItemOfLeaf(bytes.TrimSuffix(changed, []byte("\n")))
			}
			if i.leaf == LeafHash([]byte(strings.TrimSuffix(line, "\n"))) {
				t.Errorf("line %d: bit %d of byte %d changes nothing", n, bit%8, bit/8)
			}
		}
	}
	chance := rand.New(rand.NewPCG(5, 6))
	tries := 100
	if exhaustive() {
		tries = 5000
	}
	for range tries {
		changed := slices.Clone(file)
		changed[chance.IntN(len(file))] ^= 1 << chance.IntN(8)
		if !found(changed) && !bytes.Equal(unzip(changed), unzip(file)) {
			t.Error("a flipped bit of the file is not found")
		}
	}
	for n := range len(file) - 1 {
		if (exhaustive() || n%7 == 0) && !found(file[:n]) {
			t.Errorf("cut to %d bytes it is taken", n)
		}
	}
}

func unzip(data []byte) []byte {
	zip, err := zstd.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	defer zip.Close()
	text, err := io.ReadAll(zip)
	if err != nil {
		return nil
	}
	return text
}

// A hostile export is refused, or found out.
func TestHostileExports(t *testing.T) {
	_, lines, head, key := exported(t)
	end := len(lines) - 1
	first := `{"export":{"version":1,"site":"x","made":"2026-01-01T00:00:00Z","by":"x"}}` + "\n"
	with := func(at int, more ...string) string {
		return strings.Join(slices.Insert(slices.Clone(lines), at, more...), "") + "\n"
	}
	without := func(from, to int) string {
		return strings.Join(slices.Delete(slices.Clone(lines), from, to), "") + "\n"
	}
	for name, text := range map[string]string{
		"nothing":             "",
		"no header":           without(0, 1),
		"two headers":         with(1, lines[0]),
		"no end":              without(end, end+1),
		"two ends":            with(end, lines[end]+"\n"),
		"something behind":    with(end+1, "\n", lines[2]),
		"a key too late":      with(5, lines[1]),
		"an entry twice":      with(5, lines[5]),
		"an entry missing":    without(5, 6),
		"a head twice":        with(end-2, lines[end-3]),
		"a head too early":    with(4, lines[end-3]),
		"an unknown part":     with(5, `{"path":"../../etc/passwd"}`+"\n"),
		"two parts in one":    with(5, `{"key":"k","head":"h"}`+"\n"),
		"an empty part":       with(5, "{}\n"),
		"an empty line":       with(5, "\n"),
		"no JSON":             with(5, "(\n"),
		"another version":     strings.Replace(with(0), `"version":1`, `"version":2`, 1),
		"a huge version":      strings.Replace(with(0), `"version":1`, `"version":1e99999`, 1),
		"other counts":        strings.Replace(with(0), `"entries":13`, `"entries":12`, 1),
		"huge counts":         strings.Replace(with(0), `"entries":13`, `"entries":99999999999999999999`, 1),
		"a number of an age":  strings.Replace(with(0), `"seq":3,`, `"seq":1e400,`, 1),
		"deep nesting":        with(5, `{"stamp":`+strings.Repeat(`[`, 200_000)+"\n"),
		"a long line":         with(5, `{"stamp":"`+strings.Repeat("x", maxLine)+`"}`+"\n"),
		"a line without end":  first + strings.Repeat("x", 3*maxLine),
		"a long entry":        with(5, `{"v":2,`+strings.Repeat(" ", MaxLeaf)+"}\n"),
		"very many keys":      first + strings.Repeat(`{"key":"k"}`+"\n", 2*maxKeys),
		"spaces":              strings.Replace(with(0), `{"end":{`, `{"end": {`, 1),
		"a part in two cases": strings.Replace(with(0), `{"end"`, `{"End"`, 1),
	} {
		_, report, err := VerifyExport(t.Context(), bytes.NewReader(zipped(t, text)), Options{Keys: []note.Verifier{key}, Outside: []Head{head}})
		if err == nil && report.Sound() {
			t.Errorf("%s: taken", name)
		}
		if err != nil && (!errors.Is(err, ErrExport) || len(err.Error()) > 1000 || strings.Contains(err.Error(), "passwd")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// endless is a bomb: it yields its text for ever.
type endless struct {
	text []byte
	at   int
	left int64
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) {
		c := copy(p[n:], e.text[e.at:])
		n, e.at = n+c, (e.at+c)%len(e.text)
	}
	e.left -= int64(n)
	return n, nil
}

// A bomb costs time, and no memory.
func TestBombs(t *testing.T) {
	size := int64(24 << 20)
	if exhaustive() {
		size = 400 << 20
	}
	const first = `{"export":{"version":1,"site":"x","made":"2026-01-01T00:00:00Z","by":"x"}}` + "\n"
	for name, text := range map[string]string{
		"zeros":           "\x00",
		"header for ever": first,
		"one window":      `{"v":1,"seq":1,"time":"2026-01-01T00:00:00Z","recorded":"2026-01-01T00:00:00Z","kind":"window","actor":"a","reason":"","window":"w","to":"copying"}` + "\n",
		"one head":        `{"head":"` + strings.Repeat("h", 20000) + `"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			var bomb bytes.Buffer
			zip, err := zstd.NewWriter(&bomb, zstd.WithEncoderLevel(zstd.SpeedFastest))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(zip, io.MultiReader(strings.NewReader(first), &endless{text: bytes.Repeat([]byte(text), 1+64<<10/len(text)), left: size})); err != nil {
				t.Fatal(err)
			}
			if err := zip.Close(); err != nil {
				t.Fatal(err)
			}
			if bomb.Len() > 5<<20 {
				t.Fatalf("%d bytes are no bomb", bomb.Len())
			}
			most, batches := uint64(0), 0
			_, report, err := VerifyExport(t.Context(), &bomb, Options{Progress: func(int64) {
				if batches++; batches%20 != 0 {
					return
				}
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}})
			t.Logf("%d MiB of memory", most>>20)
			if err == nil && report.Sound() || most > 96<<20 {
				t.Errorf("%v, %d findings, %d MiB of memory", err, len(report.Findings), most>>20)
			}
		})
	}
}

func TestExportIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file, _, _, _ := exported(t)
	if _, _, err := VerifyExport(ctx, bytes.NewReader(file), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestUnfitIsNotExported(t *testing.T) {
	x, err := NewWriter(io.Discard, Header{})
	if err != nil {
		t.Fatal(err)
	}
	e := example()
	e.Actor = ""
	if err := x.Entry(&e); err == nil {
		t.Error("an entry without an actor is exported")
	}
	if err := x.Stamp(Stamp{Token: make([]byte, maxLine)}); err == nil {
		t.Error("a line that no reader takes is exported")
	}
	if err := x.Close(); err == nil {
		t.Error("an export that lacks something was closed without an error")
	}
}

func FuzzVerifyExport(f *testing.F) {
	file, lines, head, key := exported(f)
	f.Add(file, true)
	f.Add([]byte(strings.Join(lines, "")+"\n"), false)
	f.Add([]byte(lines[0]+lines[2]+lines[4]+lines[3]+`{"end":{"entries":3,"heads":0,"stamps":0,"receipts":0}}`+"\n"), false)
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, whole bool) {
		text := data
		if !whole {
			data = zip.EncodeAll(data, nil)
		}
		_, report, err := VerifyExport(t.Context(), bytes.NewReader(data), Options{Keys: []note.Verifier{key}, Outside: []Head{head}})
		if err != nil || !report.Sound() {
			return
		}
		if whole {
			text = unzip(data)
		}
		// Then it holds these entries, and in this order.
		at := 0
		for _, line := range lines {
			if strings.HasPrefix(line, `{"v"`) {
				next := bytes.Index(text[at:], []byte(line))
				if next < 0 {
					t.Fatalf("sound, and without %s", line)
				}
				at += next + len(line)
			}
		}
	})
}
