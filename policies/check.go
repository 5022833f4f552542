package policies

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"airlock/policies/yamldoc"
	"airlock/spelling"
	"airlock/state"
)

// check holds what was read against the rules that no single value can show, and
// fills in the defaults. What could not be read is zero and is passed over: it was
// reported.
func (r reader) check(p *Policy) {
	if p.Site != "" {
		r.CheckName(r.Value("site"), p.Site)
	}
	p.State = state.Folder(r.absolute("state", string(p.State)))
	r.addressAt("status.listen", &p.Status.Listen, 0)
	r.checkGuard("guard", &p.Guard, p)
	if p.Ledger.Syslog != nil {
		r.checkSyslog("ledger.syslog", p.Ledger.Syslog)
	}
	if p.Ledger.Timestamps != nil {
		r.checkTimestamps("ledger.timestamps", p.Ledger.Timestamps)
	}
	r.access("repository", p.Repository.URL.Scheme, &p.Repository.Access)
	for _, name := range sorted(p.Switches) {
		r.checkSwitch("switches."+name, p.Switches[name])
	}
	if p.Traps != nil { // their senders' addresses come from the switches
		r.checkTraps("traps", p.Traps, p)
	}
	for _, name := range sorted(p.Doors) {
		r.checkDoor("doors."+name, p.Doors[name], p)
	}
	r.samePorts(p)
	for _, name := range sorted(p.Vaults) {
		r.checkVault("vaults."+name, p.Vaults[name], p)
	}
	r.doorRoles(p)
	if r.Given("systems") && p.Systems != nil && len(p.Systems) == 0 {
		r.Add(r.Key("systems"), "no system is named", "write at least one system below it: a name, and below that its source and schedule")
	}
	for _, name := range sorted(p.Systems) {
		r.checkSystem("systems."+name, p.Systems[name])
	}
}

