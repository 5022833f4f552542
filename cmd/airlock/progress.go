package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"airlock/orchestrator"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

func (a *app) jsonFlag(c *cobra.Command) {
	c.Flags().BoolVar(&a.json, "json", false, "print JSON, for machines")
}

func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// progress shows how far things have come: bars with rate and time left on a terminal,
// a line now and then elsewhere, nothing with --json.
func (a *app) progress() (watch orchestrator.Watch, end func()) {
	if a.json {
		return func(orchestrator.Progress) {}, func() {}
	}
	if f, ok := a.errs.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		b := &bars{pool: mpb.New(mpb.WithOutput(f), mpb.WithRefreshRate(100*time.Millisecond)), bars: map[string]*bar{}}
		return b.watch, b.end
	}
	l := &lines{out: a.errs, tasks: map[string]*lineOf{}}
	return l.watch, func() {}
}

// every is how often a task that goes on without news gets a line.
const lineEvery = 10 * time.Second

// lines shows progress where nothing can be overwritten.
type lines struct {
	mu    sync.Mutex
	out   io.Writer
	tasks map[string]*lineOf
}

type lineOf struct {
	stage string
	began time.Time
	told  time.Time
}

func (l *lines) watch(p orchestrator.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	t := l.tasks[p.Task]
	if t == nil {
		t = &lineOf{}
		l.tasks[p.Task] = t
	}
	switch {
	case p.Text != "":
		t.stage, t.began, t.told = p.Stage, now, now
		fmt.Fprintln(l.out, p.Text)
	case p.Stage != t.stage:
		t.stage, t.began, t.told = p.Stage, now, now
		fmt.Fprintf(l.out, "%s: %s\n", p.Task, p.Stage)
	case now.Sub(t.told) >= lineEvery:
		t.told = now
		fmt.Fprintf(l.out, "%s: %s\n", p.Task, amount(p, now.Sub(t.began)))
	}
}

// amount is how far a task has come, with rate and time left.
func amount(p orchestrator.Progress, took time.Duration) string {
	var b strings.Builder
	b.WriteString(p.Stage)
	if p.Files > 0 || p.TotalFiles > 0 {
		fmt.Fprintf(&b, ", %d", p.Files)
		if p.TotalFiles > 0 {
			fmt.Fprintf(&b, " of %d", p.TotalFiles)
		}
	}
	if p.Bytes > 0 || p.TotalBytes > 0 {
		b.WriteString(", " + orchestrator.Size(p.Bytes))
		if p.TotalBytes > 0 {
			b.WriteString(" of " + orchestrator.Size(p.TotalBytes))
		}
	}
	if seconds := took.Seconds(); p.Bytes > 0 && seconds >= 1 {
		rate := float64(p.Bytes) / seconds
		fmt.Fprintf(&b, ", %s/s", orchestrator.Size(int64(rate)))
		if left := p.TotalBytes - p.Bytes; left > 0 {
			fmt.Fprintf(&b, ", %s left", time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second))
		}
	}
	if p.Failed > 0 {
		fmt.Fprintf(&b, ", %d could not be read", p.Failed)
	}
	return b.String()
}

// bars shows progress on a terminal, a bar for each task.
type bars struct {
	mu   sync.Mutex
	pool *mpb.Progress
	bars map[string]*bar
}

type bar struct {
	*mpb.Bar
	mu    sync.Mutex
	now   orchestrator.Progress
	began time.Time
}

func (b *bars) watch(p orchestrator.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Text != "" {
		fmt.Fprintln(b.pool, p.Text) // above the bars
		if p.Stage == "" {
			return
		}
	}
	one := b.bars[p.Task]
	if one == nil {
		one = b.add(p.Task)
	}
	one.mu.Lock()
	if one.now.Stage != p.Stage {
		one.began = time.Now()
	}
	one.now = p
	one.mu.Unlock()
	done, total := p.Bytes, p.TotalBytes
	if total == 0 {
		done, total = p.Files, p.TotalFiles
	}
	one.SetTotal(max(total, done)+1, false) // it is done when its task says so
	one.SetCurrent(done)
}

func (b *bars) add(task string) *bar {
	one := &bar{began: time.Now()}
	one.Bar = b.pool.New(1, mpb.BarStyle().Lbound("").Rbound("").Filler("█").Tip("█").Padding("░"),
		mpb.BarWidth(24), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(task+" ", decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			one.mu.Lock()
			defer one.mu.Unlock()
			return " " + amount(one.now, time.Since(one.began))
		})),
	)
	b.bars[task] = one
	return one
}

func (b *bars) end() {
	b.mu.Lock()
	for _, one := range b.bars {
		one.Abort(true)
	}
	b.mu.Unlock()
	b.pool.Wait()
}

// printLine prints v as one line of JSON.
func (a *app) printLine(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
