package report

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
	"airlock/notice"
	"airlock/orchestrator"
	"airlock/vault"
)

// book is a ledger in memory.
type book []ledger.Entry

func (b book) Entries(_ context.Context, f ledger.Filter) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		for _, e := range b {
			chosen := !e.Time.Before(f.Since) && (f.Until.IsZero() || e.Time.Before(f.Until)) && (f.Kind == "" || f.Kind == e.Kind)
			if chosen && !yield(e, nil) {
				return
			}
		}
	}
}

func (b book) Heads(context.Context) ([]proof.Head, error) {
	return []proof.Head{{Origin: "airlock/kita-hospital", Size: int64(len(b)) - 3, Root: proof.Hash{7}}}, nil
}

func (b book) Count(context.Context) (int64, error) { return int64(len(b)), nil }

func (b book) Root(context.Context, int64) (proof.Hash, error) { return proof.Hash{9}, nil }

func (b *book) write(e ledger.Entry, detail any) {
	if detail != nil {
		e.Detail, _ = json.Marshal(detail) // plain structs
	}
	e.Seq, e.Recorded = int64(len(*b)+1), e.Time
	*b = append(*b, e)
}

// window writes one opening of the vault's door.
func (b *book) window(id string, at time.Time, open time.Duration, actor, reason, result, why string) {
	door := func(at time.Time, from, to string, detail any) {
		b.write(ledger.Entry{Time: at, Kind: ledger.KindDoor, Actor: actor, Reason: reason, Door: "vault-door", Vault: "secondary", Window: id, From: from, To: to}, detail)
	}
	b.write(ledger.Entry{Time: at, Kind: ledger.KindWindow, Actor: actor, Reason: reason, Vault: "secondary", Window: id, To: "copying"}, nil)
	door(at, "shut", "opening", nil)
	door(at.Add(time.Second/2), "opening", "open", nil)
	door(at.Add(open-time.Second/4), "open", "shutting", nil)
	door(at.Add(open+time.Second), "shutting", "shut", map[string]float64{"exposure_seconds": open.Seconds()}) // proving it took a second
	b.write(ledger.Entry{Time: at.Add(open), Kind: ledger.KindWindow, Actor: actor, Reason: reason, Vault: "secondary", Window: id, From: "copying", To: result},
		orchestrator.WindowRecord{ID: id, Vault: "secondary", Purpose: "copying", Result: result, Error: why, OpenedAt: at, ShutAt: at.Add(open), Exposure: open.Seconds(), Bytes: int64(open.Seconds() * 110e6),
			ReadBack: &vault.ReadBack{Blobs: 812, Read: 3, Bytes: 31_000_000}, Retention: &vault.RetentionReport{Kept: 9, Dropped: []int64{4, 5}}})
}

