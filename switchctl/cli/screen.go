package cli

// screen makes plain text of what a switch sends to a terminal. Escape sequences,
// backspaces and carriage returns are gone from it; so are log lines that were spliced
// into it, questions that were answered, and what a pager wrote and wiped out again.
// A line is given on as far as it has come, because a prompt has no end.
type screen struct {
	noise  []Pattern
	escape escapeState
	wipe   wipeState
	held   int    // spaces that are part of a pager's wiping, or of the next line
	line   []byte // the last line, as far as it has come
	given  int    // bytes of line that were given on
	lines  int    // lines that ended
	out    []byte
}

type escapeState int

const (
	plain     escapeState = iota
	escaped               // after ESC
	control               // after ESC [
	operating             // after ESC ], up to BEL
)

type wipeState int

const (
	noWipe   wipeState = iota
	wipeHead           // a pager was answered: \r or \b may follow,
	wipeBody           // then spaces,
	wipeTail           // then \r or \b again
)

// feed takes what arrived and returns the text that it gives.
func (s *screen) feed(chunk []byte) []byte {
	s.out = nil
	for _, b := range chunk {
		if s.visible(b) && !s.wiping(b) {
			s.add(b)
		}
	}
	if s.noiseAt() < 0 {
		s.giveOn()
	}
	return s.out
}

// visible follows escape sequences (ECMA-48).
func (s *screen) visible(b byte) bool {
	switch {
	case s.escape == escaped && b == '[':
		s.escape = control
	case s.escape == escaped && b == ']':
		s.escape = operating
	case s.escape == control && (b == 'D' || b == 'G' || b == 'K'):
		s.escape = plain
		s.wiping('\b') // cursor back, to a column, erase in line
	case s.escape == escaped && (b < 0x20 || b > 0x2f), s.escape == control && b >= 0x40 && b <= 0x7e, s.escape == operating && b == 7:
		s.escape = plain
	case s.escape != plain:
	case b == 0x1b:
		s.escape = escaped
	default:
		return true
	}
	return false
}

// wiping swallows how a pager's line is wiped out after its answer. Spaces that no
// carriage return or backspace follows were the next line's own.
func (s *screen) wiping(b byte) bool {
	back := b == '\r' || b == '\b'
	switch {
	case s.wipe == noWipe:
		return false
	case back && s.wipe == wipeBody:
		s.wipe, s.held = wipeTail, 0
	case back:
	case b == ' ' && s.wipe != wipeTail:
		s.wipe = wipeBody
		s.held++
	default:
		for ; s.held > 0; s.held-- {
			s.add(' ')
		}
		s.wipe = noWipe
		return false
	}
	return true
}

func (s *screen) add(b byte) {
	switch {
	case b == '\n':
		if at := s.noiseAt(); at >= 0 {
			s.line = s.line[:max(at, s.given)] // what was under way goes on after the log line
			return
		}
		s.line = append(s.line, b)
		s.giveOn()
		s.line, s.given = s.line[:0], 0
		s.lines++
	case b >= ' ' && b != 0x7f, b == '\t':
		s.line = append(s.line, b)
	}
}

func (s *screen) giveOn() {
	s.out = append(s.out, s.line[s.given:]...)
	s.given = len(s.line)
}

func (s *screen) noiseAt() int {
	for _, p := range s.noise {
		if at := p.FindIndex(s.line); at != nil {
			return at[0]
		}
	}
	return -1
}

// asks tells whether the screen stands at a question.
func (s *screen) asks(d Dialog) bool { return d.When.Match(s.line) }

// answered takes the question off the screen again, and out of text, which feed
// returned last. What of its line was given on before cannot be taken back and gets a
// line of its own, so that it is not taken for the beginning of the next.
func (s *screen) answered(d Dialog, text []byte) []byte {
	at := d.When.FindIndex(s.line)
	if at == nil {
		return text
	}
	taken := min(len(text), max(0, s.given-at[0]))
	text = text[:len(text)-taken]
	if s.given > taken {
		text = append(text, '\n')
	}
	s.line, s.given = s.line[:0], 0
	s.wipe, s.held = wipeHead, 0
	return text
}
