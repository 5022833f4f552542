package cli

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
)

// recording writes a login as asciicast v2: a header, then one line each time that
// something was shown ("o") or typed ("i"). Passwords of the configuration, and what
// follows a word such as password or community on a line, are replaced. Output is kept
// back to the end of its line, so that a secret is not missed because it came in two
// pieces. A nil recording records nothing.
type recording struct {
	mu      sync.Mutex
	to      *castFile // nil: none could be made
	kept    func(Recording)
	secrets *strings.Replacer
	began   time.Time
	changed time.Time // when the last command that changes something was typed; zero: none was
	pending []byte
	ended   bool
	err     error
}

// The limits of one recording. Past the first two its login is ended when nothing is
// going on; past the last it is not written on, whatever is.
const (
	longEnough = time.Hour
	bigEnough  = 1 << 20
	tooBig     = 16 << 20
	quietFor   = 10 * time.Minute // since the last change
)

const hidden = "***"

var secretLine = regexp.MustCompile(`(?i)\b(passwords?|passwd|passphrase|secret|community|psk|pre-shared-key|auth-key|priv-key|hash|cipher|simple)\b([ \t:=]+)[^\r\n]+`)

func record(c Config) *recording {
	if c.Sessions.Dir == "" {
		return nil
	}
	var pairs []string
	for _, s := range []string{c.Password, c.Enable} {
		if s != "" {
			pairs = append(pairs, s, hidden)
		}
	}
	r := &recording{began: time.Now(), secrets: strings.NewReplacer(pairs...), kept: c.Sessions.Recorded}
	r.to, r.err = c.Sessions.create(r.began)
	r.write(map[string]any{"version": 2, "width": terminalWidth, "height": terminalHeight,
		"timestamp": r.began.Unix(), "title": c.Platform + " " + c.Address})
	return r
}

// changes notes that a command which changes something is about to be typed.
func (r *recording) changes() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed = time.Now()
}

// due tells whether the login had better end, so that its recording does.
func (r *recording) due(now time.Time) bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.to != nil && (now.Sub(r.began) > longEnough || r.to.size > bigEnough) && now.Sub(r.changed) > quietFor
}

func (r *recording) output(b []byte) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending = append(r.pending, b...)
	if end := strings.LastIndexByte(string(r.pending), '\n'); end >= 0 {
		r.event("o", r.pending[:end+1])
		r.pending = append([]byte(nil), r.pending[end+1:]...)
	}
}

func (r *recording) input(b []byte) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.flush()
	r.event("i", b)
}

func (r *recording) flush() {
	if len(r.pending) > 0 {
		r.event("o", r.pending)
		r.pending = nil
	}
}

func (r *recording) event(kind string, b []byte) {
	text := secretLine.ReplaceAllString(r.secrets.Replace(string(b)), "${1}${2}"+hidden)
	r.write([]any{time.Since(r.began).Seconds(), kind, text})
}

func (r *recording) write(line any) {
	if r.err != nil || r.to == nil {
		return
	}
	if r.to.size > tooBig {
		r.err = fmt.Errorf("it is over %d MiB; the rest was not recorded", tooBig>>20)
		return
	}
	encoder := json.NewEncoder(r.to)
	encoder.SetEscapeHTML(false)
	r.err = encoder.Encode(line)
}

// close ends the recording, and keeps and tells of it if anything was changed.
func (r *recording) close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		r.ended = true
		r.finish()
	}
	if r.err != nil {
		return fmt.Errorf("record the login: %w", r.err)
	}
	return nil
}

func (r *recording) finish() {
	keep, done := !r.changed.IsZero(), Recording{Began: r.began}
	if r.to != nil {
		r.flush()
		done, r.err = r.to.finish(keep, r.err)
		r.to = nil
	}
	done.Broken = r.err
	if keep && r.kept != nil {
		r.kept(done)
	}
}