// bind gives every schedule the site's zone.
func (p *Policy) bind() {
	for _, v := range p.Vaults {
		v.Window.Schedule.zone = p.Timezone.Location
	}
	for _, s := range p.Systems {
		s.Schedule.zone = p.Timezone.Location
		s.zone = p.Timezone.Location
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (r reader) absolute(at, p string) string {
	switch {
	case p == "":
		return ""
	case !filepath.IsAbs(p):
		r.Add(r.Value(at), r.Name(at)+" takes an absolute path", "write it from the root, such as /etc/airlock; ~ and variables are not expanded")
		return p
	}
	return filepath.Clean(p)
}

func (r reader) addressAt(at string, address *string, defaultPort int) {
	if *address == "" {
		return
	}
	s := *address
	if r.Name(at) == "listen" && strings.HasPrefix(s, ":") {
		s = "0.0.0.0" + s // every address of the machine; only checked in this form
	}
	full, err := readAddress(s, defaultPort)
	r.Refuse(at, r.Value(at), err)
	if err == nil && s == *address {
		*address = full
	}
}

// access checks that what the scheme needs is given, and nothing that it has no use for.
func (r reader) access(at, scheme string, a *Access) {
	a.KnownHosts = r.absolute(at+".known_hosts", a.KnownHosts)
	useless := map[string][]string{"smb": {"key", "known_hosts"}, "sftp": {"insecure"}, "file": {"password", "key", "known_hosts", "insecure"}}
	for _, k := range useless[scheme] {
		if r.Given(yamldoc.Join(at, k)) {
			r.Add(r.Key(yamldoc.Join(at, k)), fmt.Sprintf("%s has no use for %s://", k, scheme), "leave it out, or use another kind of URL")
		}
	}
	hasPassword, hasKey := r.Given(at+".password"), r.Given(at+".key")
	switch scheme {
	case "sftp":
		if !r.Given(at + ".known_hosts") {
			get := "ssh-keyscan HOST; compare the key with the server's own before trusting it"
			if strings.HasPrefix(at, "vaults.") { // its door is shut
				get = "airlock vault keys --known-hosts, at the vault's own host; of another server, which ssh-keyscan does not reach through a shut door, the line HOST ssh-ed25519 AAAA… by its /etc/ssh/ssh_host_ed25519_key.pub"
			}
			r.Add(r.Key(at), at+": known_hosts is missing", "write `known_hosts: /etc/airlock/known_hosts`, and get the server's key into it with: "+get)
		}
		if !hasPassword && !hasKey {
			r.Add(r.Key(at), at+": key and password are both missing", "write `key: {file: /etc/airlock/secrets/NAME_ed25519}` or `password: {file: /etc/airlock/secrets/NAME}`")
		}
	case "smb":
		if !hasPassword {
			r.Add(r.Key(at), at+": password is missing", "write `password: {file: /etc/airlock/secrets/NAME}`")
		}
	}
}

func (r reader) checkGuard(at string, g *Guard, p *Policy) {
	state := p.State
	if !r.Given(at + ".interval") {
		g.Interval = min(Duration(5*time.Second), g.LeaseTTL)
	}
	g.Ledger = r.absolute(at+".ledger", g.Ledger)
	if g.Ledger == "" && state != "" {
		g.Ledger = state.GuardLedger()
	}
	if g.Interval > g.LeaseTTL && g.LeaseTTL > 0 {
		r.Add(r.Value(at+".interval"), "interval is longer than lease_ttl", "write 5s, or leave the key out; the guard has to look at least as often as a lease runs out")
	}
	if state != "" && filepath.Dir(g.Ledger) == string(state) {
		r.Add(r.Value(at+".ledger"), "the guard's ledger lies where the executor's does", "give it a folder of its own, or leave the key out: it is guard/ledger.db in the state folder then")
	}
	for _, name := range sorted(g.Switches) {
		one := yamldoc.Join(at+".switches", name)
		if _, known := p.Switches[name]; !known {
			r.unknownName(r.Key(one), "guard.switches", name, sorted(p.Switches), "switch")
		}
		r.checkSwitch(one, g.Switches[name])
	}
	r.noteKey(at+".key", g.Key, "a guard's public key", "write the line that `airlock guard` tells when it starts; it stands in ledger.pub beside the guard's ledger")
	if g.Leases != nil {
		r.checkLeases(at+".leases", *g.Leases, p)
	}
}

func (r reader) checkLeases(at string, l Leases, p *Policy) {
	const form = "write http://HOST:PORT or https://HOST:PORT, the address where status.listen is reached, and nothing behind it"
	if u, err := url.Parse(l.URL); l.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || *u != (url.URL{Scheme: u.Scheme, Host: u.Host})) {
		r.Add(r.Value(at+".url"), "url is not the address of a status listener", form)
	}
	name := r.noteKey(at+".key", l.Key, "a site's public key", "write the line that stands in keys/site.pub in the executor's state folder; `airlock init` makes it")
	if name != "" && name != p.Site && p.Site != "" {
		r.Add(r.Value(at+".key"), fmt.Sprintf("this is the key of the site %q", name), "write the line that stands in keys/site.pub in the state folder of this site's executor")
	}
	if !r.Given("status.listen") {
		r.Add(r.Key(at), "the executor serves no leases: status.listen is missing", "write `listen: \"127.0.0.1:9470\"` below status:, with an address that the guard's machine reaches")
	}
}

func (r reader) checkTraps(at string, t *Traps, p *Policy) {
	r.addressAt(at+".listen", &t.Listen, 162)
	for _, name := range sorted(t.Switches) {
		one, sender := yamldoc.Join(at+".switches", name), t.Switches[name]
		if _, known := p.Switches[name]; !known {
			r.unknownName(r.Key(one), "traps.switches", name, sorted(p.Switches), "switch")
		}
		if sender.From != "" {
			host, port, err := splitHost(sender.From, 0)
			r.Refuse(one+".from", r.Value(one+".from"), err)
			if err == nil && port != 0 {
				r.Add(r.Value(one+".from"), "from takes a host alone", "write "+host+"; traps come from any port")
			}
		}
		if sender.SNMP != nil {
			r.checkSNMP(one+".snmp", sender.SNMP)
		}
	}
	if len(p.Switches) > 0 && len(p.TrapSenders()) == 0 {
		r.Add(r.Key(at), "no switch has credentials by which its traps could be known", "give one below traps.switches: its name, and below that snmp")
	}
}

func (r reader) checkSyslog(at string, s *Syslog) {
	s.CA = r.absolute(at+".ca", s.CA)
	network, address := s.Receiver()
	port := map[string]int{"udp": 514, "tcp": 514, "tls": 6514}[network]
	switch full, err := readAddress(address, port); {
	case s.URL == "": // reported
	case port == 0:
		r.Add(r.Value(at+".url"), "url is not the address of a syslog receiver", "write tls://HOST:6514, tcp://HOST:514 or udp://HOST:514")
	case err != nil:
		r.Refuse(at+".url", r.Value(at+".url"), err)
	default:
		s.URL = network + "://" + full
	}
	if port != 0 && network != "tls" && s.CA != "" {
		r.Add(r.Value(at+".ca"), "ca has no use without tls", "leave it out, or write url: \"tls://HOST:6514\"")
	}
}

func (r reader) checkTimestamps(at string, t *Timestamps) {
	t.CA = r.absolute(at+".ca", t.CA)
	if u, err := url.Parse(t.URL); t.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "") {
		r.Add(r.Value(at+".url"), "url is not the address of a time-stamp authority", "write http://HOST/PATH or https://HOST/PATH, without a user, a password or a ?")
	}
}

