package main

import (
	"fmt"
	"strings"
	"time"

	"airlock/blob"
	"airlock/orchestrator"
)

const timeLayout = "2006-01-02 15:04:05 MST"

// namedFiles is how many files that failed are named; --json names more.
const namedFiles = 20

func (a *app) printGathered(all []orchestrator.Gathered) {
	for _, g := range all {
		switch g.Result {
		case "done":
			a.print("%s: %s, %s, of which %s new to the repository, in %s", g.System, a.count(int(g.Files), "%d file", "%d files"),
				orchestrator.Size(g.Bytes), orchestrator.Size(g.NewBytes), g.End.Sub(g.Start).Round(100*time.Millisecond))
		case "in part":
			a.print("%s: in part: %s, %s; not read: %s", g.System, a.count(int(g.Files), "%d file", "%d files"),
				orchestrator.Size(g.Bytes), a.count(int(g.NotRead), "%d file", "%d files"))
			a.printFailed(g.Failed, g.NotRead)
		case "held":
			a.print("%s: HELD: %s, %s: %s", g.System, a.count(int(g.Files), "%d file", "%d files"), orchestrator.Size(g.Bytes), a.words.tell(g.Held))
		default:
			a.print("%s: %s", g.System, a.words.tell(g.Result)) // why, the error says
		}
		if g.Braked != "" {
			a.print("%s: no snapshot was dropped: %s", g.System, g.Braked)
		}
		if n := len(g.Loops); n > 0 {
			a.print("%s: links that lead back, left out: %s", g.System, plain(strings.Join(g.Loops[:min(n, namedFiles)], ", ")))
		}
		if n := len(g.TooLong); n > 0 {
			a.print("%s: names of more than 255 bytes, which no Linux disk takes and a restore leaves out: %s", g.System, plain(strings.Join(g.TooLong[:min(n, namedFiles)], ", ")))
		}
		if n := len(g.Changed); n > 0 {
			a.print("%s: written to while they were read: %s", g.System, plain(strings.Join(g.Changed[:min(n, namedFiles)], ", ")))
		}
	}
}

// printFailed names files; there were total.
func (a *app) printFailed(files []orchestrator.FileError, total int64) {
	shown := files[:min(len(files), namedFiles)]
	for _, f := range shown {
		fmt.Fprintf(a.out, "  %s: %s\n", plain(f.Path), plain(f.Error))
	}
	if more := total - int64(len(shown)); more > 0 {
		a.print("  and %d more", more)
	}
}

// printWindow says how long the door stood open, beside what the bytes need on the
// wire. A window that was refused has nothing to tell that its error does not.
func (a *app) printWindow(r orchestrator.WindowRecord) {
	if r.Purpose == "copying" && r.Result != "refused" && r.Result != "" {
		sent := a.text("%s: window %s: %s, %s sent", r.Vault, a.words.tell(r.Result), a.count(r.Blobs, "%d blob", "%d blobs"), orchestrator.Size(r.Bytes))
		if r.Generation > 0 {
			sent += a.text(", generation %d", r.Generation)
		}
		fmt.Fprintln(a.out, sent)
		if b := r.ReadBack; b != nil {
			a.print("%s: read back: %s of the right size, bytes of %s compared (%s), %s amiss", r.Vault,
				a.count(b.Blobs-len(b.Missing)-len(b.Resized), "%d blob", "%d blobs"), a.count(b.Read, "%d blob", "%d blobs"), orchestrator.Size(b.Bytes), a.count(len(b.Amiss()), "%d blob", "%d blobs"))
		}
		a.printRetention(r)
	}
	if r.OpenedAt.IsZero() {
		return
	}
	if r.ShutAt.IsZero() {
		a.print("%s: door opened at %s, NOT seen shut since", r.Vault, r.OpenedAt.Format(timeLayout))
		return
	}
	exposure := a.text("door open for %.2f s", r.Exposure)
	if (r.Purpose == "copying" || r.Bytes > 0) && r.Speed > 0 {
		exposure += a.text("; the bytes need %.2f s on the wire at %s", r.Wire, speedWord(r.Speed))
	}
	if r.ProvenAt.IsZero() {
		exposure += a.text("; NOT proven shut")
	} else {
		exposure += a.text("; proven shut %.2f s later", r.Proof)
	}
	fmt.Fprintf(a.out, "%s: %s\n", r.Vault, exposure)
}

