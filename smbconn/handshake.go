package smbconn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
)

// handshake is the connection as the library has it: what the server answers until the
// login is done passes through here, for three reasons.
//
//   - The library encrypts only where the server demands it, as few do. A client may do so
//     of its own accord (MS-SMB2 3.2.4.1.8), and with this library that is twice as fast as
//     signing. So the login's last answer is given the mark by which a server demands it.
//   - The library does not verify that answer, and neither signs nor verifies anything for
//     a guest: whoever stands between could make a guest of the user by one bit. So a guest
//     is refused.
//   - It has no key for a guest, nor a cipher where none was negotiated, and panics in a
//     goroutine of its own when an answer demands the use of one. Such an answer is refused.
//
// And what is no SMB 2 at all is said as that.
//
// That the negotiation was not tampered with is the library's business: with SMB 3.1.1 the
// keys depend on every byte of it. Of older dialects somebody in between can have an older
// one chosen, which is then signed and not encrypted.
type handshake struct {
	net.Conn
	open bool // a guest is let in, and nothing is asked of the server

	faults chan error // has room for one: why there is no login

	// What follows belongs to the library's one reader; sealed is for everybody once the
	// library's login has returned.
	rest     []byte // of an answer
	done     bool
	answers  int
	guest    bool
	sealable bool // and then the library has a cipher, unless the user is a guest
	sealed   bool
}

// fault is why there is no login, nil if it is not known here.
func (h *handshake) fault() error {
	select {
	case err := <-h.faults:
		return err
	default:
		return nil
	}
}

// Errors on which callers branch.
var (
	// ErrOld: SMB 2 or 3 is not spoken at the address.
	ErrOld = errors.New("smb: the server does not speak SMB 2 or 3")
	// ErrOpen: what is sent could be changed on its way unseen.
	ErrOpen = errors.New("smb: the line would be neither encrypted nor signed")
)

// Read hands the answers on, whole, until the login is done.
func (h *handshake) Read(p []byte) (int, error) {
	if len(h.rest) == 0 {
		if h.done {
			return h.Conn.Read(p)
		}
		answer, err := h.answer()
		if err != nil {
			select {
			case h.faults <- err:
			default: // the first says it
			}
			return 0, err
		}
		h.rest = answer
	}
	n := copy(p, h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

// largestAnswer is far above what a login needs, and below what would hurt.
const largestAnswer = 128 << 10

// answer reads one answer, after its four bytes of length.
func (h *handshake) answer() ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(h.Conn, length[:]); err != nil {
		if h.answers == 0 && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
			return nil, fmt.Errorf("%w: it closed the connection at the first request, so most likely it speaks SMB 1 alone; %s", ErrOld, newer)
		}
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > largestAnswer {
		return nil, fmt.Errorf("%w: what answers there speaks something else; is the port the right one?", ErrOld)
	}
	whole := make([]byte, 4+n)
	copy(whole, length[:])
	if _, err := io.ReadFull(h.Conn, whole[4:]); err != nil {
		return nil, err
	}
	h.answers++
	return whole, h.look(whole[4:])
}

const newer = "switch SMB 2 or 3 on in the server's settings, or let SFTP or another machine stand between"

// Of MS-SMB2: 2.2.1 (header), 2.2.4 (negotiate), 2.2.6 (session setup), 2.2.10 (tree
// connect).
const (
	headerSize    = 64
	commandSetup  = 1
	commandTree   = 3
	statusSuccess = 0
	statusGoOn    = 0xC0000016 // MORE_PROCESSING_REQUIRED

	dialect300, dialect302, dialect311 = 0x0300, 0x0302, 0x0311

	capabilityEncryption = 0x40
	contextEncryption    = 2

	sessionGuest, sessionNull, sessionEncrypted = 1, 2, 4
	shareEncrypted                              = 0x8000
)

// look takes notice of an answer, and marks the last one.
func (h *handshake) look(packet []byte) error {
	u16 := binary.LittleEndian.Uint16
	if len(packet) < headerSize+4 || string(packet[1:4]) != "SMB" {
		return fmt.Errorf("%w: what answers there speaks something else; is the port the right one?", ErrOld)
	}
	if packet[0] == 0xff {
		return fmt.Errorf("%w: it answers in SMB 1; %s", ErrOld, newer)
	}
	body := packet[headerSize:]
	if h.answers == 1 {
		h.sealable = sealable(packet)
		return nil
	}
	switch status := binary.LittleEndian.Uint32(packet[8:]); u16(packet[12:]) {
	case commandSetup:
		if status == statusSuccess || status == statusGoOn {
			return h.admitted(body, status == statusSuccess)
		}
	case commandTree:
		h.done = true
		if status == statusSuccess && len(body) >= 8 && binary.LittleEndian.Uint32(body[4:])&shareEncrypted != 0 && !h.canSeal() {
			return errSeal
		}
	}
	return nil
}

var errSeal = errors.New("smb: the server demands encryption, and did not offer it in the negotiation")

func (h *handshake) canSeal() bool { return h.sealable && !h.guest }

// admitted takes notice of an answer to the login, and marks the last one.
func (h *handshake) admitted(body []byte, last bool) error {
	flags := binary.LittleEndian.Uint16(body[2:])
	h.guest = h.guest || flags&(sessionGuest|sessionNull) != 0
	switch {
	case h.guest && !h.open:
		return ErrOpen
	case !last:
		return nil
	case h.guest: // in whichever answer it was said
		flags |= sessionGuest
	case h.sealable && !h.open:
		flags |= sessionEncrypted
	}
	h.sealed = flags&sessionEncrypted != 0
	if h.sealed && !h.canSeal() {
		return errSeal
	}
	h.done = h.sealed // else the share may demand it
	binary.LittleEndian.PutUint16(body[2:], flags)
	return nil
}

// sealable tells whether the server's answer to the negotiation offers encryption, by a
// cipher that the library has.
func sealable(packet []byte) bool {
	u16, u32 := binary.LittleEndian.Uint16, binary.LittleEndian.Uint32
	body := packet[headerSize:]
	if len(body) < 64 {
		return false
	}
	switch u16(body[4:]) {
	case dialect300, dialect302:
		return u32(body[24:])&capabilityEncryption != 0
	case dialect311:
		at := int64(u32(body[60:]))
		for range u16(body[6:]) {
			if at < headerSize || at+12 > int64(len(packet)) {
				return false
			}
			context := packet[at:]
			if u16(context) == contextEncryption {
				cipher := u16(context[10:])
				return u16(context[8:]) == 1 && (cipher == 1 || cipher == 2) // AES-128-CCM, AES-128-GCM
			}
			at += (8 + int64(u16(context[2:])) + 7) &^ 7
		}
	}
	return false
}
