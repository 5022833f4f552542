package server

import (
	"path"
	"strings"
	"testing"

	"airlock/ledger/proof/notetest"
	"airlock/vault"
	"airlock/vault/vaulttest"
)

// Somebody with a client's key fills what he can; the site's window has the room that is kept
// for it all the same.
func TestRoomIsKeptForTheSite(t *testing.T) {
	w := newWorld(t)
	w.conf.Quota, w.conf.Reserve = 2<<20, 1<<20
	w.serve(usual())
	if refused := w.fill(12, 200_000); !strings.Contains(refused, "keeps for windows which the site announces") {
		t.Errorf("refused: %q", refused)
	}
	w.night()
	w.blobs["p"+strings.Repeat("7", 31)] = vaulttest.Random(1, 500_000)
	r := w.window()
	if r.Receipt == nil || !r.Receipt.Whole() {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(strings.Join(r.Receipt.Alarms, "; "), "but for the reserve") {
		t.Errorf("the site hears %q of it", r.Receipt.Alarms)
	}
	if refused := w.fill(3, 200_000); refused == "" {
		t.Error("a connection without an announcement took what is kept")
	}
}

// What opens the room that is kept is the site's own word, of a generation that is yet to
// come; and it lies nowhere.
func TestAnnouncements(t *testing.T) {
	w := newWorld(t)
	w.conf.Quota, w.conf.Reserve = 2<<20, 2<<20-1 // of which the window takes some
	w.windows(1)
	w.serve(usual())
	stranger, _ := notetest.Keys(t, "lab")
	sign := func(number int64) []byte {
		text, err := vault.SignAnnouncement(number, w.conf.Name, w.site)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	forged, err := vault.SignAnnouncement(9, w.conf.Name, stranger)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what  string
		at    int64
		text  []byte
		opens bool
	}{
		{"nothing", 9, nil, false},
		{"another's signature", 9, forged, false},
		{"of another number", 9, sign(8), false},
		{"more than one", 9, append(sign(9), make([]byte, vault.MaxAnnouncement)...), false},
		{"of a generation that is here", 1, sign(1), false},
		{"the site's", 9, sign(9), true},
	} {
		r := w.raw()
		code, text := r.put(path.Join(w.conf.Folder, vault.AnnouncementPath(c.at)), c.text)
		if (code == 0) != c.opens {
			t.Errorf("%s: %d %s", c.what, code, text)
		}
		if code, text := r.put(w.conf.Folder+"/stray "+c.what, vaulttest.Random(1, 100_000)); (code == 0) != c.opens {
			t.Errorf("after %s, room for more: %d %s", c.what, code, text)
		}
	}
	r := w.raw()
	if code, _ := status(r.ask(fxpMkdir, w.conf.Folder+"/announced", uint32(0))); code == 0 {
		t.Error("a folder was made where announcements are shown")
	}
	if code, _ := r.put(w.conf.Folder+"/announced/file", []byte("x")); code == 0 {
		t.Error("a file was put where announcements are shown")
	}
	for name := range w.finishedFiles() {
		if strings.HasPrefix(name, "announced") {
			t.Errorf("%s lies there", name)
		}
	}
}

// Whoever has a client's key, and holds every place that its connections may have or takes
// what lies in incoming/, keeps no announced window out.
func TestWindowBesideAThief(t *testing.T) {
	w := newWorld(t)
	limits := usual()
	limits.Connections = 6
	w.conf.Quota, w.conf.Reserve = 8<<20, 4<<20
	w.serve(limits)
	thieves := make([]*raw, 0, limits.Connections)
	for {
		r, err := w.tryRaw()
		if err != nil {
			t.Fatal(err)
		}
		if thieves = append(thieves, r); len(thieves) == limits.Connections {
			break
		}
	}
	w.night()
	if r := w.window(); r.Receipt == nil || !r.Receipt.Whole() {
		t.Errorf("%+v", r)
	}
}

// What came by an announced connection is renamed and removed by announced ones alone.
func TestFinishedFilesOfAWindow(t *testing.T) {
	w := newWorld(t)
	w.conf.Quota, w.conf.Reserve = 8<<20, 4<<20
	w.serve(usual())
	honest, thief := w.raw(), w.raw()
	text, err := vault.SignAnnouncement(1, w.conf.Name, w.site)
	if err != nil {
		t.Fatal(err)
	}
	if code, said := honest.put(path.Join(w.conf.Folder, vault.AnnouncementPath(1)), text); code != 0 {
		t.Fatal(said)
	}
	if code, said := honest.put(w.conf.Folder+"/incoming/a", []byte("bytes")); code != 0 {
		t.Fatal(said)
	}
	if code, _ := status(thief.ask(fxpRemove, w.conf.Folder+"/incoming/a")); code == 0 {
		t.Error("a connection without an announcement removed what a window has sent")
	}
	if code, _ := status(thief.ask(fxpRename, w.conf.Folder+"/incoming/a", w.conf.Folder+"/stolen")); code == 0 {
		t.Error("and renamed it")
	}
	if code, said := status(honest.ask(fxpRename, w.conf.Folder+"/incoming/a", w.conf.Folder+"/kept")); code != 0 {
		t.Error(said)
	}
}
