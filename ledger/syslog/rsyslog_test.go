package syslog

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"airlock/ledger"
)

// rsyslog is Debian's rsyslogd, as a SIEM's collector runs it.
type rsyslog struct {
	t       *testing.T
	program string
	dir     string
	address string
	cmd     *exec.Cmd
}

func newRsyslog(t *testing.T, network string) *rsyslog {
	t.Helper()
	program, err := exec.LookPath("/usr/sbin/rsyslogd")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("rsyslogd is not installed; lab/install.sh installs it")
		}
		t.Skip("rsyslogd is not installed; lab/install.sh installs it")
	}
	r := &rsyslog{t: t, program: program, dir: t.TempDir(), address: freeAddress(t, network)}
	_, port, err := net.SplitHostPort(r.address)
	if err != nil {
		t.Fatal(err)
	}
	input := map[string]string{
		"udp": `module(load="imudp")` + "\n" + `input(type="imudp" address="127.0.0.1" port="` + port + `")`,
		"tcp": `module(load="imtcp")` + "\n" + `input(type="imtcp" address="127.0.0.1" port="` + port + `")`,
		"tls": `module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.Authmode="anon")` + "\n" + `input(type="imtcp" address="127.0.0.1" port="` + port + `")`,
	}[network]
	if network == "tls" {
		writeCertificates(t, r.dir)
		input = fmt.Sprintf("global(DefaultNetstreamDriverCAFile=%q DefaultNetstreamDriverCertFile=%q DefaultNetstreamDriverKeyFile=%q)\n",
			r.path("ca.pem"), r.path("cert.pem"), r.path("key.pem")) + input
	}
	conf := fmt.Sprintf("global(workDirectory=%q)\n%s\n", r.dir, input) +
		`template(name="line" type="string" string="%pri% %msgid% %structured-data% %timereported:::date-rfc3339% %msg%\n")` + "\n" +
		fmt.Sprintf(`action(type="omfile" file=%q template="line")`, r.path("messages")) + "\n"
	if err := os.WriteFile(r.path("rsyslog.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if r.cmd != nil {
			r.end(syscall.SIGKILL)
		}
	})
	return r
}

func (r *rsyslog) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rsyslog) start() {
	r.t.Helper()
	r.cmd = exec.Command(r.program, "-n", "-f", r.path("rsyslog.conf"), "-i", r.path("pid"))
	var said strings.Builder
	r.cmd.Stderr = &said
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if r.t.Failed() {
			r.t.Logf("rsyslogd: %s", said.String())
		}
	})
}

func (r *rsyslog) end(how syscall.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(how); err != nil {
		r.t.Error(err)
	}
	r.cmd.Wait() // it ends by a signal
	r.cmd = nil
}

// lines are what rsyslogd has written, whole lines only.
func (r *rsyslog) lines() []string {
	r.t.Helper()
	text, err := os.ReadFile(r.path("messages"))
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	var all []string
	for in := bufio.NewScanner(strings.NewReader(string(text[:strings.LastIndexByte(string(text), '\n')+1]))); in.Scan(); {
		all = append(all, in.Text())
	}
	return all
}

func (r *rsyslog) numbers() []int64 {
	var all []int64
	for _, line := range r.lines() {
		found := seqParam.FindStringSubmatch(line)
		if found == nil {
			r.t.Fatalf("no message of ours: %q", line)
		}
		seq, err := strconv.ParseInt(found[1], 10, 64)
		if err != nil {
			r.t.Fatal(err)
		}
		all = append(all, seq)
	}
	return all
}

// await returns once the entry has arrived.
func (r *rsyslog) await(seq int64) {
	r.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); !slices.Contains(r.numbers(), seq); {
		select {
		case <-tick.C:
		case <-late:
			r.t.Fatalf("entry %d did not arrive; these did: %v", seq, r.numbers())
		}
	}
}

