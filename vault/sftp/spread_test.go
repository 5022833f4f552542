package sftp

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"airlock/vault"
	"airlock/vault/vaulttest"

	"github.com/pkg/sftp"
)

// TestSpread: the pieces of a large file go over all connections, also past one that has
// broken, and the file is what was given.
func TestSpread(t *testing.T) {
	const size = 3*syncEvery + 12345
	text := vaulttest.Random(1, size)
	s := dial(t, startSSHD(t), filepath.Join(t.TempDir(), "v"))
	s.joining.Wait()
	broken := &line{conf: s.lines[0].conf}
	broken.conf.Address = "127.0.0.1:1"
	s.room = make(chan *line, 3*depth)
	for range depth {
		for _, l := range append(s.lines, broken) {
			s.room <- l
		}
	}
	err := s.within(t.Context(), "spread", func(c *sftp.Client) error {
		temp := s.root + "/" + vault.Incoming + "/x"
		home, err := s.create(c, temp)
		if err != nil {
			return err
		}
		p := &spread{s: s, ctx: t.Context(), temp: temp, maker: c, home: home, ways: map[*line]*way{}}
		n, err := p.fill(bytes.NewReader(text))
		if n != size || len(p.ways) != 3 || p.ways[broken].file != home || p.ways[s.lines[0]].file == p.ways[s.lines[1]].file {
			t.Errorf("%d bytes by %d ways", n, len(p.ways))
		}
		return errors.Join(err, home.Close())
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, s.root+"/"+vault.Incoming+"/x"); !bytes.Equal(got, text) {
		t.Errorf("%d bytes landed, and other ones", len(got))
	}
}

// TestSpreadFails: a large file whose reading fails leaves nothing, and all the room for
// the next one.
func TestSpreadFails(t *testing.T) {
	s := dial(t, startSSHD(t), filepath.Join(t.TempDir(), "v"))
	s.joining.Wait()
	failed := errors.New("the disk is failing")
	text := vaulttest.Random(1, 2*largeFile)
	for range 2 * depth {
		err := s.Put(t.Context(), "p/x", 4*largeFile, io.MultiReader(bytes.NewReader(text), readFails{failed}))
		if !errors.Is(err, failed) {
			t.Fatalf("got %v", err)
		}
	}
	vaulttest.Absent(t, s, "p/x")
	vaulttest.OnlyIncoming(t, s.root, nil)
	vaulttest.Put(t, s, "p/x", text)
	if !bytes.Equal(vaulttest.Get(t, s, "p/x"), text) {
		t.Error("other bytes landed")
	}
}

type readFails struct{ err error }

func (r readFails) Read([]byte) (int, error) { return 0, r.err }