// SameHost reports whether two entries under switches are one switch.
func (p *Policy) SameHost(one, other string) bool {
	a, b := p.Switches[one], p.Switches[other]
	return one == other || a != nil && b != nil && hostOf(a.Address) != "" && hostOf(a.Address) == hostOf(b.Address)
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return host
}

// TrapSenders are the switches whose traps can be known, each with where they come from
// and by what: what stands under traps.switches, or else under switches.
func (p *Policy) TrapSenders() map[string]TrapSender {
	senders := map[string]TrapSender{}
	for name, s := range p.Switches {
		sender := TrapSender{From: hostOf(s.Address), SNMP: s.SNMP}
		if own := p.Traps.Switches[name]; own != nil {
			sender.From, sender.SNMP = cmp.Or(own.From, sender.From), cmp.Or(own.SNMP, sender.SNMP)
		}
		if sender.SNMP != nil {
			senders[name] = sender
		}
	}
	return senders
}

func (r reader) checkSwitch(at string, s *Switch) {
	port := map[string]int{"snmp": 161, "cli": 22}[s.Driver]
	if port == 0 {
		return
	}
	r.addressAt(at+".address", &s.Address, port)
	other := map[string]string{"snmp": "cli", "cli": "snmp"}[s.Driver]
	if r.Given(yamldoc.Join(at, other)) {
		r.Add(r.Key(yamldoc.Join(at, other)), fmt.Sprintf("%s has no use for driver %s", other, s.Driver), "leave it out, or write driver: "+other+"; one switch may stand here twice, by two names")
	}
	if !r.Given(yamldoc.Join(at, s.Driver)) {
		r.Add(r.Key(at), fmt.Sprintf("%s: %s is missing", at, s.Driver), r.Example(yamldoc.Join(at, s.Driver), reflect.TypeFor[Switch]()))
	}
	if s.SNMP != nil && s.Driver == "snmp" {
		r.checkSNMP(at+".snmp", s.SNMP)
	}
	if s.CLI != nil && s.Driver == "cli" {
		r.checkCLI(at+".cli", s.CLI)
	}
}

func (r reader) checkCLI(at string, c *CLI) {
	r.access(at, "sftp", &c.Access)
	c.PlatformDir = r.absolute(at+".platform_dir", c.PlatformDir)
}

func (r reader) checkSNMP(at string, s *SNMP) {
	v3 := []string{"user", "auth", "auth_password", "privacy", "privacy_password"}
	var wanted, useless []string
	switch s.Version {
	case "3":
		wanted, useless = v3, []string{"community", "insecure"}
	case "2c":
		wanted, useless = []string{"community"}, append(v3, "context")
		if !s.Insecure {
			r.Add(r.Value(at+".version"), "SNMP 2c sends its password in clear and cannot tell who asks", "use version: 3 with auth and privacy; if the switch has nothing better, write insecure: true beside it")
		}
	}
	for _, k := range wanted {
		if !r.Given(yamldoc.Join(at, k)) {
			r.Add(r.Key(at), fmt.Sprintf("%s: %s is missing (SNMP %s)", at, k, s.Version), r.Example(yamldoc.Join(at, k), reflect.TypeFor[SNMP]()))
		}
	}
	for _, k := range useless {
		if r.Given(yamldoc.Join(at, k)) {
			r.Add(r.Key(yamldoc.Join(at, k)), fmt.Sprintf("%s has no use for SNMP %s", k, s.Version), "leave it out")
		}
	}
}

func (r reader) checkDoor(at string, d *Door, p *Policy) {
	r.reference(at+".switch", d.Switch, sorted(p.Switches), "switch")
	r.checkFallback(at, d, p)
	r.addressAt(at+".probe", &d.Probe, 0)
	for i := range d.Control {
		r.addressAt(fmt.Sprintf("%s.control.%d", at, i), &d.Control[i], 0)
	}
	switch {
	case len(d.Control) > 0 && d.Probe == "":
		r.Add(r.Key(at+".control"), "control is given without probe", "write `probe: host:port` of what must fall silent, or leave control out")
	case slices.Contains(d.Control, d.Probe) && d.Probe != "":
		r.Add(r.Value(at+".control"), "the control is the probe itself", "name another host of that segment, one that does not stand behind the door")
	}
}