// november is a month with everything that a report tells.
func november(zone *time.Location) (b book, guard book) {
	day := func(d, h, m int) time.Time { return time.Date(2026, 11, d, h, m, 0, 0, zone) }
	b.write(ledger.Entry{Time: day(1, 0, 5), Kind: ledger.KindStart, Actor: "user root", Reason: "airlock serve"}, map[string]string{"version": "v0.4.0"})
	for d := 1; d <= 30; d++ {
		switch d {
		case 9:
			b.window("w9", day(d, 2, 30), 41*time.Minute+12*time.Second, "schedule", "schedule 30 2 * * *", "failed", "vault secondary: the connection was lost after 12 blobs")
		case 14:
			b.window("w14", day(d, 23, 58), 5*time.Minute, "user 山田 (sudo by yamada)", "画像サーバー更新前の臨時バックアップ <b>至急</b>", "done", "")
		default:
			b.window(fmt.Sprintf("w%d", d), day(d, 2, 30), time.Duration(3000+d*211)*time.Millisecond, "schedule", "schedule 30 2 * * *", "done", "")
		}
		if d == 18 {
			b.write(ledger.Entry{Time: day(d, 13, 42), Kind: ledger.KindPatrol, Actor: "patrol", Reason: "found open, by no window of ours", Door: "vault-door", Vault: "secondary", To: "opened"},
				map[string]any{"shut_seen": day(d, 13, 41), "open_at_most_seconds": 60.0, "now": map[string]int{"admin": 1, "oper": 1}})
			b.write(ledger.Entry{Time: day(d, 13, 42), Kind: ledger.KindAlarm, Actor: "airlock", Reason: "was opened by somebody else", Door: "vault-door"},
				orchestrator.Alarm{Notice: notice.Notice{What: "was opened by somebody else"}, Why: "<script>alert(1)</script>"})
			up, down := map[string]any{"reading": map[string]int{"admin": 1, "oper": 1}}, map[string]any{"reading": map[string]int{"admin": 2, "oper": 2}}
			b.write(ledger.Entry{Time: day(d, 13, 42), Kind: ledger.KindDoor, Actor: "patrol", Reason: "after window w17", Door: "vault-door", Vault: "secondary", From: "shut", To: "shutting"}, up)
			b.write(ledger.Entry{Time: day(d, 13, 43), Kind: ledger.KindDoor, Actor: "patrol", Reason: "after window w17", Door: "vault-door", Vault: "secondary", From: "shutting", To: "shut"}, down)
			b.write(ledger.Entry{Time: day(d, 13, 43), Kind: ledger.KindPatrol, Actor: "patrol", Reason: "it stood open for 2m0s at most", Door: "vault-door", Vault: "secondary", To: "shut"},
				map[string]any{"shut_seen": day(d, 13, 41), "open_at_most_seconds": 120.0})
			b.write(ledger.Entry{Time: day(d, 13, 50), Kind: ledger.KindLock, Actor: "user 佐藤", Reason: "扉が開けられていたため調査", To: "locked"}, nil)
			b.write(ledger.Entry{Time: day(d, 16, 20), Kind: ledger.KindRelease, Actor: "user 鈴木", Reason: "調査完了", From: "locked", To: "released"}, nil)
		}
	}
	b.write(ledger.Entry{Time: day(20, 22, 15), Kind: ledger.KindGather, Actor: "schedule", Reason: "schedule 15 22 * * *", System: "imaging", To: "in part"}, orchestrator.Gathered{System: "imaging", Result: "in part", NotRead: 3})
	met := true
	b.write(ledger.Entry{Time: day(21, 10, 0), Kind: ledger.KindRestore, Actor: "user 山田", Reason: "復元訓練", System: "accounting", To: "done"},
		orchestrator.Restored{Result: "done", Files: 12480, Bytes: 4_210_000_000, Seconds: 431, RTOMet: &met})
	b.write(ledger.Entry{Time: day(22, 10, 0), Kind: ledger.KindVerify, Actor: "user 山田", Reason: "by hand", Vault: "secondary", To: "sound"}, nil)
	b.write(ledger.Entry{Time: day(23, 3, 0), Kind: ledger.KindClock, Actor: "ledger", Reason: "the wall clock was stepped by -2.140 s", Clock: proof.ClockFree}, nil)
	b.write(ledger.Entry{Time: day(24, 9, 0), Kind: ledger.KindStart, Actor: "user root", Reason: "airlock serve"}, map[string]string{"version": "v0.5.0"})
	guard.write(ledger.Entry{Time: day(27, 4, 0), Kind: ledger.KindDoor, Actor: "guard", Reason: "its lease ran out", Door: "vault-door", From: "open", To: "shutting"}, nil)
	guard.write(ledger.Entry{Time: day(27, 4, 0).Add(2 * time.Second), Kind: ledger.KindDoor, Actor: "guard", Reason: "read back as down", Door: "vault-door", From: "shutting", To: "shut"}, nil)
	return b, guard
}

