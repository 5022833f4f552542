package snmp

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"airlock/switchctl"
	"airlock/switchctl/snmp/wire"

	"github.com/gosnmp/gosnmp"
)

// TrapConfig says where traps and informs are awaited, and from whom.
type TrapConfig struct {
	Listen  string // host:port; port 162 where none is given
	Engine  string // what the receiver's snmpEngineID is made of: the same text gives the same ID
	Senders []Sender
	// Refused is told of messages that no sender can have sent: at once for the first of
	// a kind, then once a minute at the most. It may be nil, and must not block.
	Refused func(Refusal)
}

// Sender is a switch whose traps are believed to be its own.
type Sender struct {
	Switch string // its name, which the Trap carries
	From   string // the host that its traps come from
	Config        // its version and credentials; nothing else of it is used
}

// Refusal counts messages that were dropped for the same reason.
type Refusal struct {
	From  netip.Addr // of the newest of them
	Why   string
	Count int // since the last Refusal of this kind
}

// The bounds that keep a storm of traps from costing more than it is worth.
const (
	mostTrapsPerSecond = 50  // of one address; beyond that they are not read
	mostTrapsAtOnce    = 200 // of one address, after a quiet time
	mostTrapsWaiting   = 256 // to be taken, after those that are alike were joined
	refusalsEvery      = time.Minute
)

// TrapListener receives SNMPv2c and SNMPv3 traps and informs, and acknowledges informs.
//
// Of version 3 nothing but authPriv is taken, within the time window of RFC 3414,
// section 3.2: of a trap by the clock of the engine that sent it, which is learned from
// its first message; of an inform by the listener's own engine, whose ID, boots and time
// it tells to whoever asks from a sender's address. Its snmpEngineBoots are the seconds
// from 2020 to its start, so that they grow from start to start with nothing stored.
//
// gosnmp's own TrapListener is not used: it checks no time window, takes version 2c
// where version 3 is wanted, and acknowledges informs that were not authentic.
type TrapListener struct {
	conn    *net.UDPConn
	senders map[netip.Addr][]*sender
	engine  receiverEngine
	refused func(Refusal)
	refusal map[string]*tally
	waiting trapQueue
}

// ListenTraps opens the socket. Senders' names are resolved once, here.
func ListenTraps(ctx context.Context, c TrapConfig) (*TrapListener, error) {
	l := &TrapListener{
		senders: map[netip.Addr][]*sender{}, engine: newReceiverEngine(c.Engine),
		refused: c.Refused, refusal: map[string]*tally{}, waiting: newTrapQueue(),
	}
	for _, s := range c.Senders {
		if err := l.add(ctx, s); err != nil {
			return nil, fmt.Errorf("traps of switch %s: %w", s.Switch, err)
		}
	}
	listen := c.Listen
	if _, _, err := net.SplitHostPort(listen); err != nil {
		listen = net.JoinHostPort(strings.Trim(listen, "[]"), "162")
	}
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", listen)
	if err != nil {
		return nil, fmt.Errorf("listen for traps: %w; below port 1024 this needs root or CAP_NET_BIND_SERVICE, and no other trap receiver on this machine", err)
	}
	l.conn = conn.(*net.UDPConn) // what "udp" gives
	return l, nil
}

func (l *TrapListener) add(ctx context.Context, s Sender) error {
	s.Config.Address = s.From
	client, err := s.Config.client()
	if err != nil {
		return err
	}
	addresses, err := (&net.Resolver{}).LookupNetIP(ctx, "ip", client.Target)
	if err != nil {
		return err
	}
	added := &sender{name: s.Switch, client: client, clocks: map[string]engineClock{}}
	for _, a := range addresses {
		l.senders[a.Unmap()] = append(l.senders[a.Unmap()], added)
	}
	return nil
}

// Addr is where the listener listens.
func (l *TrapListener) Addr() net.Addr { return l.conn.LocalAddr() }

// EngineID is the listener's own snmpEngineID, which some switches have to be told
// before they can send it informs of version 3.
func (l *TrapListener) EngineID() []byte { return []byte(l.engine.id) }

// Run receives until ctx ends, closes the socket, and returns nil, or why it could
// receive no more. take is called for one trap after the other; while it is busy those
// that are alike are joined.
func (l *TrapListener) Run(ctx context.Context, take func(switchctl.Trap)) error {
	ctx, cancel := context.WithCancel(ctx)
	var taker sync.WaitGroup
	taker.Go(func() { l.waiting.run(ctx, take) })
	closed := context.AfterFunc(ctx, func() { l.conn.Close() }) // its error would be that of the read below
	err := l.receive(ctx)
	cancel()
	taker.Wait()
	if closed() { // it was not called, so the socket is still open
		err = errors.Join(err, l.conn.Close())
	}
	return err
}

