//go:build linux

package openings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"
)

const (
	door  = "vault-door"
	vault = "secondary"
	// within is by how much the sampler, which looks every millisecond, may differ.
	within = 0.005
	// exact is the last place of what is told to a thousandth of a second.
	exact = 0.0011
)

// told is what somebody tells of one opening, in seconds. The zero told is that the window
// opened no door.
type told struct {
	opened   bool
	seconds  float64
	off      float64 // the place to which it is told
	atMost   bool
	from, to time.Time // where it is told
	shutBy   string
}

func (t told) String() string {
	switch {
	case !t.opened:
		return "not opened"
	case t.atMost:
		return fmt.Sprintf("≤ %.3f s", t.seconds)
	}
	return fmt.Sprintf("%.3f s", t.seconds)
}

// like reports whether two tell the same.
func (t told) like(u told) bool {
	return t.opened == u.opened && t.atMost == u.atMost && math.Abs(t.seconds-u.seconds) <= max(t.off, u.off)
}

// sum is what somebody tells of all openings.
type sum struct {
	openings, bounded, unexplained int
	all, longest, off              float64 // seconds, and the place to which they are told
}

func (s sum) String() string {
	return fmt.Sprintf("%d | %d | %d | %.3f s | %.3f s", s.openings, s.bounded, s.unexplained, s.all, s.longest)
}

func (s sum) like(u sum) bool {
	off := max(s.off, u.off)
	return s.openings == u.openings && s.bounded == u.bounded && s.unexplained == u.unexplained &&
		math.Abs(s.all-u.all) <= off && math.Abs(s.longest-u.longest) <= off
}

// sums are by who tells them.
type sums map[string]sum

// status takes what the running executor tells of the newest window, in each of its ways.
func (h *hospital) status(number int, one *trial) {
	h.t.Helper()
	var st struct {
		Vaults map[string]struct {
			Last *struct {
				ID       string
				OpenedAt time.Time `json:"opened_at"`
				Exposure float64   `json:"exposure_seconds"`
				AtMost   bool      `json:"exposure_at_most"`
				ShutBy   string    `json:"shut_by"`
			} `json:"last_window"`
		}
	}
	out, _ := h.says(airlock, h.with([]string{"status", "--json"})...)
	h.must(json.Unmarshal(out, &st))
	last := st.Vaults[vault].Last
	if one.window == "" {
		return
	}
	if last == nil || last.ID != one.window {
		h.t.Errorf("trial %d: the status does not tell of window %s: %s", number, one.window, out)
		return
	}
	if !last.OpenedAt.IsZero() {
		lasted := time.Duration(last.Exposure * float64(time.Second))
		one.told = told{true, last.Exposure, exact, last.AtMost, last.OpenedAt, last.OpenedAt.Add(lasted), last.ShutBy}
	}
	for who, is := range map[string]told{"/metrics": h.metrics(), "status --nagios": h.nagios()} {
		if !is.like(one.told) {
			h.t.Errorf("trial %d, %s: %s tells %s, and the status %s", number, one, who, is, one.told)
		}
	}
}

func (h *hospital) metrics() told {
	h.t.Helper()
	self, err := os.Executable()
	h.must(err)
	out, code := h.says("env", scrapeVariable+"=http://127.0.0.1:9470/metrics", self)
	if code != 0 {
		h.t.Fatal("no metrics")
	}
	value := func(name string) (float64, bool) {
		m := regexp.MustCompile(`(?m)^` + name + `\{vault="` + vault + `"\} (\S+)$`).FindSubmatch(out)
		if m == nil {
			return 0, false
		}
		v, err := strconv.ParseFloat(string(m[1]), 64)
		h.must(err)
		return v, true
	}
	seconds, opened := value("airlock_window_exposure_seconds")
	atMost, _ := value("airlock_window_exposure_at_most")
	return told{opened: opened, seconds: seconds, off: exact, atMost: atMost == 1}
}

func (h *hospital) nagios() told {
	h.t.Helper()
	out, _ := h.says(airlock, h.with([]string{"status", "--nagios"})...)
	m := regexp.MustCompile(`'exposure_` + vault + `'=([0-9.]+)s`).FindSubmatch(out)
	if m == nil {
		return told{}
	}
	seconds, err := strconv.ParseFloat(string(m[1]), 64)
	h.must(err)
	return told{opened: true, seconds: seconds, off: exact, atMost: strings.Contains(string(out), "stood open for at most "+string(m[1])+" s")}
}

// add is what those tell that add openings up.
func (h *hospital) add() sums {
	h.t.Helper()
	report, _ := h.report()
	all := sums{"audit report": report}
	all["audit verify"], _ = h.verify()
	all["airlock-audit"], _ = h.auditor()
	return all
}

// bounds are the openings that nobody measured, by the numbers of their entries.
type bounds map[int64]float64

func (h *hospital) verify() (sum, bounds) {
	h.t.Helper()
	var r proof.Report
	h.must(json.Unmarshal(h.airlock("audit", "verify", "--json"), &r))
	return h.audited(r)
}

func (h *hospital) auditor() (sum, bounds) {
	h.t.Helper()
	file := filepath.Join(h.Dir, "ledger.airlock")
	if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	h.airlock("audit", "export", file)
	out, code := h.says(auditor, "verify", file, "--key", filepath.Join(h.StateDir(), "keys", "site.pub"), "--json")
	if code != 0 {
		h.t.Errorf("airlock-audit: exit code %d\n%s", code, out)
	}
	var x struct{ Report proof.Report }
	h.must(json.Unmarshal(out, &x))
	return h.audited(x.Report)
}