func readNovember(t *testing.T, japanese bool) *Report {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	b, guard := november(zone)
	r, err := Read(t.Context(), Config{
		Site: "kita-hospital", Zone: zone, From: time.Date(2026, 11, 1, 0, 0, 0, 0, zone), To: time.Date(2026, 12, 1, 0, 0, 0, 0, zone),
		Made: time.Date(2026, 12, 3, 9, 0, 0, 0, zone), Version: "v0.5.0", Japanese: japanese,
	}, b, guard)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestNovember(t *testing.T) {
	r := readNovember(t, false)
	sum, longest, bounded := r.Exposure()
	strange := r.Strange()
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"windows", len(r.Windows), 30},
		{"openings by windows", len(r.Explained()), 30},
		{"by hand", len(r.ByHand), 1},
		{"failures", len(r.Failures), 2},
		{"why a window failed", r.Failures[0].Reason, "vault secondary: the connection was lost after 12 blobs"},
		{"why a gathering did", r.Failures[1].Reason, "3 files could not be read"},
		{"strange", len(strange), 2},
		{"patrol's", r.Lasted(strange[0]), 2 * time.Minute},
		{"patrol's is over", strange[0].Over(), true},
		{"the guard's", r.Lasted(strange[1]), 2 * time.Second},
		{"some are bounds", bounded, true},
		{"all are by windows' own measure", len(r.Bounded()), 0},
		{"locks", len(r.Locks), 2},
		{"restores", len(r.Restores), 1},
		{"versions", len(r.Versions), 2},
		{"clock", len(r.Clock), 1},
		{"not synchronised", r.Free, int64(1)},
		{"longest", longest, 41*time.Minute + 12*time.Second},
		{"in all", sum.Round(time.Second), 51*time.Minute + 11*time.Second},
		{"heads", len(r.Heads), 1},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
}

// An opening over midnight lies in two rows, is counted once, and its parts add up.
func TestTimeline(t *testing.T) {
	charts := readNovember(t, false).Charts()
	if len(charts) != 1 || charts[0].Door != "vault-door" || len(charts[0].Rows) != 30 {
		t.Fatalf("charts %+v", charts)
	}
	rows := charts[0].Rows
	if a, b := rows[13], rows[14]; a.Count != 1 || a.Exposure != 2*time.Minute || b.Count != 1 || b.Exposure != 3*time.Minute+time.Duration(3000+15*211)*time.Millisecond {
		t.Errorf("over midnight: %+v, %+v", a, b)
	}
	for _, row := range rows {
		for _, bar := range row.Bars {
			if bar.X < chartLeft || bar.W < narrowest-.001 || bar.X+bar.W > chartLeft+dayWidth+.001 {
				t.Errorf("%s: a bar from %.1f, %.1f wide, lies outside", row.Day.Format(time.DateOnly), bar.X, bar.W)
			}
		}
	}
	if bar := rows[0].Bars[0]; bar.X != chartLeft+2.5*hourWidth || bar.Why != "window" {
		t.Errorf("half past two lies at %.1f, and is %s", bar.X, bar.Why)
	}
	if bars := rows[17].Bars; bars[len(bars)-1].Why != "strange" {
		t.Errorf("the 18th: %+v", bars)
	}
}

