package snmp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"airlock/switchctl"

	"github.com/gosnmp/gosnmp"
)

// session is a conversation with one agent. gosnmp is not safe for concurrent use, so
// requests take turns.
type session struct {
	config Config
	turn   chan struct{} // holds one token while nobody speaks

	client  *gosnmp.GoSNMP // only with the turn
	proven  bool           // only with the turn: the agent once accepted a request
	clocked time.Time      // only with the turn: when the engine's time was learned
	clock   uint32         // only with the turn: that time, in seconds

	mu     sync.Mutex
	link   *link // written with both the turn and mu
	closed bool
}

// open makes a session that has not spoken yet.
func open(ctx context.Context, c Config) (*session, error) {
	s := &session{config: c, turn: make(chan struct{}, 1)}
	if err := s.renew(ctx); err != nil {
		return nil, err
	}
	s.turn <- struct{}{}
	return s, nil
}

// renew forgets the engine, and with it everything that USM derives from it.
func (s *session) renew(ctx context.Context) error {
	client, err := s.config.client()
	if err != nil {
		return err
	}
	client.Context = ctx
	if err := client.Connect(); err != nil {
		return fmt.Errorf("switch %s: %w: %w", s.config.Address, switchctl.ErrTimeout, err)
	}
	fresh := &link{Conn: client.Conn}
	client.Conn = fresh
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.Join(s.errClosed(), fresh.Close())
	}
	var stale error
	if s.link != nil {
		stale = s.link.Close()
	}
	s.client, s.link, s.clocked = client, fresh, time.Time{}
	return stale
}

// Close ends the session and every request in flight.
func (s *session) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.link.Close()
}

func (s *session) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *session) errClosed() error {
	return fmt.Errorf("switch %s: the session is closed: %w", s.config.Address, net.ErrClosed)
}

// request is one of gosnmp's calls.
type request func(*gosnmp.GoSNMP) (*gosnmp.SnmpPacket, error)

// exchange sends one request and returns the agent's answer, whatever status is in it.
func (s *session) exchange(ctx context.Context, ask request) (*gosnmp.SnmpPacket, error) {
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
	}
	switch {
	case s.isClosed():
		return nil, s.errClosed()
	case ctx.Err() != nil:
		return nil, fmt.Errorf("switch %s: %w before anything was sent", s.config.Address, ctx.Err())
	}
	answer, err := s.send(ctx, ask)
	if s.engineChanged(err) && ctx.Err() == nil {
		if err := s.renew(ctx); err != nil {
			return nil, err
		}
		answer, err = s.send(ctx, ask)
	}
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	s.proven = true
	return answer, nil
}

func (s *session) send(ctx context.Context, ask request) (*gosnmp.SnmpPacket, error) {
	link := s.link
	round := link.begin()
	stop := context.AfterFunc(ctx, func() { link.end(round) })
	defer stop()
	s.client.Context = ctx
	s.advanceClock()
	answer, err := ask(s.client)
	if err != nil {
		return nil, err
	}
	if answer.PDUType != gosnmp.GetResponse {
		return nil, fmt.Errorf("the answer is a %s", answer.PDUType)
	}
	s.learnClock()
	return answer, nil
}

// advanceClock lets the engine's time run on while the session is idle. gosnmp sends the
// time of the last answer, so that after 150 s the agent would refuse the first request
// (RFC 3414, section 3.2, 7): a round trip lost while a door waits.
func (s *session) advanceClock() {
	usm, ok := s.client.SecurityParameters.(*gosnmp.UsmSecurityParameters)
	if ok && !s.clocked.IsZero() {
		usm.AuthoritativeEngineTime = s.clock + uint32(time.Since(s.clocked)/time.Second)
	}
}

func (s *session) learnClock() {
	if usm, ok := s.client.SecurityParameters.(*gosnmp.UsmSecurityParameters); ok {
		s.clock, s.clocked = usm.AuthoritativeEngineTime, time.Now()
	}
}

// The reports of RFC 3414, section 5, that come unauthenticated.
const (
	unsupportedSecLevels = ".1.3.6.1.6.3.15.1.1.1.0"
	unknownUserNames     = ".1.3.6.1.6.3.15.1.1.3.0"
	unknownEngineIDs     = ".1.3.6.1.6.3.15.1.1.4.0"
	wrongDigests         = ".1.3.6.1.6.3.15.1.1.5.0"
	decryptionErrors     = ".1.3.6.1.6.3.15.1.1.6.0"
)

func notAuthentic(err error) bool { return strings.Contains(err.Error(), "not authentic") }

// engineChanged tells whether a fresh discovery may help: after a restart, or when
// another engine ID answers, the keys and the clock of the session are of no more use.
func (s *session) engineChanged(err error) bool {
	switch {
	case err == nil, !s.proven:
		return false
	case errors.Is(err, gosnmp.ErrNotInTimeWindow), errors.Is(err, gosnmp.ErrUnknownEngineID):
		return true
	}
	report := s.link.lastReport()
	return report == unknownEngineIDs || report == "" && notAuthentic(err) || strings.HasSuffix(err.Error(), "is a Report")
}

