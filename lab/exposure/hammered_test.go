//go:build linux

package exposure

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"airlock/lab/embedded"
)

// What hammers the status address: connections, and questions that each sends at once.
const (
	hammers   = 200
	pipelined = 600
)

// hammeredBound is by how much a window's exposure may be longer while the status address is
// hammered, at the median: of two processors, those who hammer have one.
const hammeredBound = 500 * time.Millisecond

// BenchmarkHammered holds windows in turn in quiet and while the status address of the executor
// is hammered, in one run, and compares for how long the door stood open. An operation is one of
// each.
func BenchmarkHammered(b *testing.B) {
	s := newExecutor(b)
	var quiet, hammered []time.Duration
	for b.Loop() {
		quiet = append(quiet, s.window())
		stop := s.hammer()
		hammered = append(hammered, s.window())
		stop()
	}
	b.ReportMetric(0, "ns/op")
	for name, all := range map[string][]time.Duration{"quiet": quiet, "hammered": hammered} {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Milliseconds()), name+"-ms")
		b.ReportMetric(float64(all[len(all)-1].Milliseconds()), name+"-worst-ms")
	}
	b.ReportMetric(float64(s.answered.Load())/float64(len(hammered)), "answered-B/window")
	b.Logf("quiet %v, hammered %v", quiet, hammered)
	if more := hammered[len(hammered)/2] - quiet[len(quiet)/2]; more > hammeredBound {
		b.Errorf("hammered, the door stands open for %s more; no more than %s is right", more, hammeredBound)
	}
}

// executor is a hospital in this process, and an executor of its own process that serves it.
type executor struct {
	b        *testing.B
	program  string
	policy   string
	address  string // of the status
	source   string // a department's folder
	nights   int
	answered atomic.Int64 // bytes of answers, as they come
}

func newExecutor(b *testing.B) *executor {
	dir := b.TempDir()
	s := &executor{b: b, program: filepath.Join(dir, "airlock")}
	build := exec.Command("go", "build", "-o", s.program, "../../cmd/airlock")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	h, err := embedded.Start(filepath.Join(dir, "site"))
	s.must(err)
	b.Cleanup(func() { s.must(h.Close()) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	s.address = l.Addr().String()
	s.must(l.Close())
	text, err := os.ReadFile(h.PolicyFile)
	s.must(err)
	s.policy, s.source = h.PolicyFile, h.Systems[0].Dir
	text = bytes.Replace(text, []byte("\nstate: "), fmt.Appendf(nil, "\nstatus: {listen: %q}\nstate: ", s.address), 1)
	s.must(os.WriteFile(s.policy, text, 0o600))
	s.airlock("init")
	s.airlock("gather")
	s.serve()
	return s
}

func (s *executor) must(err error) {
	s.b.Helper()
	if err != nil {
		s.b.Fatal(err)
	}
}

func (s *executor) command(args ...string) *exec.Cmd {
	return exec.Command(s.program, append([]string{"-c", s.policy}, args...)...)
}

func (s *executor) airlock(args ...string) []byte {
	s.b.Helper()
	out, err := s.command(args...).Output()
	if err != nil {
		s.b.Fatalf("airlock %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// serve starts the executor, and waits until its status answers.
func (s *executor) serve() {
	s.b.Helper()
	c := s.command("serve")
	s.must(c.Start())
	s.b.Cleanup(func() {
		c.Process.Signal(syscall.SIGTERM)
		c.Wait()
	})
	for end := time.Now().Add(time.Minute); ; {
		conn, err := net.Dial("tcp", s.address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			s.b.Fatal("serve does not answer")
		}
		<-time.After(10 * time.Millisecond)
	}
}

// window gathers something new, holds a window, and tells for how long the door stood open.
func (s *executor) window() time.Duration {
	s.b.Helper()
	s.nights++
	s.must(os.WriteFile(filepath.Join(s.source, "night.bin"), bytes.Repeat([]byte{byte(s.nights)}, 1<<20), 0o600))
	s.airlock("gather")
	var record struct {
		Result   string
		Exposure float64 `json:"exposure_seconds"`
	}
	s.must(json.Unmarshal(s.airlock("window", "--json", "--reason", "to be measured"), &record))
	if record.Result != "done" || record.Exposure <= 0 {
		s.b.Fatalf("the window: %+v", record)
	}
	return time.Duration(record.Exposure * float64(time.Second))
}

// hammer asks for the status as often as it can, from many addresses, until stop. Who is sent
// away comes again.
func (s *executor) hammer() (stop func()) {
	ctx, cancel := context.WithCancel(s.b.Context())
	questions := strings.Repeat("GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", pipelined)
	var all sync.WaitGroup
	for i := range hammers {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%200))}, Timeout: time.Second}
		all.Go(func() {
			for ctx.Err() == nil {
				conn, err := d.DialContext(ctx, "tcp", s.address)
				if err != nil {
					continue
				}
				unless := context.AfterFunc(ctx, func() { conn.Close() })
				go io.WriteString(conn, questions)
				n, _ := io.Copy(io.Discard, conn)
				s.answered.Add(n)
				unless()
				conn.Close()
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}