func (l *TrapListener) receive(ctx context.Context) error {
	buffer := make([]byte, 65535)
	for {
		n, from, err := l.conn.ReadFromUDPAddrPort(buffer)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("receive traps: %w", err)
		case err != nil:
			continue // of one message, such as the ICMP answer to an acknowledgement
		}
		if reply := l.handle(buffer[:n], from.Addr().Unmap(), time.Now()); reply != nil {
			// An acknowledgement that cannot be sent is one lost on the way: the inform comes again.
			_, _ = l.conn.WriteToUDPAddrPort(reply, from)
		}
	}
}

// handle takes one message and gives the reply to it, nil for none.
func (l *TrapListener) handle(message []byte, from netip.Addr, at time.Time) []byte {
	senders := l.senders[from]
	if len(senders) == 0 {
		l.refuse(from, "it came from an address that is no switch's", at)
		return nil
	}
	if !senders[0].allowance.take(at) {
		l.refuse(from, "too many came at once", at)
		l.waiting.put(switchctl.Trap{Switch: senders[0].name, From: from, At: at, Kind: switchctl.TrapStorm})
		return nil
	}
	heard := l.open(message, senders, at)
	if heard.why != "" {
		l.refuse(from, heard.why, at)
	}
	if heard.packet == nil {
		return heard.reply
	}
	trap, ok := trapOf(heard.packet)
	if !ok {
		l.refuse(from, "it has no snmpTrapOID", at)
		return nil
	}
	trap.Switch, trap.From, trap.At = heard.by.name, from, at
	trap.Authentic = heard.packet.Version == gosnmp.Version3
	l.waiting.put(trap)
	return heard.reply
}

// heard is what came of one message: a trap or an inform of a sender's, with the
// acknowledgement of the latter; or else why not, and perhaps a report.
type heard struct {
	packet *gosnmp.SnmpPacket
	by     *sender
	reply  []byte
	why    string
}

// open decodes and authenticates a message. gosnmp has been seen to panic on hostile
// ones, and anybody may send them.
func (l *TrapListener) open(message []byte, senders []*sender, at time.Time) (h heard) {
	defer func() {
		if recover() != nil {
			h = heard{why: "it cannot be read"}
		}
	}()
	version, ok := wire.Version(message)
	switch {
	case ok && version == gosnmp.Version3:
		return l.openUSM(message, senders, at)
	case ok && version == gosnmp.Version2c:
		return openCommunity(message, senders)
	case ok && version == gosnmp.Version1:
		return heard{why: "it is of version 1; have the switch send version 3"}
	}
	return heard{why: "it cannot be read"}
}

func openCommunity(message []byte, senders []*sender) heard {
	packet, err := (&gosnmp.GoSNMP{Version: gosnmp.Version2c}).SnmpDecodePacket(message)
	if err != nil {
		return heard{why: "it cannot be read"}
	}
	expected := false
	for _, s := range senders {
		if s.client.Version != gosnmp.Version2c {
			continue
		}
		expected = true
		if subtle.ConstantTimeCompare([]byte(packet.Community), []byte(s.client.Community)) == 1 {
			return acknowledge(packet, s, func(answer *gosnmp.SnmpPacket) []byte {
				answer.Version, answer.Community = packet.Version, packet.Community
				return wire.Marshal(answer)
			})
		}
	}
	if !expected {
		return heard{why: "it is of version 2c, and this switch has credentials of version 3"}
	}
	return heard{why: "its community is wrong"}
}

// acknowledge is what a message of a sender's comes to, once it is known to be one.
func acknowledge(packet *gosnmp.SnmpPacket, by *sender, seal func(*gosnmp.SnmpPacket) []byte) heard {
	switch packet.PDUType {
	case gosnmp.SNMPv2Trap:
		return heard{packet: packet, by: by}
	case gosnmp.InformRequest:
		answer := &gosnmp.SnmpPacket{PDUType: gosnmp.GetResponse, RequestID: packet.RequestID, Variables: packet.Variables}
		reply := seal(answer)
		if reply == nil { // a value that gosnmp reads and cannot write; the acknowledgement is in the request ID
			answer.Variables = nil
			reply = seal(answer)
		}
		return heard{packet: packet, by: by, reply: reply}
	}
	return heard{why: "it is neither a trap nor an inform"}
}

const snmpTrapOID = ".1.3.6.1.6.3.1.1.4.1.0"

// genericTraps are the values of snmpTrapOID that concern a port (RFC 3418, RFC 2863).
func genericTraps() map[string]switchctl.TrapKind {
	const snmpTraps = ".1.3.6.1.6.3.1.1.5."
	return map[string]switchctl.TrapKind{
		snmpTraps + "1": switchctl.ColdStart, snmpTraps + "2": switchctl.WarmStart,
		snmpTraps + "3": switchctl.LinkDown, snmpTraps + "4": switchctl.LinkUp,
	}
}

