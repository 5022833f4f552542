package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxLeaf bounds the canonical form of an entry, in bytes.
const MaxLeaf = MaxDetail + 2*(MaxReason+8*MaxName) + 1024

// AppendLeaf adds the canonical form of e to b. An error says what has no such form.
func AppendLeaf(b []byte, e *Entry) ([]byte, error) {
	if err := errors.Join(e.checkGiven(), e.Check()); err != nil {
		return b, err
	}
	if spaced(e.Detail) {
		return b, errors.New("the entry's detail is not compact")
	}
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, int64(e.Version), 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendInt(b, e.Seq, 10)
	b = appendTime(append(b, `,"time":`...), e.Time)
	b = appendTime(append(b, `,"recorded":`...), e.Recorded)
	if e.Late {
		b = append(b, `,"late":true`...)
	}
	b = appendText(append(b, `,"kind":`...), string(e.Kind))
	b = appendText(append(b, `,"actor":`...), e.Actor)
	b = appendText(append(b, `,"reason":`...), e.Reason)
	for _, t := range [...]struct{ key, value string }{
		{`,"door":`, e.Door}, {`,"window":`, e.Window}, {`,"system":`, e.System}, {`,"vault":`, e.Vault},
		{`,"from":`, e.From}, {`,"to":`, e.To}, {`,"run":`, e.Run},
	} {
		if t.value != "" {
			b = appendText(append(b, t.key...), t.value)
		}
	}
	if e.Mono != 0 {
		b = strconv.AppendInt(append(b, `,"mono":`...), int64(e.Mono), 10)
	}
	if e.Clock != "" {
		b = appendText(append(b, `,"clock":`...), string(e.Clock))
	}
	if e.ClockError != 0 {
		b = strconv.AppendInt(append(b, `,"clock_error":`...), int64(e.ClockError), 10)
	}
	if len(e.Detail) > 0 {
		b = append(append(b, `,"detail":`...), e.Detail...)
	}
	return append(b, '}'), nil
}

// ParseLeaf is the inverse of AppendLeaf: it takes the canonical form of an entry and
// nothing else, so that the leaf of what it returns is data, byte for byte. The entry
// shares no memory with data.
func ParseLeaf(data []byte) (Entry, error) {
	if len(data) > MaxLeaf {
		return Entry{}, fmt.Errorf("%d bytes are no entry; the longest has %d", len(data), MaxLeaf)
	}
	p := leafParser{rest: string(data)}
	e := p.entry()
	if p.err != nil {
		return Entry{}, fmt.Errorf("no entry in its canonical form, at byte %d: %w", len(data)-len(p.rest), p.err)
	}
	// Whatever the parser lets pass that AppendLeaf would not have written is found here.
	again, err := AppendLeaf(make([]byte, 0, len(data)), &e)
	if err != nil {
		return Entry{}, err
	}
	if !bytes.Equal(again, data) {
		return Entry{}, errors.New("no entry in its canonical form: the same could be written in two ways")
	}
	return e, nil
}

// LeafHash is the hash of an entry's canonical form as a leaf of the tree (RFC 6962,
// section 2.1).
func LeafHash(leaf []byte) tlog.Hash { return tlog.RecordHash(leaf) }

// leafParser reads the keys in their order. After an error it reads no further.
type leafParser struct {
	rest string
	err  error
}

func (p *leafParser) entry() Entry {
	var e Entry
	p.want(`{"v":`)
	e.Version = int(p.number())
	p.want(`,"seq":`)
	e.Seq = p.number()
	p.want(`,"time":`)
	e.Time = p.time()
	p.want(`,"recorded":`)
	e.Recorded = p.time()
	e.Late = p.has(`,"late":true`)
	p.want(`,"kind":`)
	e.Kind = Kind(p.text())
	p.want(`,"actor":`)
	e.Actor = p.text()
	p.want(`,"reason":`)
	e.Reason = p.text()
	for _, t := range [...]struct {
		key   string
		value *string
	}{
		{`,"door":`, &e.Door}, {`,"window":`, &e.Window}, {`,"system":`, &e.System}, {`,"vault":`, &e.Vault},
		{`,"from":`, &e.From}, {`,"to":`, &e.To}, {`,"run":`, &e.Run},
	} {
		if p.has(t.key) {
			*t.value = p.text()
		}
	}
	if p.has(`,"mono":`) {
		e.Mono = time.Duration(p.number())
	}
	if p.has(`,"clock":`) {
		e.Clock = ClockState(p.text())
	}
	if p.has(`,"clock_error":`) {
		e.ClockError = time.Duration(p.number())
	}
	if p.has(`,"detail":`) && p.err == nil {
		if n := len(p.rest) - 1; n > 0 {
			e.Detail = json.RawMessage(p.rest[:n])
			p.rest = p.rest[n:]
		}
	}
	p.want(`}`)
	if p.rest != "" {
		p.fail("something stands behind it")
	}
	return e
}

func (p *leafParser) fail(why string) {
	if p.err == nil {
		p.err = errors.New(why)
	}
}

// has takes s if it comes next.
func (p *leafParser) has(s string) bool {
	rest, ok := strings.CutPrefix(p.rest, s)
	if !ok || p.err != nil {
		return false
	}
	p.rest = rest
	return true
}

func (p *leafParser) want(s string) {
	if !p.has(s) {
		p.fail("want " + s)
	}
}

func (p *leafParser) number() int64 {
	if p.err != nil {
		return 0
	}
	digits := 0
	for digits < len(p.rest) && digits < 20 && (p.rest[digits] == '-' || '0' <= p.rest[digits] && p.rest[digits] <= '9') {
		digits++
	}
	n, err := strconv.ParseInt(p.rest[:digits], 10, 64)
	if err != nil {
		p.fail("want a number of 64 bits")
		return 0
	}
	p.rest = p.rest[digits:]
	return n
}

// text reads a string in which only the quotation mark and the backslash are escaped.
func (p *leafParser) text() string {
	p.want(`"`)
	if p.err != nil {
		return ""
	}
	for at := 0; at < len(p.rest); at++ {
		switch p.rest[at] {
		case '"':
			s := p.rest[:at]
			p.rest = p.rest[at+1:]
			return unescaped(s)
		case '\\':
			at++
		}
	}
	p.fail("a text without an end")
	return ""
}

// unescaped takes away the backslashes that stand before a character. A wrong one is
// found when the entry is written again.
func unescaped(s string) string {
	at := strings.IndexByte(s, '\\')
	if at < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for ; at >= 0 && at+1 < len(s); at = strings.IndexByte(s, '\\') {
		b = append(append(b, s[:at]...), s[at+1])
		s = s[at+2:]
	}
	return string(append(b, s...))
}

func (p *leafParser) time() time.Time {
	s := p.text()
	if p.err != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		p.fail("want a time of RFC 3339")
	}
	return t.UTC()
}

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for {
		at := strings.IndexAny(s, `"\`)
		if at < 0 {
			return append(append(b, s...), '"')
		}
		b = append(append(b, s[:at]...), '\\', s[at])
		s = s[at+1:]
	}
}

// spaced reports whether the JSON in data has space outside its strings.
func spaced(data []byte) bool {
	in := false
	for at := 0; at < len(data); at++ {
		switch c := data[at]; {
		case c == '"':
			in = !in
		case in && c == '\\':
			at++
		case !in && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			return true
		}
	}
	return false
}

// clip shortens s, which may be anything, for a person to read.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if Breaking(r) {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= MaxName {
		return s
	}
	cut := MaxName
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
