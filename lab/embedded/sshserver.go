package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// sshServer serves one folder over SFTP on loopback, to the holder of one key. What
// goes wrong on a connection is told to its client, as a server far away would, and
// to nobody else.
type sshServer struct {
	listener net.Listener
	conf     *ssh.ServerConfig
	root     *os.Root
	writable bool
	live     connections
	running  sync.WaitGroup
}

// serve starts a server for folder. Names cannot lead out of it, not even through
// symbolic links.
func serve(folder string, writable bool, host ssh.Signer, client ssh.PublicKey) (*sshServer, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", folder, err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("serve %s: %w", folder, err), root.Close())
	}
	conf := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(key.Marshal(), client.Marshal()) {
			return nil, errors.New("unknown key")
		}
		return nil, nil
	}}
	conf.AddHostKey(host)
	s := &sshServer{listener: listener, conf: conf, root: root, writable: writable}
	s.running.Go(s.accept)
	return s, nil
}

func (s *sshServer) address() string { return s.listener.Addr().String() }

// Close ends every connection and waits for what they were doing.
func (s *sshServer) Close() error {
	err := s.listener.Close()
	s.live.cutAll()
	s.running.Wait()
	return errors.Join(err, s.root.Close())
}

func (s *sshServer) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		if s.live.add(c) {
			s.running.Go(func() { s.connection(c) })
		}
	}
}

func (s *sshServer) connection(c net.Conn) {
	defer s.live.end(c)
	if c.SetDeadline(time.Now().Add(10*time.Second)) != nil {
		return
	}
	_, channels, requests, err := ssh.NewServerConn(c, s.conf)
	if err != nil || c.SetDeadline(time.Time{}) != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for offered := range channels {
		if offered.ChannelType() != "session" {
			offered.Reject(ssh.UnknownChannelType, "only sessions")
			continue
		}
		if channel, requests, err := offered.Accept(); err == nil {
			s.running.Go(func() { s.session(channel, requests) })
		}
	}
}

// session serves the SFTP subsystem and refuses everything else.
func (s *sshServer) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	for r := range requests {
		var wanted struct{ Name string }
		ok := r.Type == "subsystem" && ssh.Unmarshal(r.Payload, &wanted) == nil && wanted.Name == "sftp"
		r.Reply(ok, nil)
		if ok {
			go ssh.DiscardRequests(requests)
			f := files{s.root, s.writable}
			server := sftp.NewRequestServer(channel, sftp.Handlers{FileGet: f, FilePut: f, FileCmd: f, FileList: f}, sftp.WithRSAllocator())
			server.Serve() // the client has its answers; what is left to tell is that it went
			server.Close()
			return
		}
	}
}