// trapOf reads a trap's variables. ifIndex may be told as a value, or only by the
// instance of another column.
func trapOf(packet *gosnmp.SnmpPacket) (switchctl.Trap, bool) {
	const ifIndex = ".1.3.6.1.2.1.2.2.1.1"
	trap := switchctl.Trap{Kind: switchctl.OtherTrap}
	for _, v := range packet.Variables {
		column, instance := cutLast(v.Name)
		var row switchctl.Row
		switch column {
		case ifIndex:
			n, _ := number(v)
			trap.IfIndex = int(min(n, 1<<31-1))
			continue
		case ifDescr, ifName, ifAlias, ifAdminStatus, ifOperStatus:
			store(&row, column, v)
			if trap.IfIndex == 0 {
				trap.IfIndex = instance
			}
		}
		switch {
		case v.Name == sysUpTime:
			n, _ := number(v)
			trap.Uptime = ticks(n)
		case v.Name == snmpTrapOID:
			trap.OID, _ = v.Value.(string)
		case column == ifName:
			trap.Name = row.Name
		case column == ifAlias:
			trap.Alias = row.Alias
		case column == ifDescr:
			trap.Description = row.Description
		}
	}
	if kind, known := genericTraps()[trap.OID]; known {
		trap.Kind = kind
	}
	return trap, trap.OID != ""
}

// cutLast parts an OID from its last number, 0 where that is no ifIndex.
func cutLast(oid string) (column string, instance int) {
	dot := strings.LastIndexByte(oid, '.')
	if dot < 0 {
		return oid, 0
	}
	n, err := strconv.ParseUint(oid[dot+1:], 10, 31)
	if err != nil {
		return oid[:dot], 0
	}
	return oid[:dot], int(n)
}

// tally counts messages that were refused for one reason.
type tally struct {
	count int
	told  time.Time
}

// refuse counts a message that is dropped, and tells of it now and then.
func (l *TrapListener) refuse(from netip.Addr, why string, at time.Time) {
	t := l.refusal[why]
	if t == nil {
		t = &tally{}
		l.refusal[why] = t
	}
	t.count++
	if l.refused == nil || !t.told.IsZero() && at.Sub(t.told) < refusalsEvery {
		return
	}
	l.refused(Refusal{From: from, Why: why, Count: t.count})
	*t = tally{told: at}
}

// allowance is a token bucket.
type allowance struct {
	left float64
	at   time.Time
}