func (r reader) checkFallback(at string, d *Door, p *Policy) {
	r.reference(at+".fallback", d.Fallback, sorted(p.Switches), "switch")
	ownPort := r.Given(at + ".fallback_port")
	s := p.Switches[d.Fallback]
	switch {
	case !r.Given(at+".fallback") && ownPort:
		r.Add(r.Key(at+".fallback_port"), "fallback_port is given without fallback", "write `fallback: NAME`, another entry under switches:, or leave fallback_port out")
	case d.Fallback != "" && d.Fallback == d.Switch:
		r.Add(r.Value(at+".fallback"), "the second way is the first one", "name another entry under switches:, such as the same switch with driver: cli, or leave fallback out")
	case s != nil && s.Driver == "cli" && !ownPort && d.Port.Index != 0 && d.Port == (Port{Index: d.Port.Index}):
		r.Add(r.Key(at+".fallback"), "the port is given by its index alone, which command lines do not know", "write `fallback_port: {name: NAME}` as `airlock ports "+d.Fallback+"` shows it, or give the port a name")
	}
	if d.Fallback != "" && !ownPort {
		d.FallbackPort = d.Port
	}
}

func (r reader) reference(at, name string, known []string, kind string) {
	if name == "" || slices.Contains(known, name) {
		return
	}
	r.unknownName(r.Value(at), r.Name(at), name, known, kind)
}

func (r reader) unknownName(at yamldoc.Spot, where, name string, known []string, kind string) {
	fix := "define it under " + kind + "es:"
	if kind == "door" {
		fix = "define it under doors:"
	}
	if near := spelling.Nearest(name, known); near != "" {
		fix = "write " + near + ", or " + fix
	} else if len(known) > 0 {
		fix += "; known are " + strings.Join(known, ", ")
	}
	r.Add(at, fmt.Sprintf("%s: no %s is called %q", where, kind, name), fix)
}

// samePorts finds two doors that are one port (S6 and S7 would fight over it). Two
// entries under switches may be one switch by two drivers, so its host is compared.
func (r reader) samePorts(p *Policy) {
	host := func(name string) string {
		if s := p.Switches[name]; s != nil {
			if h, _, err := net.SplitHostPort(s.Address); err == nil {
				return h
			}
		}
		return "switch " + name
	}
	type way struct {
		to   string
		port Port
	}
	ways := func(d *Door) (all []way) {
		if d.Switch != "" {
			all = append(all, way{host(d.Switch), d.Port})
		}
		if d.Fallback != "" {
			all = append(all, way{host(d.Fallback), d.FallbackPort})
		}
		return all
	}
	names := r.inOrder("doors.", sorted(p.Doors))
	for i, name := range names {
		d := p.Doors[name]
		twin := slices.IndexFunc(names[:i], func(other string) bool {
			return slices.ContainsFunc(ways(d), func(w way) bool {
				return slices.ContainsFunc(ways(p.Doors[other]), func(o way) bool { return w.to == o.to && samePort(w.port, o.port) })
			})
		})
		if twin >= 0 {
			r.Add(r.Key("doors."+name+".port"), fmt.Sprintf("this is the port that door %s names", names[twin]),
				"give each door a port of its own, or use one door in both places")
		}
	}
}

// inOrder sorts names as they stand in the file.
func (r reader) inOrder(prefix string, names []string) []string {
	slices.SortStableFunc(names, func(a, b string) int {
		x, y := r.Key(prefix+a), r.Key(prefix+b)
		return cmp.Or(x.Line-y.Line, x.Column-y.Column)
	})
	return names
}

// samePort says that a key which both give is equal, and none of them differs.
func samePort(x, y Port) bool {
	index := func(p Port) string { return strings.TrimPrefix(strconv.Itoa(p.Index), "0") }
	same := false
	for _, both := range [][2]string{{x.Name, y.Name}, {x.Alias, y.Alias}, {x.Description, y.Description}, {index(x), index(y)}} {
		if both[0] == "" || both[1] == "" {
			continue
		}
		if both[0] != both[1] {
			return false
		}
		same = true
	}
	return same
}

