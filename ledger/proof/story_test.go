package proof

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// tale is a ledger in short: each line is an entry.
//
//	start
//	clock
//	window ID from to [detail]
//	door NAME from to [window] [late] [detail]
//
// In a detail, T+n stands for the time n seconds after the first entry.
func tale(t testing.TB, text string) []Entry {
	t.Helper()
	began := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	var all []Entry
	for i, words := range strings.Split(strings.TrimSpace(text), "\n") {
		at := began.Add(time.Duration(i) * time.Second)
		w := strings.Fields(words)
		e := Entry{
			Version: 2, Seq: int64(i + 1), Time: at, Recorded: at, Kind: Kind(w[0]), Actor: "schedule", Vault: "v",
			Run: "r", Mono: time.Duration(i) * time.Second, Clock: ClockFree,
		}
		rest := w[1:]
		if e.Kind == KindDoor || e.Kind == KindWindow {
			e.From, e.To = strings.Trim(w[2], "-"), w[3]
			if rest = w[4:]; e.Kind == KindWindow {
				e.Window = w[1]
			} else {
				e.Door = w[1]
			}
		}
		for _, word := range rest {
			switch {
			case word == "late":
				e.Late = true
			case strings.HasPrefix(word, "{"):
				for n := range 100 {
					word = strings.ReplaceAll(word, fmt.Sprintf("T+%d\"", n), began.Add(time.Duration(n)*time.Second).Format(time.RFC3339)+`"`)
				}
				e.Detail = []byte(word)
			default:
				e.Window = word
			}
		}
		all = append(all, e)
	}
	return all
}

func judge(t testing.TB, entries []Entry) Report {
	t.Helper()
	var items []Item
	for _, e := range entries {
		leaf, err := AppendLeaf(nil, &e)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, ItemOfLeaf(leaf))
	}
	a := NewAudit(nil)
	if err := a.Run(t.Context(), func(yield func(func() []Item, error) bool) { yield(func() []Item { return items }, nil) }, nil); err != nil {
		t.Fatal(err)
	}
	return a.End()
}

// wholeNight is a story as it should be.
const wholeNight = `
start
door out unknown shut {"reading":{"admin":2,"oper":2}}
door in unknown open {"side":"inner"}
window w1 - copying
door in open shutting w1 {"side":"inner"}
door in shutting shut w1 {"side":"inner","reading":{"admin":2,"oper":2}}
door out shut opening w1
door out opening open w1
door out open shutting w1
door out shutting shut w1 {"reading":{"admin":2,"oper":2},"exposure_seconds":2.5}
door in shut opening w1 {"side":"inner"}
window w1 copying done {"opened_at":"T+6","proven_at":"T+9","exposure_seconds":2.5}
door in opening open w1 {"side":"inner"}
`

func TestStory(t *testing.T) {
	const proven = `{"reading":{"admin":2,"oper":2},"exposure_seconds":2.5}`
	for name, c := range map[string]struct {
		old, new string // in wholeNight
		want     string // a grave finding; "" for none
		notice   string
	}{
		"whole":                   {"start", "start", "", ""},
		"no window":               {"window w1 - copying", "alarm", "no window is in course", ""},
		"another window":          {"window w1 - copying", "window w2 - copying", "no window is in course", "has no end yet"},
		"no end of the window":    {"window w1 copying", "gather w1 copying", "", "has no end yet"},
		"end of another":          {"window w1 copying done", "window w9 copying done", "never began", ""},
		"refused before it began": {"window w1 copying done", "window w9 copying refused", "", ""},
		"ends as another":         {"window w1 copying done", "window w1 restoring done", "ends as another", ""},
		"began twice":             {"window w1 copying done", "window w1 - copying", "began twice", ""},
		"intent was late":         {"door out shut opening w1", "door out shut opening w1 late", "before the intent was durable", ""},
		"open without intent":     {"door out shut opening w1\n", "", "goes from opening, and was shut", ""},
		"intent was not taken": {
			"window w1 copying done {\"opened_at\":\"T+6\",\"proven_at\":\"T+9\",\"exposure_seconds\":2.5}\n",
			"window w1 copying done\nwindow w2 - copying\ndoor out opening shutting w2\ndoor out shutting shut w2 {\"reading\":{\"admin\":2,\"oper\":2}}\nwindow w2 copying failed\n", "", "",
		},
		"it was carried out":         {"door out shut opening w1\ndoor out opening open w1\ndoor out open shutting w1\n", "door out opening shutting w1\n", "no entry announced it", ""},
		"open without opening":       {"door out shut opening w1\ndoor out opening open w1", "door out shut open w1", "cannot go from shut to open", ""},
		"window without intent":      {"door out shut opening w1\ndoor out opening open w1\ndoor out open shutting w1\ndoor out shutting", "door out shut shutting w1\ndoor out shutting", "no entry announced it", ""},
		"opening without an end":     {"door out shutting shut w1 " + proven + "\n", "", "door in is opened while door out is shutting", "not proven shut"},
		"shut without a reading":     {proven, `{"exposure_seconds":2.5}`, "no reading proves it", ""},
		"shut while it is up":        {proven, `{"reading":{"admin":1,"oper":2},"exposure_seconds":2.5}`, "no reading proves it", ""},
		"shut while there is a link": {proven, `{"reading":{"admin":2,"oper":1},"exposure_seconds":2.5}`, "no reading proves it", ""},
		"shut while it answers":      {proven, `{"reading":{"admin":2,"oper":2},"probe":"answers","exposure_seconds":2.5}`, "no reading proves it", ""},
		"exposure does not add up":   {`"T+9","exposure_seconds":2.5`, `"T+9","exposure_seconds":2.4`, "says 2.400 s", ""},
		"exposure too long":          {proven, `{"reading":{"admin":2,"oper":2},"exposure_seconds":3.5}`, "tell otherwise", ""},
		"exposure too short":         {proven, `{"reading":{"admin":2,"oper":2},"exposure_seconds":0.5}`, "tell otherwise", ""},
		"nobody measured":            {proven, `{"reading":{"admin":2,"oper":2}}`, "", "at most 3.000 s"},
		"inner door stands open":     {"door in open shutting w1 {\"side\":\"inner\"}\ndoor in shutting shut w1 {\"side\":\"inner\",\"reading\":{\"admin\":2,\"oper\":2}}\n", "", "S6", ""},
		"a door jumps":               {"door out open shutting w1", "door out open stuck w1", "cannot go from open to stuck", ""},
		"record ahead of the door": {
			"door out open shutting w1", "window w1 copying done {\"opened_at\":\"T+6\",\"proven_at\":\"T+10\",\"exposure_seconds\":2}\ndoor out open shutting w1",
			"says 2.000 s", "",
		},
		"found open":                {"door out unknown shut {", "door out unknown shutting {\"reading\":{\"admin\":1,\"oper\":1}}\ndoor out shutting shut {", "", "was found open"},
		"stuck, and shut after all": {"door out shutting shut w1", "door out shutting stuck w1\ndoor out stuck shut w1", "", "could not be proven shut in time"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(wholeNight, c.old) {
				t.Fatalf("the night has no %q", c.old)
			}
			report := judge(t, tale(t, strings.Replace(wholeNight, c.old, c.new, 1)))
			has := func(grave bool, text string) bool {
				return slices.ContainsFunc(report.Findings, func(f Finding) bool { return f.Grave == grave && strings.Contains(f.String(), text) })
			}
			if report.Sound() != (c.want == "") || c.want != "" && !has(true, c.want) {
				t.Errorf("found %v; want %q", report.Findings, c.want)
			}
			if c.notice != "" && !has(false, c.notice) {
				t.Errorf("found %v; want the notice %q", report.Findings, c.notice)
			}
		})
	}
}

