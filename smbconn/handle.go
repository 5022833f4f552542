package smbconn

import (
	"io/fs"
	"net"
	"sync/atomic"

	smb2 "github.com/cloudsoda/go-smb2"

	"airlock/silence"
)

// Asked says that a call to the share begins, and returns what is to be called when it
// has ended. Where one is under way and nothing comes, the server is silent.
func (c *Conn) Asked() (answered func()) {
	c.watch.Asked()
	return c.watch.Answered
}

// Explain is [Explain], and tells besides if silence ended the connection.
func (c *Conn) Explain(err error) error { return c.watch.Explain(Explain(err)) }

// life is the socket of a connection. It tells the watch of every sign of life but the
// answer to an echo, which a server gives while the disk behind it hangs.
type life struct {
	net.Conn
	watch   *silence.Watch
	echoing atomic.Bool
}

func (l *life) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.heard(n)
	return n, err
}

func (l *life) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	l.heard(n)
	return n, err
}

func (l *life) heard(n int) {
	if n > 0 && !l.echoing.Load() {
		l.watch.Heard()
	}
}

// handle is an open file, each of whose calls is announced.
type handle struct {
	file *smb2.File
	conn *Conn
}

func (c *Conn) open(name string, flags int, mode fs.FileMode) (*handle, error) {
	defer c.Asked()()
	f, err := c.Share.OpenFile(name, flags, mode)
	if err != nil {
		return nil, err
	}
	return &handle{f, c}, nil
}

func (c *Conn) makeFolder(name string) error {
	defer c.Asked()()
	return c.Share.Mkdir(name, 0o700)
}

func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	defer h.conn.Asked()()
	return h.file.WriteAt(p, off)
}

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	defer h.conn.Asked()()
	return h.file.ReadAt(p, off)
}

func (h *handle) Stat() (fs.FileInfo, error) {
	defer h.conn.Asked()()
	return h.file.Stat()
}

func (h *handle) Sync() error {
	defer h.conn.Asked()()
	return h.file.Sync()
}

func (h *handle) Close() error {
	defer h.conn.Asked()()
	return h.file.Close()
}
