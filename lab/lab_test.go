//go:build linux

package lab_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"airlock/lab"
	"airlock/lab/labtest"
	"airlock/policies"
)

// makerOf is set in a copy of this program that makes a lab and waits to be killed.
const makerOf = "LAB_TEST_MAKER_OF"

func TestMain(m *testing.M) {
	name, dir, ok := strings.Cut(os.Getenv(makerOf), " ")
	if !ok {
		os.Exit(m.Run())
	}
	if _, err := lab.Up(context.Background(), lab.Options{Name: name, Dir: dir, CLI: true}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("up")
	select {}
}

// bounded bounds every wait of a test.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// on runs a program on a host.
func on(t *testing.T, h *lab.Hospital, host lab.Host, stdin, name string, args ...string) (string, error) {
	t.Helper()
	c := h.Command(bounded(t), host, name, args...)
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8") // elsewhere sftp escapes Japanese names
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	return string(out), err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reaches tries the vault's ssh port from the NAS.
func reaches(t *testing.T, h *lab.Hospital, seconds int) bool {
	t.Helper()
	_, err := on(t, h, lab.NAS, "", "nc", "-z", "-w", fmt.Sprint(seconds), "10.77.0.13", "22")
	return err == nil
}

func snmpset(t *testing.T, h *lab.Hospital, port string, value int) (string, error) {
	t.Helper()
	index, err := on(t, h, lab.Switch, "", "cat", "/sys/class/net/"+port+"/ifindex")
	if err != nil {
		t.Fatal(index)
	}
	return on(t, h, lab.NAS, "", "snmpset", "-r", "4", "-t", "1", "-v3", "-l", "authPriv", "-u", lab.SNMPUser,
		"-a", "SHA-256", "-A", lab.SNMPAuth, "-x", "AES", "-X", lab.SNMPPrivacy, "10.78.0.1",
		".1.3.6.1.2.1.2.2.1.7."+strings.TrimSpace(index), "i", fmt.Sprint(value))
}

func TestSNMPSetOpensAndShutsThePort(t *testing.T) {
	labtest.Want(t, "snmpset", "nc")
	h := labtest.Up(t, lab.Options{})
	s, err := h.Sampler(lab.VaultPort, lab.DepartmentsPort)
	must(t, err)
	if reaches(t, h, 1) {
		t.Fatal("the vault answers before its port was opened")
	}
	before := time.Now()
	if out, err := snmpset(t, h, lab.VaultPort, 1); err != nil {
		t.Fatal(out)
	}
	opened := time.Now()
	if !reaches(t, h, 10) {
		t.Fatal("the vault does not answer through its open port")
	}
	if out, err := snmpset(t, h, lab.VaultPort, 2); err != nil {
		t.Fatal(out)
	}
	if reaches(t, h, 1) {
		t.Fatal("the vault answers through its shut port")
	}
	seen := s.Stop()
	if len(seen) != 4 || seen[0].Up || !seen[1].Up || !seen[2].Up || seen[3].Up || seen[1].Port != lab.DepartmentsPort {
		t.Fatalf("%+v; want p3 down and p1 up as found, then p3 up and down", seen)
	}
	// The sampler's word is an interval; it overlaps what was going on around the SET.
	if up := seen[2]; up.By.Before(before) || up.After.After(opened) {
		t.Errorf("p3 up in (%v, %v]; the SET ran from %v to %v", up.After, up.By, before, opened)
	}
}

func TestPortsSayTheirSpeed(t *testing.T) {
	labtest.Want(t, "snmpbulkwalk")
	h := labtest.Up(t, lab.Options{})
	speeds, err := on(t, h, lab.NAS, "", "snmpbulkwalk", "-Oqv", "-v3", "-l", "authPriv", "-u", lab.SNMPUser,
		"-a", "SHA-256", "-A", lab.SNMPAuth, "-x", "AES", "-X", lab.SNMPPrivacy, "10.78.0.1", ".1.3.6.1.2.1.31.1.1.1.15")
	if err != nil || strings.Join(strings.Fields(speeds), " ") != "10 10000 10000 10000 1000 10000" {
		t.Fatalf("ifHighSpeed of lo, br0, p1, p2, p3, mgmt0: %v, %q; want p3 at 1000", err, speeds)
	}
}

func TestDepartmentsServe(t *testing.T) {
	labtest.Want(t, "smbclient", "sftp")
	h := labtest.Up(t, lab.Options{})
	text, err := os.ReadFile(h.PolicyFile())
	must(t, err)
	p, err := policies.Parse(h.PolicyFile(), text)
	must(t, err)

	accounting := p.Systems["accounting"].Source
	password, err := accounting.Password.Read()
	must(t, err)
	listing, err := on(t, h, lab.NAS, password+"\n", "smbclient", "//"+accounting.URL.Host+"/"+accounting.URL.Share,
		"-U", accounting.URL.User, "-D", accounting.URL.Path, "-c", "ls")
	if err != nil || !strings.Contains(listing, "医事会計_日次.dump") || !strings.Contains(listing, "DONE") {
		t.Errorf("smbclient: %v\n%s", err, listing)
	}
	if out, err := on(t, h, lab.NAS, "not it\n", "smbclient", "//"+accounting.URL.Host+"/"+accounting.URL.Share,
		"-U", accounting.URL.User, "-c", "ls"); err == nil {
		t.Errorf("smbclient with a wrong password: %s", out)
	}

	ophthalmology := p.Systems["ophthalmology"].Source
	listing, err = on(t, h, lab.NAS, "ls -1 "+ophthalmology.URL.Path+"\n", "sftp", "-q", "-b", "-",
		"-i", ophthalmology.Key.File, "-o", "UserKnownHostsFile="+ophthalmology.KnownHosts,
		ophthalmology.URL.User+"@"+ophthalmology.URL.Host)
	if err != nil || !strings.Contains(listing, "視力検査.csv") {
		t.Errorf("sftp: %v\n%s", err, listing)
	}
}

func TestCommandLineSetsTheSamePorts(t *testing.T) {
	labtest.Want(t, "ssh")
	h := labtest.Up(t, lab.Options{CLI: true})
	s, err := h.Sampler(lab.DepartmentsPort)
	must(t, err)
	out, err := on(t, h, lab.NAS, "configure terminal\ninterface p1\nshutdown\nend\nshow interface p1\nexit\n",
		"ssh", "-T", "-i", h.Dir+"/secrets/key", "-o", "UserKnownHostsFile="+h.Dir+"/known_hosts", "root@10.78.0.1")
	if err != nil || !strings.Contains(out, "Interface p1 is down") || !strings.Contains(out, "lab-switch#") {
		t.Fatalf("%v\n%s", err, out)
	}
	if seen := s.Stop(); len(seen) != 2 || seen[1].Up {
		t.Fatalf("%+v; want p1 up as found, then down", seen)
	}
}

func TestFaults(t *testing.T) {
	labtest.Want(t, "snmpset", "nc", "smbclient")
	h := labtest.Up(t, lab.Options{VaultDisk: 1 << 20})
	ctx := bounded(t)
	whole, err := h.Sampler(lab.VaultPort)
	must(t, err)
	must(t, h.SetPort(ctx, lab.VaultPort, true))
	if !reaches(t, h, 10) {
		t.Fatal("the vault does not answer through its open port")
	}

	must(t, h.Stop(ctx, lab.VaultSSH))
	if reaches(t, h, 2) {
		t.Error("the vault answers without its ssh server")
	}
	must(t, h.Start(ctx, lab.VaultSSH))
	if !reaches(t, h, 2) {
		t.Error("the vault does not answer after its ssh server was started again")
	}

	must(t, h.SetCable(ctx, lab.Vault, false))
	if reaches(t, h, 1) {
		t.Error("the vault answers without its cable")
	}
	must(t, h.SetCable(ctx, lab.Vault, true))
	if !reaches(t, h, 10) {
		t.Error("the vault does not answer with its cable plugged in again")
	}

	must(t, h.Stop(ctx, lab.DepartmentsSMB))
	if out, err := on(t, h, lab.NAS, "", "nc", "-z", "-w", "2", "10.77.0.11", "445"); err == nil {
		t.Error("SMB answers after it was stopped", out)
	}
	must(t, h.Start(ctx, lab.DepartmentsSMB))

	must(t, h.SetCable(ctx, lab.Switch, false))
	if _, err := snmpset(t, h, lab.VaultPort, 2); err == nil {
		t.Error("the switch took a SET without its management cable")
	}
	must(t, h.SetCable(ctx, lab.Switch, true))
	must(t, h.Restart(ctx, lab.SNMP))
	if out, err := snmpset(t, h, lab.VaultPort, 2); err != nil {
		t.Error("after a restart of snmpd:", out)
	}

	must(t, h.RenamePort(ctx, lab.VaultPort, "p7"))
	if seen := whole.Stop(); len(seen) != 3 || seen[2].Port != lab.VaultPort || seen[2].Up {
		t.Errorf("whoever watched p3 since before it was renamed: %+v; want it up, then down", seen)
	}
	s, err := h.Sampler(lab.VaultPort, "p7")
	must(t, err)
	if seen := s.Stop(); len(seen) != 1 || seen[0].Port != "p7" || seen[0].Up {
		t.Errorf("after renaming p3: %+v; want p7 down and no p3", seen)
	}

	must(t, h.Fill(lab.VaultDisk))
	file := filepath.Join(filepath.Dir(h.VaultDir()), "blob")
	if err := os.WriteFile(file, []byte("x"), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write to a full disk: %v; want no space", err)
	}
	must(t, h.Free(lab.VaultDisk))
	must(t, os.WriteFile(file, []byte("x"), 0o600))
	if h.Fill(lab.StateDisk) == nil {
		t.Error("filled a disk that this hospital does not have")
	}
}

// What an agent answers to a SET, what it says of the port after, and how the port is.
func TestAgents(t *testing.T) {
	labtest.Want(t, "snmpset", "snmpget", "snmpbulkwalk")
	h := labtest.Up(t, lab.Options{})
	ctx := bounded(t)
	ports, err := h.Sampler(lab.VaultPort)
	must(t, err)
	v3 := []string{"-Oqv", "-t10", "-v3", "-l", "authPriv", "-u", lab.SNMPUser, "-a", "SHA-256", "-A", lab.SNMPAuth,
		"-x", "AES", "-X", lab.SNMPPrivacy, "10.78.0.1"}
	index, err := on(t, h, lab.Switch, "", "cat", "/sys/class/net/p3/ifindex")
	must(t, err)
	for _, c := range []struct {
		agent          lab.Agent
		takes          bool
		admin, columns string
		up             bool
	}{
		{lab.ReadOnly, false, "2", "1 1 1 1 2 1", false},
		{lab.Ignoring, true, "2", "1 1 1 1 2 1", false},
		{lab.Deceitful, true, "1", "1 1 1 1 1 1", false},
		{lab.Obedient, true, "1", "1 1 1 1 1 1", true},
	} {
		t.Run(string(c.agent), func(t *testing.T) {
			must(t, h.SetAgent(ctx, c.agent))
			if out, err := snmpset(t, h, lab.VaultPort, 1); (err == nil) != c.takes {
				t.Errorf("SET: %v, %s", err, out)
			}
			got, err := on(t, h, lab.NAS, "", "snmpget", append(v3, ".1.3.6.1.2.1.2.2.1.7."+strings.TrimSpace(index))...)
			if err != nil || strings.TrimSpace(got) != c.admin {
				t.Errorf("GET says %q, %v; want %s", got, err, c.admin)
			}
			column, err := on(t, h, lab.NAS, "", "snmpbulkwalk", append(v3, ".1.3.6.1.2.1.2.2.1.7")...)
			if err != nil || strings.Join(strings.Fields(column), " ") != c.columns {
				t.Errorf("the column is %q, %v; want %s", column, err, c.columns)
			}
			seen := ports.Transitions()
			if up := seen[len(seen)-1].Up; up != c.up {
				t.Errorf("the port is up=%t", up)
			}
		})
	}
}

// The process that looks into the switch must not be found there, and killed with it.
func TestSamplersLeaveTheProcessWhereItIs(t *testing.T) {
	h := labtest.Up(t, lab.Options{})
	before, err := os.Readlink("/proc/self/ns/net")
	must(t, err)
	for range 200 {
		s, err := h.Sampler(lab.VaultPort)
		must(t, err)
		s.Stop()
	}
	if after, err := os.Readlink("/proc/self/ns/net"); err != nil || after != before {
		t.Fatalf("the process moved from %s to %s, %v", before, after, err)
	}
}

func TestUpTwice(t *testing.T) {
	first := labtest.Up(t, lab.Options{})
	again, err := lab.Up(bounded(t), first.Options)
	must(t, err)
	must(t, again.SetPort(bounded(t), lab.VaultPort, true))
}

func TestTwoSideBySide(t *testing.T) {
	a, b := labtest.Up(t, lab.Options{}), labtest.Up(t, lab.Options{})
	s, err := b.Sampler(lab.VaultPort)
	must(t, err)
	must(t, a.SetPort(bounded(t), lab.VaultPort, true))
	if seen := s.Stop(); len(seen) != 1 {
		t.Errorf("a port of one hospital moved with the other's: %+v", seen)
	}
}

func TestDownLeavesNothing(t *testing.T) {
	h := labtest.Up(t, lab.Options{CLI: true, VaultDisk: 1 << 20, StateDisk: 1 << 20})
	session := h.Command(context.Background(), lab.NAS, "sleep", "3600")
	must(t, session.Start())
	must(t, h.Down())
	session.Wait()
	nothingLeft(t, h.Options)
	must(t, h.Down())
}

func TestDownAfterItsMakerWasKilled(t *testing.T) {
	if err := lab.Missing(true); err != nil {
		labtest.Up(t, lab.Options{CLI: true}) // skips, or fails
	}
	o := labtest.Options(t, lab.Options{CLI: true})
	maker := exec.Command(os.Args[0])
	maker.Env = append(os.Environ(), makerOf+"="+o.Name+" "+o.Dir)
	maker.Stderr = os.Stderr
	said, err := maker.StdoutPipe()
	must(t, err)
	must(t, maker.Start())
	t.Cleanup(func() { lab.Down(context.Background(), o) })
	up := make([]byte, len("up\n"))
	if _, err := said.Read(up); err != nil || string(up) != "up\n" {
		t.Fatalf("the maker said %q, %v", up, err)
	}
	must(t, maker.Process.Kill())
	maker.Wait()
	if len(traces(t, o)) == 0 {
		t.Fatal("the lab went with its maker; this test shows nothing")
	}
	must(t, lab.Down(bounded(t), o))
	nothingLeft(t, o)
}

func nothingLeft(t *testing.T, o lab.Options) {
	t.Helper()
	if left := traces(t, o); len(left) > 0 {
		t.Errorf("left after down:\n%s", strings.Join(left, "\n"))
	}
}

// traces lists what a machine shows of a lab: namespaces, mounts, processes, files.
func traces(t *testing.T, o lab.Options) (left []string) {
	t.Helper()
	namespaces, err := filepath.Glob("/run/netns/al-*-" + o.Name)
	must(t, err)
	left = append(left, namespaces...)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, o.Dir) || strings.Contains(line, "-"+o.Name+" ") {
			left = append(left, "mount: "+line)
		}
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, c := range commands {
		if text, err := os.ReadFile(c); err == nil && bytes.Contains(text, []byte(o.Dir)) {
			left = append(left, c+": "+string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
		}
	}
	if _, err := os.Stat(o.Dir); !errors.Is(err, fs.ErrNotExist) {
		left = append(left, "folder: "+o.Dir)
	}
	return left
}

func TestRefusesWhatCouldDoHarm(t *testing.T) {
	foreign := t.TempDir()
	thesis := filepath.Join(foreign, "thesis.txt")
	must(t, os.WriteFile(thesis, nil, 0o600))
	for why, o := range map[string]lab.Options{
		"somebody's folder": {Dir: foreign},
		"a name with a dot": {Name: "a.b"},
		"a folder in /run":  {Dir: "/run/lab"},
		"a space":           {Dir: "/tmp/a lab"},
	} {
		if err := lab.Down(bounded(t), o); err == nil {
			t.Errorf("down with %s: no error", why)
		}
	}
	if _, err := os.Stat(thesis); err != nil {
		t.Error(err)
	}
}