func (a *allowance) take(now time.Time) bool {
	if a.at.IsZero() {
		a.left = mostTrapsAtOnce
	} else {
		a.left = min(mostTrapsAtOnce, a.left+now.Sub(a.at).Seconds()*mostTrapsPerSecond)
	}
	a.at = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

// trapQueue holds traps until they are taken, those that are alike as one.
type trapQueue struct {
	mu    *sync.Mutex
	order []trapKey
	traps map[trapKey]*switchctl.Trap
	news  chan struct{} // has room for one
}

type trapKey struct {
	name  string
	kind  switchctl.TrapKind
	index int
}

func newTrapQueue() trapQueue {
	return trapQueue{mu: &sync.Mutex{}, traps: map[trapKey]*switchctl.Trap{}, news: make(chan struct{}, 1)}
}

// put never waits.
func (q *trapQueue) put(t switchctl.Trap) {
	q.mu.Lock()
	defer q.mu.Unlock()
	key := trapKey{t.Switch, t.Kind, t.IfIndex}
	if len(q.order) >= mostTrapsWaiting && q.traps[key] == nil {
		t = switchctl.Trap{Switch: t.Switch, From: t.From, At: t.At, Kind: switchctl.TrapStorm}
		key = trapKey{t.Switch, t.Kind, 0}
	}
	if same := q.traps[key]; same != nil {
		same.Repeats++
		return
	}
	q.traps[key] = &t
	q.order = append(q.order, key)
	select {
	case q.news <- struct{}{}:
	default: // it is awake already
	}
}

func (q *trapQueue) next() (switchctl.Trap, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 {
		return switchctl.Trap{}, false
	}
	key := q.order[0]
	t := *q.traps[key]
	delete(q.traps, key)
	q.order = q.order[1:]
	return t, true
}

func (q *trapQueue) run(ctx context.Context, take func(switchctl.Trap)) {
	for {
		for t, ok := q.next(); ok && ctx.Err() == nil; t, ok = q.next() {
			take(t)
		}
		select {
		case <-q.news:
		case <-ctx.Done():
			return
		}
	}
}

// openUSM checks a message in the order of RFC 3414, section 3.2: engine, user, level,
// digest, time. Whoever sends a trap is the authority on its time; of an inform, and of
// whatever wants an answer, the listener is.
func (l *TrapListener) openUSM(message []byte, senders []*sender, at time.Time) heard {
	header, asked := peek(message, senders)
	if asked == nil {
		return heard{why: "it cannot be read"}
	}
	own := asked.AuthoritativeEngineID == l.engine.id
	if !own && header.MsgFlags&gosnmp.Reportable != 0 {
		return heard{reply: l.engine.report(header, asked, unknownEngineIDs)}
	}
	refuse := func(why, oid string) heard {
		h := heard{why: why}
		if own {
			h.reply = l.engine.report(header, asked, oid)
		}
		return h
	}
	by := senderOf(senders, asked.UserName)
	switch {
	case by == nil:
		return refuse("its user is not the switch's", unknownUserNames)
	case header.MsgFlags&gosnmp.AuthPriv != gosnmp.AuthPriv:
		return refuse("it is not both authentic and encrypted", unsupportedSecLevels)
	}
	packet, err := by.unmarshal(message)
	if err != nil {
		return refuse("its protocols or passwords are wrong", wrongDigests)
	}
	usm, ok := packet.SecurityParameters.(*gosnmp.UsmSecurityParameters)
	switch {
	case !ok:
		return heard{why: "it cannot be read"}
	case !own && !by.timely(usm, at):
		return heard{why: "it is older than 150 s, or was sent a second time"}
	case own && !l.engine.timely(usm):
		return heard{reply: l.engine.tellTime(packet, usm)} // this is how a sender learns it
	case own != (packet.PDUType == gosnmp.InformRequest):
		return heard{why: "it is neither a trap nor an inform"}
	}
	return acknowledge(packet, by, func(answer *gosnmp.SnmpPacket) []byte {
		return l.engine.seal(packet, usm, answer, gosnmp.AuthPriv)
	})
}

// peek reads a message's header, which says who wants to have sent it. Decoding goes as
// far as it can; gosnmp decodes in place.
func peek(message []byte, senders []*sender) (*gosnmp.SnmpPacket, *gosnmp.UsmSecurityParameters) {
	for _, s := range senders {
		if s.client.Version != gosnmp.Version3 {
			continue
		}
		packet, _ := s.decoder().SnmpDecodePacket(bytes.Clone(message))
		usm, ok := packet.SecurityParameters.(*gosnmp.UsmSecurityParameters)
		if !ok || packet.SecurityModel != gosnmp.UserSecurityModel {
			return nil, nil
		}
		return packet, usm
	}
	// Without credentials of version 3 the header cannot be read; nothing in it is for us.
	return nil, nil
}

func senderOf(senders []*sender, user string) *sender {
	for _, s := range senders {
		if usm, ok := s.client.SecurityParameters.(*gosnmp.UsmSecurityParameters); ok && usm.UserName == user {
			return s
		}
	}
	return nil
}

// sender is a Sender with what is known of its engines.
type sender struct {
	name      string
	client    *gosnmp.GoSNMP
	clocks    map[string]engineClock // by engine ID; what is in it was authentic
	allowance allowance
}

// mostEngines bounds the engines of one sender: a stack has one for each member.
const mostEngines = 16

// engineClock is what a sender's engine told last.
type engineClock struct {
	boots, time uint32
	at          time.Time
}

func (s *sender) decoder() *gosnmp.GoSNMP {
	return &gosnmp.GoSNMP{
		Version: gosnmp.Version3, MsgFlags: gosnmp.AuthPriv, SecurityModel: gosnmp.UserSecurityModel,
		SecurityParameters: s.client.SecurityParameters.Copy(),
	}
}

// unmarshal gives the message if its digest is right, whatever its flags say.
func (s *sender) unmarshal(message []byte) (*gosnmp.SnmpPacket, error) {
	return s.decoder().UnmarshalTrap(bytes.Clone(message), false)
}

// timely checks a trap by the clock of the engine that sent it, and learns from it
// (RFC 3414, section 3.2, 7b).
func (s *sender) timely(usm *gosnmp.UsmSecurityParameters, at time.Time) bool {
	boots, seconds := usm.AuthoritativeEngineBoots, usm.AuthoritativeEngineTime
	known, ok := s.clocks[usm.AuthoritativeEngineID]
	if !ok && len(s.clocks) >= mostEngines {
		clear(s.clocks)
	}
	now := int64(known.time) + int64(at.Sub(known.at)/time.Second)
	switch {
	case boots >= latched:
		return false
	case !ok, boots > known.boots:
	case boots < known.boots, int64(seconds) < now-timeWindow:
		return false
	case int64(seconds) < now:
		return true // late by less than the window: nothing is learned
	}
	s.clocks[usm.AuthoritativeEngineID] = engineClock{boots, seconds, at}
	return true
}