func (h *hospital) audited(r proof.Report) (sum, bounds) {
	h.t.Helper()
	b := bounds{}
	for _, f := range r.Findings {
		if _, most, ok := strings.Cut(f.Text, "at most "); ok && f.Rule == "exposure" {
			seconds, err := strconv.ParseFloat(strings.Fields(most)[0], 64)
			h.must(err)
			b[f.Seq] = seconds
		}
	}
	return sum{int(r.Openings), int(r.Bounded), int(r.Unexplained), r.Exposure.Seconds(), r.Longest.Seconds(), exact}, b
}

var (
	tile = regexp.MustCompile(`<b>([^<]*)</b><span>([^<]*)</span>`)
	cell = regexp.MustCompile(`(?s)<td[^>]*>(.*?)</td>`)
)

// report is what the page for auditors tells: its tiles, and the rows of its windows by the
// numbers of their entries.
func (h *hospital) report() (sum, map[int64]told) {
	h.t.Helper()
	page := string(h.airlock("audit", "report", "--lang", "en"))
	tiles := map[string]string{}
	for _, m := range tile.FindAllStringSubmatch(page, -1) {
		tiles[m[2]] = m[1]
	}
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		h.must(err)
		return n
	}
	all, longest := h.lasting(tiles["doors open in all"]), h.lasting(tiles["longest opening"])
	s := sum{unexplained: number(tiles["openings not accounted for"]), all: all.seconds, longest: longest.seconds, off: max(all.off, longest.off)}
	s.openings = number(tiles["openings by windows"]) + s.unexplained
	if m := regexp.MustCompile(`Nobody measured how long (\d+) opening`).FindStringSubmatch(page); m != nil {
		s.bounded = number(m[1])
	}
	if all.atMost != (s.bounded > 0) {
		h.t.Errorf("the report's sum is %q, and its banner counts %d", tiles["doors open in all"], s.bounded)
	}
	rows := map[int64]told{}
	_, table, _ := strings.Cut(page, "<h2>All windows")
	table, _, _ = strings.Cut(table, "</table>")
	for row := range strings.SplitSeq(table, "<tr>") {
		cells := cell.FindAllStringSubmatch(row, -1)
		if len(cells) != 9 {
			continue
		}
		open, _, _ := strings.Cut(cells[4][1], "<br>")
		rows[int64(number(cells[8][1]))] = h.lasting(open)
	}
	return s, rows
}

// lasting reads a time as the report writes it.
func (h *hospital) lasting(text string) (t told) {
	h.t.Helper()
	if text == "–" {
		return t
	}
	text, t.atMost = strings.CutPrefix(text, "≤ ")
	t.opened = true
	words := strings.Fields(text)
	switch len(words) {
	case 4: // "2 min 05 s", cut down to the second
		minutes, err1 := strconv.Atoi(words[0])
		seconds, err2 := strconv.Atoi(words[2])
		if err1 == nil && err2 == nil && words[1] == "min" {
			t.seconds, t.off = float64(60*minutes+seconds), 1
			return t
		}
	case 2:
		seconds, err := strconv.ParseFloat(words[0], 64)
		if _, places, _ := strings.Cut(words[0], "."); err == nil && words[1] == "s" {
			t.seconds, t.off = seconds, 0.51*math.Pow10(-len(places))
			return t
		}
	}
	h.t.Fatalf("the report has %q where a time belongs", text)
	return t
}

// list is what somebody reads off audit list, by windows: from the command to open the door
// to what was measured then, or else to the first time that either ledger calls it shut.
func (h *hospital) list() map[string]told {
	h.t.Helper()
	all := map[string]told{}
	open := ""
	for _, e := range h.doors() {
		switch t, ok := all[open]; {
		case e.To == "opening":
			open = e.Window
			all[open] = told{opened: true, from: e.Time, off: exact, atMost: true}
		case e.To == "shut" && ok:
			var d struct {
				Exposure float64 `json:"exposure_seconds"`
			}
			if len(e.Detail) > 0 {
				h.must(json.Unmarshal(e.Detail, &d))
			}
			if t.to, t.seconds = e.Time, e.Time.Sub(t.from).Seconds(); d.Exposure > 0 {
				t.seconds, t.atMost = d.Exposure, false
			}
			all[open], open = t, ""
		}
	}
	return all
}

// doors are the entries about the vault's door, of both ledgers, by their time.
func (h *hospital) doors() (all []ledger.Entry) {
	h.t.Helper()
	for _, ledgers := range [][]string{nil, {"--ledger", h.guardLedger()}} {
		for line := range bytes.Lines(h.airlock(append([]string{"audit", "list", "--kind", "door", "--door", door, "--json"}, ledgers...)...)) {
			var e ledger.Entry
			h.must(json.Unmarshal(line, &e))
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b ledger.Entry) int { return a.Time.Compare(b.Time) })
	return all
}

// neverLess wants no teller to make less of an opening whose end nobody wrote down yet than
// it has lasted.
func (h *hospital) neverLess(number int, one *trial, seen int, before sums) {
	h.t.Helper()
	least := h.up(seen).least().Seconds()
	for who, now := range h.add() {
		if told := now.all - before[who].all; told < least-within-2*now.off {
			h.t.Errorf("S3: trial %d, %s: before the next start %s tells %.3f s of an opening that has lasted %.3f s", number, one, who, told, least)
		}
	}
	if out, code := h.says(airlock, h.with([]string{"status", "--nagios"})...); code != 2 {
		h.t.Errorf("trial %d: nobody serves, and Nagios is told %d: %s", number, code, out)
	}
}
