package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// flood N holds N connections to the status address until the script ends, each of which
// has asked once. Those that are sent away at once are none of its business.
func flood(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	const question = "GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
	held := 0
	for i := range n {
		// Of many addresses of this machine, so that it is the whole that is bounded.
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%200))}, Timeout: 5 * time.Second}
		conn, err := d.Dial("tcp", "127.0.0.1:"+ts.Getenv("PORT"))
		if err != nil {
			continue
		}
		ts.Defer(func() { conn.Close() })
		if _, err := fmt.Fprint(conn, question); err == nil {
			held++
		}
	}
	if held == 0 {
		ts.Check(errors.New("no connection was made at all"))
	}
}
