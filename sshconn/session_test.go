package sshconn

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"airlock/silence"
)

// brief is a server that ends each connection a moment after the login.
func brief(t *testing.T) (*ssh.ServerConfig, Config) {
	t.Helper()
	_, host := newKey(t, "ed25519")
	server := &ssh.ServerConfig{NoClientAuth: true}
	server.KeyExchanges = []string{ssh.KeyExchangeCurve25519} // it shall cost little
	server.AddHostKey(host)
	c := Config{Address: "vault:22", User: "svc", Password: password, KnownHosts: knownHosts(t, "vault:22", host.PublicKey())}
	return server, c
}

// S4: a connection that ends in the very instant in which a session is opened on it holds
// nobody up. With x/crypto/ssh alone that instant is one without an answer.
func TestSessionOnAConnectionThatEnds(t *testing.T) {
	connections := 1000
	if testing.Short() {
		connections = 200
	}
	server, c := brief(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			go func() {
				if sc, _, _, err := ssh.NewServerConn(conn, server); err == nil {
					sc.Close()
				}
			}()
		}
	}()
	conf, err := c.client()
	if err != nil {
		t.Fatal(err)
	}
	for range connections {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		client, err := c.login(t.Context(), addressed{conn}, conf)
		if err != nil {
			continue // it ended during the login
		}
		if err := openAround(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		client.Close()
	}
}

// openAround opens sessions one after the other, from several hands, until the end of
// the connection is told to all of them.
func openAround(ctx context.Context, client *ssh.Client) error {
	const hands = 40
	told := make(chan error, hands)
	for range hands {
		go func() {
			_, err := Session(ctx, client, func(*ssh.Session) error { return nil })
			told <- err
		}()
	}
	for range hands {
		select {
		case err := <-told:
			if err == nil || errors.Is(err, silence.Err) {
				return errors.Join(errors.New("the end was not noticed"), err)
			}
		case <-time.After(openWithin * 2 / 3):
			return errors.New("a call waits for ever")
		}
	}
	return nil
}

// silentAt is a server that answers up to a stage, and from there on nothing but
// keep-alives: as one whose disk hangs.
func silentAt(ctx context.Context, conn net.Conn, conf *ssh.ServerConfig, stage string) {
	sc, channels, requests, err := ssh.NewServerConn(conn, conf)
	if err != nil {
		return
	}
	defer sc.Close()
	go ssh.DiscardRequests(requests)
	for opening := range channels {
		if stage == "channel" {
			continue
		}
		channel, asked, err := opening.Accept()
		if err != nil {
			return
		}
		if stage == "subsystem" {
			continue
		}
		go func() {
			for request := range asked {
				request.Reply(true, nil)
			}
		}()
		switch stage {
		case "version":
			go io.Copy(io.Discard, channel)
		case "upload": // takes in nothing
			go func() {
				var init [9]byte
				io.ReadFull(channel, init[:])
				channel.Write([]byte{0, 0, 0, 5, 2, 0, 0, 0, 3})
			}()
		default: // the exchange of versions, and no more
			go func() {
				var init [9]byte
				io.ReadFull(channel, init[:])
				channel.Write([]byte{0, 0, 0, 5, 2, 0, 0, 0, 3})
				io.Copy(io.Discard, channel)
			}()
		}
	}
	<-ctx.Done()
}

// S4: wherever a server falls silent, whoever waits for it is told so in time, though
// the connection stands and its keep-alives are answered.
func TestSilentServer(t *testing.T) {
	const limit = 40 * time.Second
	for stage, within := range map[string]time.Duration{
		"channel": openWithin, "subsystem": openWithin, "version": openWithin, "request": limit, "upload": limit, "close": 0,
	} {
		t.Run(stage, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, c := brief(t)
				conf, err := c.client()
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				mine, theirs := net.Pipe()
				go silentAt(ctx, newCable(ctx, theirs), server, stage)
				client, err := c.login(t.Context(), addressed{mine}, conf)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				s, err := OpenSFTP(t.Context(), client, SFTPConfig{Silence: limit})
				if slices.Contains([]string{"channel", "subsystem", "version"}, stage) == (err == nil) {
					t.Fatalf("opened with %v", err)
				}
				switch stage {
				case "request":
					_, err = s.Stat("/")
					err = s.Explain(err)
				case "upload": // more than the channel's window takes, so that the writing waits as well
					err = s.Explain(s.Mkdir(strings.Repeat("x", 3<<20)))
				case "close":
					err = errors.Join(client.Close(), silence.Err)
				}
				if took := time.Since(began); !errors.Is(err, silence.Err) || took != within {
					t.Errorf("after %v: %v; want %v", took, err, within)
				}
				client.Close()
				if err := client.Wait(); err == nil {
					t.Error("the connection still stands")
				}
			})
		})
	}
}

// The answers to many requests, in pieces of any size, are counted as they are.
func TestMessages(t *testing.T) {
	var stream []byte
	const count = 1000
	var want int64
	for range count {
		length := 1 + rand.IntN(300)
		want += int64(length)
		stream = binary.BigEndian.AppendUint32(stream, uint32(length))
		stream = append(stream, bytes.Repeat([]byte{255}, length)...)
	}
	var m messages
	var n int
	var size int64
	for len(stream) > 0 {
		piece := min(len(stream), rand.IntN(60))
		m.begun(stream[:piece], func(kind byte, length int64) {
			n++
			size += length
			if kind != 255 {
				t.Errorf("a message of kind %d", kind)
			}
		})
		stream = stream[piece:]
	}
	if n != count || size != want {
		t.Errorf("%d messages of %d bytes, want %d of %d", n, size, count, want)
	}
}