// explain makes of gosnmp's error what happened and what to do.
func (s *session) explain(ctx context.Context, err error) error {
	where := "switch " + s.config.Address
	if s.isClosed() {
		return fmt.Errorf("%w; what was under way may have been carried out: %w", s.errClosed(), switchctl.ErrTimeout)
	}
	cause := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		cause = err // the socket's deadline passes a moment before that of the context it was made from
	}
	if cause != nil {
		return fmt.Errorf("%s: %w (%w); what was sent may have been carried out", where, switchctl.ErrTimeout, cause)
	}
	if cure := s.credentialCure(err); cure != "" {
		return fmt.Errorf("%s: %w: %s", where, switchctl.ErrAuth, cure)
	}
	var network net.Error
	switch {
	case !errors.Is(err, gosnmp.ErrMaxRetriesExceeded) && !errors.As(err, &network):
		text, _, _ := strings.Cut(err.Error(), "Stack:") // of a panic that gosnmp caught
		return fmt.Errorf("%s: %w: no answer that can be read (%s)", where, switchctl.ErrTimeout, strings.TrimSpace(text))
	case s.proven:
		return fmt.Errorf("%s: %w (%d tries); what was sent may have been carried out", where, switchctl.ErrTimeout, s.client.Retries+1)
	case s.config.Version == "2c":
		return fmt.Errorf("%s: %w (%d tries): check the address, that SNMP is on, and the community: an agent answers nothing to a wrong one",
			where, switchctl.ErrTimeout, s.client.Retries+1)
	case s.discovered():
		// Garbage is what a wrong privacy key makes of a request, and garbage is dropped.
		return fmt.Errorf("%s: %w (%w): the agent answers, but not to an encrypted request; check the privacy protocol and password",
			where, switchctl.ErrAuth, switchctl.ErrTimeout)
	}
	return fmt.Errorf("%s: %w (%d tries): check the address, and that SNMP is on and lets this host in (%w)", where, switchctl.ErrTimeout, s.client.Retries+1, err)
}

func (s *session) discovered() bool {
	usm, ok := s.client.SecurityParameters.(*gosnmp.UsmSecurityParameters)
	return ok && usm.AuthoritativeEngineID != ""
}

// credentialCure says what to mend where the agent refused the credentials.
func (s *session) credentialCure(err error) string {
	report := s.link.lastReport()
	switch {
	case errors.Is(err, gosnmp.ErrUnknownUsername), report == unknownUserNames:
		return fmt.Sprintf("it does not know the SNMPv3 user %q; create the user there, or correct it in the policy file", s.config.User)
	case errors.Is(err, gosnmp.ErrWrongDigest), report == wrongDigests:
		return fmt.Sprintf("the authentication protocol (%s) or password of user %q is wrong", s.config.Auth, s.config.User)
	case errors.Is(err, gosnmp.ErrUnknownSecurityLevel), report == unsupportedSecLevels:
		return fmt.Sprintf("user %q may not use authPriv there; give the user an authentication and a privacy protocol", s.config.User)
	case errors.Is(err, gosnmp.ErrDecryption), report == decryptionErrors:
		return fmt.Sprintf("the privacy protocol (%s) or password of user %q is wrong", s.config.Privacy, s.config.User)
	case errors.Is(err, gosnmp.ErrUnknownReportPDU):
		return fmt.Sprintf("it does not know the SNMPv3 context %q", s.config.ContextName)
	case notAuthentic(err):
		return "its answers are not authentic; check both passwords, and that no other device answers at this address"
	}
	return ""
}

// refusal makes an error of the status in an answer, or nil of noError. doing says what
// was asked.
func (s *session) refusal(status gosnmp.SNMPError, doing string) error {
	var cure string
	switch status {
	case gosnmp.NoError:
		return nil
	case gosnmp.NotWritable, gosnmp.ReadOnly:
		cure = "this agent does not let ifAdminStatus be written (Junos never does), or the account is read-only: give it a read-write view, or use the cli driver"
	case gosnmp.NoAccess, gosnmp.AuthorizationError:
		cure = "give the account read and write access (a view that holds ifTable and ifXTable) at this security level"
	case gosnmp.NoSuchName, gosnmp.NoCreation, gosnmp.InconsistentName:
		cure = "the object is not there, or not in the account's view: give it a read-write view of ifTable"
	case gosnmp.WrongType, gosnmp.WrongLength, gosnmp.WrongEncoding, gosnmp.WrongValue, gosnmp.BadValue, gosnmp.InconsistentValue:
		cure = "the agent does not take this value for this port: look whether the port is in a state that locks it (err-disabled, a member of an aggregate, managed by a controller)"
	case gosnmp.ResourceUnavailable, gosnmp.CommitFailed:
		cure = "the switch could not carry it out now: look into its log, and whether another session holds its configuration"
	case gosnmp.UndoFailed:
		cure = "the switch failed half-way: read the port's state, and look into its log"
	case gosnmp.TooBig:
		cure = "the answer does not fit into one message: raise the agent's largest packet size"
	default:
		cure = "look into the switch's log; another session may hold its configuration"
	}
	return fmt.Errorf("switch %s: %w to %s: %s; %s", s.config.Address, switchctl.ErrRefused, doing, statusName(status), cure)
}

// statusName is the status as RFC 3416 spells it.
func statusName(status gosnmp.SNMPError) string {
	name := status.String()
	return strings.ToLower(name[:1]) + name[1:]
}
