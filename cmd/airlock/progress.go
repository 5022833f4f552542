package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
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
// a line now and then elsewhere, nothing with --json. What came of it in the end is the
// command's to say.
func (a *app) progress() (watch orchestrator.Watch, end func()) {
	if a.json {
		return func(orchestrator.Progress) {}, func() {}
	}
	if f, ok := a.errs.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		b := &bars{pool: mpb.New(mpb.WithOutput(f), mpb.WithRefreshRate(100*time.Millisecond)), words: a.words, bars: map[string]*bar{}}
		return b.watch, b.end
	}
	l := &lines{out: a.errs, words: a.words, tasks: map[string]*task{}, stop: make(chan struct{})}
	go l.repeat(lineEvery)
	return l.watch, func() { close(l.stop) }
}

// ended reports whether p is the last of its task.
func ended(p orchestrator.Progress) bool {
	return slices.Contains([]string{"done", "in part", "held", "failed", "refused"}, p.Stage)
}

// task is what is known of something that is being done.
type task struct {
	now   orchestrator.Progress
	began time.Time // the stage
}

// take brings a task up to date and reports whether its stage is another.
func (t *task) take(p orchestrator.Progress, now time.Time) bool {
	another := t.now.Stage != p.Stage
	if another {
		t.began = now
	}
	t.now = p
	return another
}

// lineEvery is how often a task that goes on and on gets a line.
const lineEvery = 10 * time.Second

// lines shows progress where nothing can be overwritten.
type lines struct {
	mu    sync.Mutex
	out   io.Writer
	words *words
	tasks map[string]*task
	stop  chan struct{}
}

func (l *lines) watch(p orchestrator.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.Text != "" && !ended(p) {
		fmt.Fprintln(l.out, l.words.tell(plain(p.Text)))
	}
	if p.Stage == "" {
		return
	}
	t := l.tasks[p.Task]
	if t == nil {
		t = &task{}
		l.tasks[p.Task] = t
	}
	if t.take(p, time.Now()) {
		fmt.Fprintf(l.out, "%s: %s\n", l.words.tell(p.Task), l.words.tell(p.Stage))
	}
}

// repeat says at every interval how far each task has come.
func (l *lines) repeat(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			l.tellAll(now)
		case <-l.stop:
			return
		}
	}
}

func (l *lines) tellAll(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range keys(l.tasks) {
		if t := l.tasks[name]; !ended(t.now) {
			fmt.Fprintf(l.out, "%s: %s\n", l.words.tell(name), l.words.amount(t.now, now.Sub(t.began)))
		}
	}
}

// amount is how far a task has come, with rate and time left; of a stage that counts
// nothing, for how long it has gone on. A total that was passed was an estimate, from
// the last snapshot, and is left out.
func (w *words) amount(p orchestrator.Progress, took time.Duration) string {
	parts := []string{w.tell(p.Stage)}
	of := func(done, total string, known bool) {
		if known {
			done = w.text("%s of %s", done, total)
		}
		parts = append(parts, done)
	}
	if p.Files > 0 || p.TotalFiles > 0 {
		of(fmt.Sprint(p.Files), fmt.Sprint(p.TotalFiles), p.TotalFiles >= max(1, p.Files))
	}
	if p.Bytes > 0 || p.TotalBytes > 0 {
		of(orchestrator.Size(p.Bytes), orchestrator.Size(p.TotalBytes), p.TotalBytes >= max(1, p.Bytes))
	}
	switch seconds := took.Seconds(); {
	case ended(p):
	case p.Bytes > 0 && seconds >= 1:
		rate := float64(p.Bytes) / seconds
		parts = append(parts, orchestrator.Size(int64(rate))+"/s")
		if left := p.TotalBytes - p.Bytes; left > 0 {
			parts = append(parts, w.text("%s left", time.Duration(float64(left)/rate*float64(time.Second)).Round(time.Second)))
		}
	case seconds >= 2:
		parts = append(parts, took.Round(time.Second).String())
	}
	if p.Failed > 0 {
		parts = append(parts, w.text("%d not read", p.Failed))
	}
	return strings.Join(parts, ", ")
}

// bars shows progress on a terminal, a bar for each task.
type bars struct {
	mu    sync.Mutex
	pool  *mpb.Progress
	words *words
	bars  map[string]*bar
}

type bar struct {
	*mpb.Bar
	mu sync.Mutex
	task
}

func (b *bars) watch(p orchestrator.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Text != "" && !ended(p) {
		fmt.Fprintln(b.pool, b.words.tell(plain(p.Text))) // above the bars
	}
	if p.Stage == "" {
		return
	}
	one := b.bars[p.Task]
	if one == nil {
		one = b.add(p.Task)
	}
	one.mu.Lock()
	one.take(p, time.Now())
	one.mu.Unlock()
	done, total := p.Bytes, p.TotalBytes
	if total == 0 {
		done, total = p.Files, p.TotalFiles
	}
	if ended(p) {
		done, total = 1, 1
	}
	one.SetTotal(max(total, done), false) // it stays until all is done
	one.SetCurrent(done)
}

// add begins a bar. A bar whose total is known from the start would complete itself.
func (b *bars) add(name string) *bar {
	one := &bar{}
	one.Bar = b.pool.New(0, mpb.BarStyle().Lbound("").Rbound("").Filler("█").Tip("█").Padding("░"),
		mpb.BarWidth(24),
		mpb.PrependDecorators(decor.Name(b.words.tell(name)+" ", decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			one.mu.Lock()
			defer one.mu.Unlock()
			return " " + b.words.amount(one.now, time.Since(one.began))
		})),
	)
	b.bars[name] = one
	return one
}

// end takes the bars away; what came of the tasks is said below.
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