// A door that rests open is not drawn, and one that was never seen shut stands open to
// the end.
func TestDoorsOfATimeline(t *testing.T) {
	at := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	var b book
	b.write(ledger.Entry{Time: at, Kind: ledger.KindDoor, Door: "departments-door", From: "shut", To: "opening"}, nil)
	b.write(ledger.Entry{Time: at, Kind: ledger.KindDoor, Actor: "schedule", Window: "w1", Door: "vault-door", From: "shut", To: "opening"}, nil)
	b.write(ledger.Entry{Time: at.Add(time.Hour), Kind: ledger.KindDoor, Door: "vault-door", From: "shutting", To: "stuck"}, nil)
	r, err := Read(t.Context(), Config{Zone: time.UTC, From: at, To: at.AddDate(0, 0, 2), Made: at.Add(36 * time.Hour), Open: map[string]bool{"departments-door": true}}, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	charts := r.Charts()
	if len(charts) != 1 || charts[0].Door != "vault-door" || charts[0].Rows[0].Exposure != 24*time.Hour || charts[0].Rows[1].Exposure != 12*time.Hour {
		t.Errorf("charts %+v", charts)
	}
}

// What others chose the names of stays text, and the page asks nobody for anything. With
// AIRLOCK_PAGES, the pages are left in that folder, to be looked at.
func TestPages(t *testing.T) {
	for _, language := range []string{"en", "ja"} {
		var page bytes.Buffer
		if err := readNovember(t, language == "ja").WriteHTML(&page); err != nil {
			t.Fatal(err)
		}
		text := page.String()
		if strings.Contains(text, "<script") || strings.Contains(text, "<b>至急") || strings.Contains(text, "ZgotmplZ") {
			t.Error("names are taken for HTML")
		}
		if !strings.Contains(text, ": 3/812, 31") || !strings.Contains(text, ": 4, 5<") {
			t.Error("what was read back and dropped is not told")
		}
		if found := regexp.MustCompile(`(?i)https?://|src=|@import|url\(`).FindString(text); found != "" {
			t.Errorf("the page asks for %s", found)
		}
		if dir := os.Getenv("AIRLOCK_PAGES"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, language+".html"), page.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestEverythingIsSaidInJapanese(t *testing.T) {
	words, used := japanese(), map[string]bool{}
	for _, m := range regexp.MustCompile(`\bt "([^"]+)"`).FindAllStringSubmatch(page, -1) {
		used[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`countOf \S+(?: \S+\))? "([^"]+)" "([^"]+)"`).FindAllStringSubmatch(page, -1) {
		used[m[1]], used[m[2]] = true, true
	}
	if len(used) < 60 {
		t.Fatalf("only %d texts were found", len(used))
	}
	for text := range used {
		if words[text] == "" {
			t.Errorf("the Japanese lacks %q", text)
		}
	}
	results := []string{"repair", "repository", "guard", "patrol", "start-up", "s", "min", "h", "met", "NOT MET", "copying", "restoring", "verifying", "listing", "healing", "done", "in part", "held", "failed", "refused", "cut", "sound", "damaged", "locked", "released", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
	for _, text := range results {
		used[text] = true
	}
	for text := range words {
		if !used[text] {
			t.Errorf("nobody says %q", text)
		}
	}
}

func TestWholeYear(t *testing.T) {
	var b book
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for d := range 365 {
		b.window(fmt.Sprint(d), first.AddDate(0, 0, d).Add(150*time.Minute), 4*time.Second, "schedule", "", "done", "")
	}
	r, err := Read(t.Context(), Config{Zone: time.UTC, From: first, To: first.AddDate(1, 0, 0), Made: first.AddDate(2, 0, 0)}, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	months := r.Months()
	if len(months) != 12 || months[1].Windows != 28 || months[1].Exposure != 28*4*time.Second {
		t.Errorf("months %+v", months)
	}
	if c := r.Charts()[0]; c.Height > 1200 {
		t.Errorf("the picture of a year is %d high", c.Height)
	}
	if dir := os.Getenv("AIRLOCK_PAGES"); dir != "" {
		f, err := os.Create(filepath.Join(dir, "year.html"))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.WriteHTML(f); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// An opening that an executor did not live to end counts with the longest that it can have
// been, keeps who wanted it and why, and everything on the page says the same of it.
func TestOpeningThatWasCut(t *testing.T) {
	zone := time.UTC
	day := time.Date(2026, 11, 30, 22, 0, 0, 0, zone)
	door := func(b *book, at time.Time, actor, from, to string, detail any) {
		b.write(ledger.Entry{Time: at, Kind: ledger.KindDoor, Actor: actor, Door: "vault-door", Vault: "secondary", Window: "w1", From: from, To: to}, detail)
	}
	var b, guard book
	b.write(ledger.Entry{Time: day, Kind: ledger.KindStart, Actor: "user root", Reason: "airlock serve"}, nil)
	b.write(ledger.Entry{Time: day.Add(time.Minute), Kind: ledger.KindWindow, Actor: "user root", Reason: "before the upgrade", Vault: "secondary", Window: "w1", To: "copying"}, nil)
	opened := day.Add(time.Minute)
	door(&b, opened, "user root", "shut", "opening", nil)
	door(&b, opened.Add(time.Second), "user root", "opening", "open", nil)
	door(&guard, opened.Add(76*time.Second), "guard", "open", "shutting", nil)
	door(&guard, opened.Add(78*time.Second), "guard", "shutting", "shut", nil)
	again := opened.Add(10 * time.Minute)
	b.write(ledger.Entry{Time: again, Kind: ledger.KindStart, Actor: "user root", Reason: "airlock serve"}, nil)
	door(&b, again.Add(time.Second), "start-up", "unknown", "shut", nil)
	b.write(ledger.Entry{Time: again.Add(2 * time.Second), Kind: ledger.KindWindow, Actor: "start-up", Reason: "the executor ended in the middle of this window", Vault: "secondary", Window: "w1", From: "copying", To: "cut"},
		orchestrator.WindowRecord{ID: "w1", Result: "cut", OpenedAt: opened, Exposure: 78, AtMost: true, ShutBy: "guard"})
	r, err := Read(t.Context(), Config{Zone: zone, From: day, To: day.Add(time.Hour), Made: day.Add(time.Hour), Serving: true}, b, guard)
	if err != nil {
		t.Fatal(err)
	}
	_, longest, bounded := r.Exposure()
	if longest != 78*time.Second || !bounded || len(r.Explained()) != 1 || len(r.Strange()) != 0 || len(r.Bounded()) != 1 {
		t.Errorf("longest %s (a bound: %t), openings %+v", longest, bounded, r.Openings)
	}
	if len(r.ByHand) != 1 || r.ByHand[0].Line.Actor != "user root" || r.ByHand[0].Line.Reason != "before the upgrade" {
		t.Errorf("by hand: %+v", r.ByHand)
	}
	if row := r.Charts()[0].Rows[0]; row.Exposure != 78*time.Second || !row.AtMost {
		t.Errorf("the picture has %s", row.Exposure)
	}
	var page bytes.Buffer
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Nobody measured how long 1 opening lasted", "≤ 78.0 s", "shut by guard", "the executor ended in the middle"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(page.String(), "Every opening in this time is accounted for") {
		t.Error("the page calls everything accounted for")
	}
}

// What nobody watched is drawn as unknown: before the ledger began, while only commands ran,
// and from the last entry of an executor that was killed.
func TestWatched(t *testing.T) {
	at := func(h int) time.Time { return time.Date(2026, 11, 30, h, 0, 0, 0, time.UTC) }
	start := func(h int, command string) ledger.Entry {
		return ledger.Entry{Time: at(h), Kind: ledger.KindStart, Actor: "user root", Reason: "airlock " + command}
	}
	var b book
	b.write(start(3, "gather"), nil)
	b.write(start(6, "serve"), nil)
	b.write(ledger.Entry{Time: at(9), Kind: ledger.KindStop, Actor: "user root", Reason: "airlock serve"}, nil)
	b.write(start(12, "serve"), nil)
	b.write(ledger.Entry{Time: at(13), Kind: ledger.KindGather, Actor: "schedule", System: "imaging", To: "done"}, nil)
	b.write(start(18, "serve"), nil)
	for _, serving := range []bool{true, false} {
		r, err := Read(t.Context(), Config{Zone: time.UTC, From: at(0), To: at(22), Made: at(22), Serving: serving}, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := []Watched{{at(0), at(6)}, {at(9), at(12)}, {at(13), at(18)}}
		if !serving {
			want[2].To = at(22)
		}
		if got := r.unwatched(at(0), at(22)); !slices.Equal(got, want) {
			t.Errorf("serving %t: unwatched %v, want %v", serving, got, want)
		}
	}
	r, err := Read(t.Context(), Config{Zone: time.UTC, From: at(7), To: at(8), Made: at(22)}, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if gaps := r.unwatched(at(7), at(8)); len(gaps) > 0 {
		t.Errorf("an hour in which serve ran, as later entries show: %v", gaps)
	}
}