func (r reader) checkVault(at string, v *Vault, p *Policy) {
	r.access(at, v.URL.Scheme, &v.Access)
	r.reference(at+".door", v.Door, sorted(p.Doors), "door")
	r.reference(at+".inner_door", v.InnerDoor, sorted(p.Doors), "door")
	if v.InnerDoor != "" && v.InnerDoor == v.Door {
		r.Add(r.Value(at+".inner_door"), "the inner door is the vault's own door", "name the departments' door, or leave inner_door out")
	}
	if v.URL.Scheme != "" && v.URL == p.Repository.URL {
		r.Add(r.Value(at+".url"), "the vault lies where the repository lies", "give the vault a place of its own, on another machine behind its door")
	}
	r.noteKey(at+".receipt_key", v.ReceiptKey, "the public key of a vault's host", "write the line that `airlock vault serve` tells when it starts; it stands in keys/receipt.pub in the state folder there")
	if v.ReceiptKey != "" && (v.URL.Scheme == "file" || v.URL.Scheme == "smb") {
		r.Add(r.Key(at+".receipt_key"), "a folder or a share gives no receipts", "leave receipt_key out, or let `airlock vault serve` keep the folder and write sftp://")
	}
	for _, k := range []string{"retention", "read_back"} {
		if v.ReceiptKey != "" && r.Given(yamldoc.Join(at, k)) {
			r.Add(r.Key(yamldoc.Join(at, k)), k+" has no use for a vault whose host gives receipts", "leave it out; the host keeps and reads back by the policy file that `airlock vault serve` reads there")
		}
	}
	if v.ReceiptKey == "" { // else the vault's host keeps by its own
		r.keep(at+".keep", &v.Keep)
	}
}

// doorRoles holds each door to one use: the outer door of one vault, or an inner door.
func (r reader) doorRoles(p *Policy) {
	outer := make(map[string]string)
	names := r.inOrder("vaults.", sorted(p.Vaults))
	for _, name := range names {
		door := p.Vaults[name].Door
		if first, taken := outer[door]; taken && door != "" {
			r.Add(r.Value("vaults."+name+".door"), fmt.Sprintf("door %s is already the door of vault %s", door, first), "put each vault behind a door of its own")
		} else {
			outer[door] = name
		}
	}
	for _, name := range names {
		v := p.Vaults[name]
		if of, both := outer[v.InnerDoor]; both && v.InnerDoor != "" && v.InnerDoor != v.Door {
			r.Add(r.Value("vaults."+name+".inner_door"), fmt.Sprintf("door %s is used as an inner door and as the door of vault %s", v.InnerDoor, of), "an inner door stands on the departments' side; name another")
		}
	}
}

// keep fills in the default.
func (r reader) keep(at string, k *Keep) {
	if !r.Given(at) {
		*k = Keep{Last: 10, Daily: 14, Weekly: 8, Monthly: 12}
	}
}

// valid refuses what would delete everything.
func (k *Keep) valid() error {
	if *k == (Keep{}) {
		return yamldoc.Refusal("keeps nothing", "write at least one number above zero, such as `last: 10`, or leave keep out")
	}
	return nil
}

// valid refuses a port that any row would match.
func (p *Port) valid() error {
	if *p == (Port{}) {
		return yamldoc.Refusal("names no port", "write one or more of name, alias, description and index; `airlock ports SWITCH` lists them")
	}
	return nil
}

func (r reader) checkSystem(at string, s *System) {
	r.access(at+".source", s.Source.URL.Scheme, &s.Source.Access)
	r.keep(at+".keep", &s.Keep)
	if wholeDay(s.Limits.QuietHours) {
		r.Add(r.Key(at+".limits.quiet_hours"), "the quiet hours cover the whole day", "leave some hours for reading")
	}
	if m := s.Ready.Marker; m != "" && (path.IsAbs(m) || strings.Contains("/"+m+"/", "/../") || strings.Contains(m, `\`)) {
		r.Add(r.Value(at+".ready.marker"), "marker takes a path below the source", "write it with slashes and without .., such as DONE or out/DONE")
	}
	for k, globs := range map[string][]string{"include": s.Include, "exclude": s.Exclude, "always_read": s.AlwaysRead} {
		for i, g := range globs {
			if g != "" && !doublestar.ValidatePattern(g) {
				r.Add(r.Value(fmt.Sprintf("%s.%s.%d", at, k, i)), fmt.Sprintf("%s: %q is not a pattern", k, g), "close every [ and {; a \\ before a character takes it as it is")
			}
		}
	}
}

// wholeDay says whether the spans leave no minute of the day free. The zero span is one
// that could not be read.
func wholeDay(spans []ClockRange) bool {
	day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	for minute := range 24 * 60 {
		t := day.Add(time.Duration(minute) * time.Minute)
		if !slices.ContainsFunc(spans, func(c ClockRange) bool { return c != ClockRange{} && c.Contains(t) }) {
			return false
		}
	}
	return true
}
