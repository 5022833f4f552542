package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	to      io.WriteCloser
	secrets *strings.Replacer
	began   time.Time
	pending []byte
	err     error
}

const hidden = "***"

var secretLine = regexp.MustCompile(`(?i)\b(passwords?|passwd|passphrase|secret|community|psk|pre-shared-key|auth-key|priv-key|hash|cipher|simple)\b([ \t:=]+)[^\r\n]+`)

func record(c Config) *recording {
	if c.Record == nil {
		return nil
	}
	r := &recording{began: time.Now(), secrets: strings.NewReplacer()}
	var pairs []string
	for _, s := range []string{c.Password, c.Enable} {
		if s != "" {
			pairs = append(pairs, s, hidden)
		}
	}
	r.secrets = strings.NewReplacer(pairs...)
	r.to, r.err = c.Record()
	r.write(map[string]any{"version": 2, "width": terminalWidth, "height": terminalHeight,
		"timestamp": r.began.Unix(), "title": c.Platform + " " + c.Address})
	return r
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
	if r.err != nil {
		return
	}
	encoder := json.NewEncoder(r.to)
	encoder.SetEscapeHTML(false)
	r.err = encoder.Encode(line)
}

func (r *recording) close() error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.to != nil {
		r.flush()
		r.err = errors.Join(r.err, r.to.Close())
		r.to = nil
	}
	if r.err != nil {
		return fmt.Errorf("record the login: %w", r.err)
	}
	return nil
}
