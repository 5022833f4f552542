package ledger

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/ledger/proof"

	"pgregory.net/rapid"
)

func TestUnfitEntriesAreRefused(t *testing.T) {
	l := fresh(t)
	const secret = "hunter2"
	for name, spoil := range map[string]func(*Entry){
		"no kind":          func(e *Entry) { e.Kind = "" },
		"unknown kind":     func(e *Entry) { e.Kind = secret },
		"no time":          func(e *Entry) { e.Time = time.Time{} },
		"time too early":   func(e *Entry) { e.Time = time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC) },
		"time too late":    func(e *Entry) { e.Time = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC) },
		"no actor":         func(e *Entry) { e.Actor = "" },
		"newline":          func(e *Entry) { e.Reason = secret + "\nsecond line" },
		"escape sequence":  func(e *Entry) { e.System = secret + "\x1b[2J" },
		"C1 control":       func(e *Entry) { e.Vault = secret + "\u009b" },
		"right to left":    func(e *Entry) { e.Actor = secret + "\u202e" },
		"line separator":   func(e *Entry) { e.Window = secret + "\u2028" },
		"not UTF-8":        func(e *Entry) { e.Door = secret + "\xff" },
		"long reason":      func(e *Entry) { e.Reason = strings.Repeat(secret, proof.MaxReason) },
		"long name":        func(e *Entry) { e.To = strings.Repeat(secret, proof.MaxName) },
		"door without to":  func(e *Entry) { e.To = "" },
		"door to nowhere":  func(e *Entry) { e.To = secret },
		"door, no from":    func(e *Entry) { e.From = "" },
		"door, no name":    func(e *Entry) { e.Door = "" },
		"detail an array":  func(e *Entry) { e.Detail = json.RawMessage(`["` + secret + `"]`) },
		"detail cut short": func(e *Entry) { e.Detail = json.RawMessage(`{"a":"` + secret) },
		"detail two":       func(e *Entry) { e.Detail = json.RawMessage(`{} {"a":"` + secret + `"}`) },
		"detail blank":     func(e *Entry) { e.Detail = json.RawMessage("  \n") },
		"detail not UTF-8": func(e *Entry) { e.Detail = json.RawMessage("{\"a\":\"" + secret + "\xff\"}") },
		"detail too long": func(e *Entry) {
			e.Detail = json.RawMessage(`{"a":"` + strings.Repeat("x", proof.MaxDetail) + `"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := at(0)
			spoil(&e)
			_, err := l.Append(t.Context(), e)
			if err == nil {
				t.Fatal("the entry was taken")
			}
			if strings.Contains(err.Error(), secret) { // S13: no secret reaches an error
				t.Errorf("the error repeats the value: %v", err)
			}
			// S2: what has happened is recorded all the same.
			if mended := mend(e, at(1).Time); check(mended) != nil {
				t.Errorf("mended it is %+v: %v", mended, check(mended))
			}
		})
	}
	wantWhole(t, &l.Reader, 0)
}

func TestMendedKeepsWhatItCan(t *testing.T) {
	l := fresh(t)
	l.Note(Entry{Kind: KindDoor, Actor: "schedule", Reason: "dial tcp:\n\tno route", Door: "vault", From: "open", To: "shutting",
		Time: at(0).Time, Detail: json.RawMessage("ssh: oops")})
	l.Note(Entry{Kind: "opening", Reason: "a mistake"})
	l.Note(Entry{Kind: KindAlarm, Actor: "patrol", Time: at(0).Time, Reason: strings.Repeat("あ", proof.MaxReason)})
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := wantWhole(t, &l.Reader, 3)
	if e := got[0]; e.Kind != KindDoor || e.To != "shutting" || e.Reason != "dial tcp:  no route" || string(e.Detail) != `{"text":"ssh: oops"}` || !e.Time.Equal(at(0).Time) {
		t.Errorf("a note with loose texts became %+v", e)
	}
	if e := got[1]; e.Kind != KindAlarm || !strings.Contains(string(e.Detail), "kind opening") || !strings.Contains(string(e.Detail), "a mistake") || e.Time.IsZero() {
		t.Errorf("a note of no kind became %+v", e)
	}
	if e := got[2]; len(e.Reason) > proof.MaxReason || len(e.Reason) < proof.MaxReason-8 || !strings.HasSuffix(e.Reason, "あ…") {
		t.Errorf("a long reason became %d bytes, ending in %q", len(e.Reason), e.Reason[len(e.Reason)-9:])
	}
}

func FuzzAppend(f *testing.F) {
	f.Add("door", "schedule", "by the calendar", "vault", "shut", "opening", int64(1), []byte(`{"a": 1}`))
	f.Add("alarm", "a\x00", "\u202e", "\xff", "", "", int64(math.MinInt64), []byte("[1]"))
	f.Add("gather", "x", strings.Repeat("あ", 2000), "", "", "", int64(math.MaxInt64), []byte("{\"\xff\":\n 1}"))
	l := fresh(f)
	var want int64
	f.Fuzz(func(t *testing.T, kind, actor, reason, door, from, to string, nanoseconds int64, detail []byte) {
		e := Entry{Time: time.Unix(0, nanoseconds), Kind: Kind(kind), Actor: actor, Reason: reason, Door: door, From: from, To: to, Detail: detail}
		written, err := l.Append(t.Context(), e)
		if err != nil { // S2: then Note takes it, mended
			e = canonical(mend(e, at(0).Time))
			if written, err = l.Append(t.Context(), e); err != nil {
				t.Fatalf("mended, and still refused: %v", err)
			}
		}
		want++
		if written.Seq != want {
			t.Errorf("the entry has the number %d, want %d", written.Seq, want)
		}
		read, ok, err := l.Last(t.Context(), Filter{})
		if err != nil || !ok || !reflect.DeepEqual(read, written) {
			t.Fatalf("read    %+v, %v, %v\nwritten %+v", read, ok, err, written)
		}
		line, err := json.Marshal(read)
		if err != nil || strings.ContainsAny(string(line), "\n\x1b") {
			t.Errorf("as a line of JSON: %q, %v", line, err)
		}
	})
}

// What is appended is listed, by any filter, in order; Last is the last of it; and
// the way through the emergency file changes nothing but Late.
func TestFilters(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprint(run)+".db")
		var all []Entry
		entries := rapid.SliceOfN(rapid.Custom(drawEntry), 1, 40).Draw(t, "entries")
		noted := rapid.IntRange(0, len(entries)).Draw(t, "noted")
		if err := Keep(path, entries[:noted]...); err != nil {
			t.Fatal(err)
		}
		l, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}()
		for _, e := range entries[noted:] {
			if _, err := l.Append(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for i, e := range entries {
			e.Late = i < noted
			line := fmt.Sprintf("%#v", e) // %v would not tell "b " and "" from "b" and " "
			if e.Late && seen[line] {
				continue // the very same twice in the emergency file
			}
			seen[line] = true
			e = canonical(e)
			e.Seq = int64(len(all) + 1)
			all = append(all, e)
		}
		for range 10 {
			f := drawFilter(t)
			var want []Entry
			for _, e := range all {
				if f.chosen(e) {
					want = append(want, e)
				}
			}
			var got []Entry
			for e, err := range l.Entries(t.Context(), f) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, bare(e))
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%+v lists\n%+v\nwant\n%+v", f, got, want)
			}
			last, ok, err := l.Last(t.Context(), f)
			last = bare(last)
			if err != nil || ok != (len(want) > 0) || ok && !reflect.DeepEqual(last, want[len(want)-1]) {
				t.Fatalf("the last of %+v is %+v, %v, %v", f, last, ok, err)
			}
		}
	})
}

// bare is e without what the ledger gives, but for its number.
func bare(e Entry) Entry {
	e.Version, e.Recorded = 0, time.Time{}
	e.Run, e.Mono, e.Clock, e.ClockError = "", 0, "", 0
	return e
}

// Times that jump about are found over blocks of entries as among a few.
func TestSpans(t *testing.T) {
	l := fresh(t)
	var all []Entry
	jump := rand.New(rand.NewPCG(1, 2))
	for n := range 3*spanSize + 100 {
		e := at(n)
		if jump.IntN(50) == 0 { // late
			e.Time = e.Time.Add(-time.Duration(jump.IntN(3000)) * time.Hour)
		}
		all = append(all, e)
		l.Note(e)
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, e := range wantWhole(t, &l.Reader, len(all)) {
		all[i] = e
	}
	draws := 30
	if exhaustive() {
		draws = 400
	}
	for range draws {
		f := Filter{Since: at(jump.IntN(4 * spanSize)).Time, Until: at(jump.IntN(4 * spanSize)).Time}
		switch jump.IntN(4) {
		case 0:
			f.Since = time.Time{}
		case 1:
			f.Until = time.Time{}
		}
		var want []int64
		for _, e := range all {
			if f.chosen(e) {
				want = append(want, e.Seq)
			}
		}
		var got []int64
		for _, e := range list(t, &l.Reader, f) {
			got = append(got, e.Seq)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("since %s until %s: %d entries, want %d", f.Since, f.Until, len(got), len(want))
		}
		last, ok, err := l.Last(t.Context(), f)
		if err != nil || ok != (len(want) > 0) || ok && last.Seq != want[len(want)-1] {
			t.Fatalf("the last since %s until %s is %d, %v, %v", f.Since, f.Until, last.Seq, ok, err)
		}
	}
}

func drawTime(t *rapid.T) time.Time {
	return at(0).Time.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "time")))
}

func drawEntry(t *rapid.T) Entry {
	name := rapid.SampledFrom([]string{"", "眼科", "b", "b "})
	state := rapid.SampledFrom([]string{"shut", "opening", "open"})
	e := Entry{
		Time: drawTime(t), Kind: rapid.SampledFrom([]Kind{KindDoor, KindGather, KindWindow}).Draw(t, "kind"),
		Actor: rapid.SampledFrom([]string{"schedule", "user root"}).Draw(t, "actor"), Reason: name.Draw(t, "reason"),
		Window: name.Draw(t, "window"), System: name.Draw(t, "system"), Vault: name.Draw(t, "vault"),
		Detail: json.RawMessage(rapid.SampledFrom([]string{"", `{}`, `{ "a<&> ": "\u2028\u003c名" }`}).Draw(t, "detail")),
	}
	if e.Kind == KindDoor {
		e.Door, e.From, e.To = "vault", state.Draw(t, "from"), state.Draw(t, "to")
	}
	return e
}

func drawFilter(t *rapid.T) Filter {
	var f Filter
	like := drawEntry(t)
	for _, c := range []struct {
		field string
		set   func()
	}{
		{"kind", func() { f.Kind = like.Kind }}, {"door", func() { f.Door = "vault" }}, {"window", func() { f.Window = like.Window }},
		{"system", func() { f.System = like.System }}, {"vault", func() { f.Vault = like.Vault }}, {"actor", func() { f.Actor = like.Actor }},
		{"from", func() { f.From = like.From }}, {"to", func() { f.To = like.To }}, {"since", func() { f.Since = drawTime(t) }},
		{"until", func() { f.Until = drawTime(t) }}, {"after", func() { f.AfterSeq = int64(rapid.IntRange(0, 40).Draw(t, "seq")) }},
	} {
		if rapid.IntRange(0, 3).Draw(t, "by "+c.field) == 0 {
			c.set()
		}
	}
	return f
}
