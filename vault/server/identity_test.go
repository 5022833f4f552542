package server

import (
	"errors"
	"net"
	"os"
	"testing"
)

// S16: a host whose disk is not mounted does not serve the empty folder below, nor prune or
// verify it, until a person says that it is right.
func TestAnotherFolder(t *testing.T) {
	w := newWorld(t)
	w.serve(usual())
	w.night()
	w.window()
	w.stop()
	away := w.conf.Folder + ".away"
	if err := errors.Join(os.Rename(w.conf.Folder, away), os.Mkdir(w.conf.Folder, 0o700)); err != nil {
		t.Fatal(err)
	}
	serve := func(replaced bool) error {
		h := w.open()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s, err := h.prepare(t.Context(), Service{Limits: usual(), Replaced: replaced})
		if s != nil {
			err = errors.Join(err, h.recognise(t.Context(), false))
		}
		return errors.Join(err, l.Close())
	}
	if err := serve(false); !errors.Is(err, ErrAnother) {
		t.Errorf("an empty folder is served: %v", err)
	}
	if files, err := os.ReadDir(w.conf.Folder); err != nil || len(files) > 0 {
		t.Errorf("the folder holds %v now, %v", files, err)
	}
	if _, err := w.host.Prune(t.Context(), PruneOptions{}); !errors.Is(err, ErrAnother) {
		t.Errorf("it is pruned: %v", err)
	}
	if _, err := w.host.Verify(t.Context(), VerifyOptions{}); !errors.Is(err, ErrAnother) {
		t.Errorf("it is verified: %v", err)
	}
	if err := errors.Join(os.Remove(w.conf.Folder), os.Rename(away, w.conf.Folder)); err != nil {
		t.Fatal(err)
	}
	if err := serve(false); err != nil {
		t.Errorf("the right one: %v", err)
	}
	if err := errors.Join(os.RemoveAll(w.conf.Folder), os.Mkdir(w.conf.Folder, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := serve(true); err != nil {
		t.Errorf("a person said that it is right: %v", err)
	}
}