func TestNightIsSummed(t *testing.T) {
	report := judge(t, tale(t, wholeNight))
	if report.Windows != 1 || report.Openings != 1 || report.Exposure != 2500*time.Millisecond || report.Entries != 13 || report.Kinds[KindDoor] != 10 {
		t.Errorf("the night comes to %+v", report)
	}
}

// An executor that was killed in a window leaves the proof to the next one.
func TestCutNight(t *testing.T) {
	report := judge(t, tale(t, `
start
door out unknown shut {"reading":{"admin":2,"oper":2}}
window w1 - copying
door out shut opening w1
door out opening open w1
start
door out unknown shutting {"reading":{"admin":1,"oper":1}}
window w1 copying cut {"id":"w1"}
door out shutting shut {"reading":{"admin":2,"oper":2}}
window w2 - copying
door out shut opening w2
door out opening shutting w2
door out shutting shut w2 {"reading":{"admin":2,"oper":2},"exposure_seconds":2}
window w2 copying failed {"opened_at":"T+10","proven_at":"T+12","exposure_seconds":2}
`))
	if !report.Sound() || report.Openings != 2 || report.Exposure != 7*time.Second {
		t.Errorf("found %+v", report)
	}
	report = judge(t, tale(t, `
start
door out unknown shut {"reading":{"admin":2,"oper":2}}
window w1 - copying
door out shut opening w1
start
window w2 - copying
door out shut opening w2
`))
	if report.Sound() || !strings.Contains(fmt.Sprint(report.Findings), "was never proven shut") {
		t.Errorf("an opening without a proof of closure before the next: %v", report.Findings)
	}
}

func TestTimes(t *testing.T) {
	const minute = time.Minute
	alarms := "alarm\nalarm\nalarm\nalarm"
	back := func(e *Entry) { e.Time, e.Recorded = e.Time.Add(-minute), e.Recorded.Add(-minute) }
	for name, c := range map[string]struct {
		text  string
		spoil func([]Entry)
		want  string
	}{
		"in order":             {alarms, func([]Entry) {}, ""},
		"recorded before":      {alarms, func(all []Entry) { back(&all[2]) }, "no entry says that the clock was set"},
		"happened after":       {alarms, func(all []Entry) { all[2].Time = all[2].Time.Add(minute) }, "no entry says that the clock was set"},
		"happened long before": {alarms, func(all []Entry) { all[2].Time = all[2].Time.Add(-minute) }, ""},
		"told before":          {"alarm\nclock\nalarm\nalarm", func(all []Entry) { back(&all[1]); back(&all[2]); back(&all[3]) }, ""},
		"told after":           {"alarm\nalarm\nclock\nalarm", func(all []Entry) { back(&all[1]); back(&all[2]); back(&all[3]) }, ""},
		"steady clock back":    {alarms, func(all []Entry) { all[2].Mono = 0 }, "by the steady clock"},
		"another run":          {alarms, func(all []Entry) { all[2].Mono, all[2].Run, all[3].Run = 0, "s", "s" }, ""},
		"late, of another run": {alarms, func(all []Entry) { all[2].Mono, all[2].Run, all[2].Late = 0, "s", true }, ""},
		"number missing":       {alarms, func(all []Entry) { all[2].Seq, all[3].Seq = 4, 5 }, "it stands where entry 3 belongs"},
	} {
		all := tale(t, c.text)
		c.spoil(all)
		report := judge(t, all)
		if report.Sound() != (c.want == "") || c.want != "" && !strings.Contains(report.Findings[0].Text, c.want) {
			t.Errorf("%s: found %v; want %q", name, report.Findings, c.want)
		}
	}
}
