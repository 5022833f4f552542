package vault

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// A vault's host keeps a part of its room for windows of the site. Whoever has a client's key
// alone cannot fill that part: a connection may only once it has shown an announcement, which
// bears the site's signature.

// Announcer is a Store whose far side may keep room for the site's own windows.
type Announcer interface {
	// Announce shows an announcement on every connection, those that are yet to come
	// included. It may be called again; what a far side that knows none of it says is no
	// error.
	Announce(ctx context.Context, name string, announcement []byte)
}

const (
	announcedDir = "announced"
	// MaxAnnouncement bounds an announcement, in bytes.
	MaxAnnouncement = maxSignature
)

// AnnouncementPath is where a window shows its announcement of a generation to come. No file
// ever lies there.
func AnnouncementPath(number int64) string {
	return notePath(announcedDir, number)
}

// AnnouncementOf is the number of the generation whose announcement belongs at a path; 0 for
// any other.
func AnnouncementOf(file string) int64 { return noteOf(announcedDir, file) }

func announcementText(number int64, host string) string {
	return fmt.Sprintf("airlock announces generation %d\n%s\n", number, host)
}

// SignAnnouncement makes the announcement of a generation to a vault's host, by the name in
// its receipts: a signed note (golang.org/x/mod/sumdb/note).
func SignAnnouncement(number int64, host string, site note.Signer) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: announcementText(number, host)}, site)
	if err != nil {
		return nil, fmt.Errorf("announce generation %d: %w", number, err)
	}
	return signed, nil
}

// CheckAnnouncement wants an announcement of this number to this host by one of the site's
// keys, and says ErrUntrusted otherwise.
func CheckAnnouncement(announcement []byte, number int64, host string, site ...note.Verifier) error {
	n, err := note.Open(announcement, note.VerifierList(site...))
	if err != nil {
		return fmt.Errorf("%w: announcement of generation %d: %w", ErrUntrusted, number, err)
	}
	if n.Text != announcementText(number, host) {
		return fmt.Errorf("%w: the site has signed something else than an announcement of generation %d", ErrUntrusted, number)
	}
	return nil
}

// announce shows a host that gives receipts which generation is to come.
func (s *sending) announce(ctx context.Context) error {
	store, ok := s.store.(Announcer)
	if !ok || s.plan.in.SiteKey == nil || s.plan.in.HostKey == nil {
		return nil
	}
	number, _ := s.next()
	announcement, err := SignAnnouncement(number, s.plan.in.HostKey.Name(), s.plan.in.SiteKey)
	if err != nil {
		return err
	}
	store.Announce(ctx, AnnouncementPath(number), announcement)
	return nil
}
