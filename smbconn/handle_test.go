package smbconn

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"airlock/silence"
)

// S4: a server that answers echoes and no request for files is silent.
func TestEchoesAreNoSignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mine, theirs := net.Pipe()
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for { // one byte each second
				time.Sleep(time.Second)
				if _, err := theirs.Write([]byte{0}); err != nil {
					return
				}
			}
		}()
		began := time.Now()
		ended := make(chan time.Duration, 1)
		watch := silence.New(30*time.Second, func() { ended <- time.Since(began) })
		l := &life{Conn: mine, watch: watch}
		watch.Asked()
		for range 60 { // signs of life
			if _, err := l.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		l.echoing.Store(true)
		for range 60 {
			if _, err := l.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
		if after := <-ended; after != 90*time.Second {
			t.Errorf("it ended after %v, want a minute and the limit", after)
		}
		mine.Close()
		<-gone
	})
}