func (a *app) printRetention(r orchestrator.WindowRecord) {
	switch k := r.Retention; {
	case k == nil:
	case k.Held != "":
		a.print("%s: nothing was dropped: %s", r.Vault, k.Held)
	case len(k.Dropped)+k.Blobs > 0:
		a.print("%s: dropped %s, %s (%s); %s stay", r.Vault, a.count(len(k.Dropped), "%d generation", "%d generations"),
			a.count(k.Blobs, "%d blob", "%d blobs"), orchestrator.Size(k.Bytes), a.count(k.Kept, "%d generation", "%d generations"))
	}
}

func (a *app) printRestored(r orchestrator.Restored, zone *time.Location) {
	if r.Result == "done" || r.Result == "in part" {
		a.print("%s as of %s restored to %s: %s, %s, in %.1f s", r.System, r.Taken.In(zone).Format(timeLayout), r.To,
			a.count(int(r.Files), "%d file", "%d files"), orchestrator.Size(r.Bytes), r.Elapsed)
	}
	switch {
	case r.Number > 0 && r.Drill:
		a.print("from generation %d of %s: %s, %s, came through the door; a drill takes nothing from the repository", r.Number, r.From,
			a.count(r.Fetched, "%d blob", "%d blobs"), orchestrator.Size(r.FetchedBytes))
	case r.Number > 0:
		a.print("from generation %d of %s: %s, %s, came through the door; the repository had the rest", r.Number, r.From,
			a.count(r.Fetched, "%d blob", "%d blobs"), orchestrator.Size(r.FetchedBytes))
	}
	a.printLacks(r.Lacks)
	if r.RTOMet != nil && r.Complete {
		a.print("its RTO is %s", a.words.tell(map[bool]string{true: "met", false: "NOT MET"}[*r.RTOMet]))
	}
	if r.NotDone > 0 {
		a.print("%d of %d files restored; not restored, or not as they were: %s", r.Files, r.Wanted, a.count(int(r.NotDone), "%d name", "%d names"))
		a.printFailed(r.Failed, r.NotDone)
	}
	if r.List != "" {
		a.print("all of them: %s", r.List)
	}
	a.printWindows(r.Windows)
}

func (a *app) printWindows(all []orchestrator.WindowRecord) {
	for _, r := range all {
		a.printWindow(r)
	}
}

// printLacks names blobs that nobody has any more.
func (a *app) printLacks(all []blob.Fault) {
	for _, l := range all[:min(len(all), namedFiles)] {
		a.print("  blob %s: %s", l.Name, plain(l.Why))
	}
	if more := len(all) - namedFiles; more > 0 {
		a.print("  and %d more", more)
	}
}

func (a *app) printVerified(v orchestrator.Verified) {
	switch {
	case v.Vault == "" && v.Result != "failed":
		a.print("repository %s: %s, %s read back, %s", a.words.tell(v.Result), a.count(v.Snapshots, "%d snapshot", "%d snapshots"),
			a.count(int(v.Files), "%d file", "%d files"), orchestrator.Size(v.Bytes))
	case v.Generation > 0:
		a.print("vault %s %s: generation %d, %s, %s of them read back", v.Vault, a.words.tell(v.Result), v.Generation,
			a.count(v.Blobs, "%d blob", "%d blobs"), orchestrator.Size(v.Bytes))
	}
	for _, d := range v.Damaged {
		fmt.Fprintf(a.out, "  %s\n", plain(d.What))
	}
	if v.Window != nil {
		a.printWindow(*v.Window)
	}
}