// An entry arrives once at least and in order, though the receiver is shut down, killed
// and started again, and airlock as well. What the receiver then makes of an entry is
// what was meant.
func TestRsyslog(t *testing.T) {
	for _, network := range []string{"udp", "tcp", "tls"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			r := newRsyslog(t, network)
			l, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), ledger.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			conf := Config{Network: network, Address: r.address, Site: "kita-hospital", Facility: "local3", Cursor: filepath.Join(t.TempDir(), "cursor")}
			if network == "tls" {
				conf.CA = r.path("ca.pem")
			}
			begin := func() (*Forwarder, func()) {
				f, err := New(conf, &l.Reader)
				if err != nil {
					t.Fatal(err)
				}
				f.ripe = 2 * time.Second
				return f, run(f)
			}
			write := func(n int) (last int64) {
				for range n {
					e, err := l.Append(t.Context(), ledger.Entry{Time: time.Now(), Kind: ledger.KindDoor, Actor: "schedule", Reason: `定例 "夜間"]`, Door: "vault-door", From: "shut", To: "opening"})
					if err != nil {
						t.Fatal(err)
					}
					last = e.Seq
				}
				return last
			}

			_, end := begin() // before there is a receiver
			write(40)
			r.start()
			r.await(40)
			write(300)
			r.await(50)
			r.end(syscall.SIGTERM) // in the middle, perhaps
			write(30)
			r.start()
			r.await(write(10))
			r.end(syscall.SIGKILL)
			last := write(20)
			end()
			f, again := begin() // airlock as well
			r.start()
			r.await(last)

			again()
			last = write(5)
			if err := f.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.await(last)
			if f.sure.Seq != last {
				t.Errorf("the cursor stands at %d, and %d had surely arrived", f.sure.Seq, last)
			}
			if got := firsts(r.numbers()); !slices.Equal(got, upTo(int(last))) {
				t.Errorf("arrived: %v", got)
			}

			before := len(r.lines())
			_, end = begin() // nothing is told twice now
			last = write(1)
			r.await(last)
			end()
			after := r.lines()[before:]
			if len(after) != 1 {
				t.Errorf("after all had arrived, these came: %q", after)
			}
			const want = `157 door [airlock@32473 actor="schedule" door="vault-door" from="shut" kind="door" seq="406" site="kita-hospital" to="opening"] `
			line := after[len(after)-1]
			if !strings.HasPrefix(line, want) || !strings.HasSuffix(line, `door: door vault-door: shut → opening: 定例 "夜間"] (schedule)`) {
				t.Errorf("got  %q\nwant %q", line, want)
			}
		})
	}
}

// S13, in passing: a receiver that cannot prove who it is learns nothing.
func TestForeignReceiver(t *testing.T) {
	r := newRsyslog(t, "tls")
	r.start()
	from := &pages{}
	from.append(1)
	ca := t.TempDir()
	writeCertificates(t, ca) // another authority
	f := forwarder(t, from, nil, Config{Network: "tls", Address: r.address, CA: filepath.Join(ca, "ca.pem")})
	for {
		err := f.Finish(t.Context())
		if err == nil {
			t.Fatal("a receiver with another authority's certificate was told")
		}
		if strings.Contains(err.Error(), "certificate") {
			break
		}
		if !strings.Contains(err.Error(), "refused") { // it is only starting
			t.Fatal(err)
		}
	}
	if got := r.lines(); len(got) > 0 {
		t.Errorf("it learnt %q", got)
	}
}

func freeAddress(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.LocalAddr().String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// writeCertificates makes an authority and a certificate for 127.0.0.1.
func writeCertificates(t *testing.T, dir string) {
	t.Helper()
	sign := func(name string, template, parent *x509.Certificate, by *ecdsa.PrivateKey) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if by == nil {
			by = key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		writePEM(t, filepath.Join(dir, name), "CERTIFICATE", der)
		return key
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	by := sign("ca.pem", authority, authority, nil)
	key := sign("cert.pem", &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "siem"}, NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, authority, by)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, filepath.Join(dir, "key.pem"), "PRIVATE KEY", der)
}

func writePEM(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
