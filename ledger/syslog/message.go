package syslog

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"airlock/ledger"
	"airlock/ledger/proof"

	"github.com/leodido/go-syslog/v4/rfc5424"
)

// elementID names the structured data. airlock has no enterprise number of its own, and
// uses the one that RFC 5612 sets aside.
const elementID = "airlock@32473"

// Severities of RFC 5424.
const (
	critical = 2
	failure  = 3
	warning  = 4
	notice   = 5
	informal = 6
)

// facilities are the codes of RFC 5424 by their usual names.
func facilities() map[string]uint8 {
	codes := map[string]uint8{"user": 1, "daemon": 3, "auth": 4, "authpriv": 10, "audit": 13}
	for i := range uint8(8) {
		codes["local"+strconv.Itoa(int(i))] = 16 + i
	}
	return codes
}

// severity is how loudly a SIEM should take an entry.
func severity(e ledger.Entry) uint8 {
	switch e.Kind {
	case ledger.KindAlarm:
		if e.To == "over" {
			return notice
		}
		return critical
	case ledger.KindLock, ledger.KindRelease:
		return warning
	case ledger.KindGather, ledger.KindWindow, ledger.KindRestore, ledger.KindVerify, ledger.KindHeal, ledger.KindUpkeep:
		switch e.To {
		case "failed", "cut", "damaged", "held":
			return failure
		case "in part", "refused":
			return warning
		}
		return informal
	case ledger.KindDoor:
		switch e.To {
		case "stuck":
			return critical
		case "unknown":
			return failure
		}
	case ledger.KindPatrol:
		switch e.To {
		case "opened":
			return critical
		case "unreadable":
			return failure
		}
	}
	return notice
}

// speaker makes messages of one site's entries.
type speaker struct {
	site, host string
	facility   uint8
}

// message is e as RFC 5424 has it. What the entry is about stands in the structured
// data, by the names of the ledger's JSON; the text, in UTF-8 with its byte order mark,
// is for people. The detail, up to 256 KiB of evidence, stays in the ledger.
func (s speaker) message(e ledger.Entry) (string, error) {
	params := map[string]string{"seq": strconv.FormatInt(e.Seq, 10)}
	for name, value := range map[string]string{
		"site": s.site, "kind": string(e.Kind), "actor": e.Actor, "door": e.Door, "window": e.Window,
		"system": e.System, "vault": e.Vault, "from": e.From, "to": e.To,
	} {
		if value != "" {
			params[name] = value
		}
	}
	if e.Late {
		params["late"] = "true"
	}
	kind, app, text := string(e.Kind), "airlock", "\ufeff"+sentence(e)
	m := rfc5424.SyslogMessage{Version: 1, StructuredData: &map[string]map[string]string{elementID: params}}
	m.SetPriority(s.facility<<3 | severity(e))
	at := e.Time.UTC()
	m.Timestamp, m.Appname, m.MsgID, m.Message = &at, &app, &kind, &text
	if s.host != "" {
		m.Hostname = &s.host
	}
	line, err := m.String()
	if err != nil {
		return "", fmt.Errorf("entry %d: %w", e.Seq, err)
	}
	return line, nil
}

// head is a signed head as RFC 5424 has it. From origin, size and root, a line each, an
// empty line and the signature, a line as well, its note is put together again.
func (s speaker) head(h proof.Head) (string, error) {
	_, signature, _ := strings.Cut(strings.TrimSuffix(h.Note, "\n"), "\n\n")
	id, app, text := "head", "airlock", fmt.Sprintf("\ufeffhead: %d entries, root %s (airlock)", h.Size, h.Root)
	params := map[string]string{"origin": h.Origin, "size": strconv.FormatInt(h.Size, 10), "root": h.Root.String(), "signature": signature}
	if s.site != "" {
		params["site"] = s.site
	}
	m := rfc5424.SyslogMessage{Version: 1, StructuredData: &map[string]map[string]string{elementID: params}}
	m.SetPriority(s.facility<<3 | informal)
	at := time.Now().UTC()
	m.Timestamp, m.Appname, m.MsgID, m.Message = &at, &app, &id, &text
	if s.host != "" {
		m.Hostname = &s.host
	}
	line, err := m.String()
	if err != nil {
		return "", fmt.Errorf("a head of %d entries: %w", h.Size, err)
	}
	return line, nil
}

// sentence says in one line what an entry is about.
func sentence(e ledger.Entry) string {
	var about []string
	for _, part := range []struct{ what, name string }{{"door", e.Door}, {"system", e.System}, {"vault", e.Vault}} {
		if part.name != "" {
			about = append(about, part.what+" "+part.name)
		}
	}
	text := string(e.Kind)
	if len(about) > 0 {
		text += ": " + strings.Join(about, ", ")
	}
	switch {
	case e.From != "" && e.To != "":
		text += ": " + e.From + " → " + e.To
	case e.To != "":
		text += ": " + e.To
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text + " (" + e.Actor + ")"
}

// hostname is this machine's name as far as RFC 5424 takes it: up to 255 printable
// characters of ASCII; "" is none.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	name = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, name)
	return name[:min(len(name), 255)]
}
