package smbconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"syscall"

	smb2 "github.com/cloudsoda/go-smb2"
)

// NTSTATUS values (MS-ERREF 2.3.1) that say something about the connection or the
// user, not about a file.
const (
	statusAccountRestriction  = 0xC000006E
	statusWrongPassword       = 0xC000006A
	statusNoSuchUser          = 0xC0000064
	statusLogonFailure        = 0xC000006D
	statusInvalidLogonHours   = 0xC000006F
	statusInvalidWorkstation  = 0xC0000070
	statusPasswordExpired     = 0xC0000071
	statusAccountDisabled     = 0xC0000072
	statusLogonTypeNotGranted = 0xC000015B
	statusAccountExpired      = 0xC0000193
	statusPasswordMustChange  = 0xC0000224
	statusAccountLockedOut    = 0xC0000234

	statusDiskFull         = 0xC000007F
	statusQuotaExceeded    = 0xC0000044
	statusSharingViolation = 0xC0000043
	statusDeletePending    = 0xC0000056
	statusNameInvalid      = 0xC0000033

	statusBadNetworkName      = 0xC00000CC
	statusNetworkNameDeleted  = 0xC00000C9
	statusUserSessionDeleted  = 0xC0000203
	statusConnectionInvalid   = 0xC000023A
	statusConnectionAborted   = 0xC0000241
	statusConnectionReset     = 0xC000020D
	statusConnectionClosed    = 0xC000020C // CONNECTION_DISCONNECTED
	statusNetworkSessionEnded = 0xC000035C // NETWORK_SESSION_EXPIRED
)

// Explain turns the library's errors into this package's: a lost connection is ErrGone,
// a share without room syscall.ENOSPC, a name that the server cannot have fs.ErrInvalid.
// What else a server says of a file is returned as it is.
func Explain(err error) error {
	var status *smb2.ResponseError
	if errors.As(err, &status) {
		switch status.Code {
		case statusDiskFull, statusQuotaExceeded:
			return fmt.Errorf("the share has no room left: %w: %w", syscall.ENOSPC, err)
		case statusNameInvalid:
			return fmt.Errorf("%w: %w", fs.ErrInvalid, err)
		}
	}
	if lost(err) {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return err
}

// lost tells a lost connection from a file's own failure.
func lost(err error) bool {
	var transport *smb2.TransportError
	var response *smb2.InvalidResponseError
	var status *smb2.ResponseError
	var network net.Error
	switch {
	case errors.As(err, &transport), errors.As(err, &response), // what cannot be understood is not trusted further
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, context.Canceled): // only ever the link's own, when a keep-alive cut it
	case errors.As(err, &network):
	case errors.As(err, &status) && disconnects(status.Code):
	default:
		return false
	}
	return true
}

// has tells whether the server answered with one of these.
func has(err error, codes ...uint32) bool {
	var status *smb2.ResponseError
	return errors.As(err, &status) && slices.Contains(codes, status.Code)
}

func disconnects(code uint32) bool {
	switch code {
	case statusNetworkNameDeleted, statusUserSessionDeleted, statusConnectionInvalid, statusConnectionAborted,
		statusConnectionReset, statusConnectionClosed, statusNetworkSessionEnded:
		return true
	}
	return false
}

// refused explains why a session or a share was not given.
func refused(ctx context.Context, err error, user string) error {
	var status *smb2.ResponseError
	errors.As(err, &status)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrOld):
		return err
	case errors.Is(err, ErrOpen):
		return fmt.Errorf("%w: the server lets user %s in as a guest, whose session has no key; give airlock an account of its own there (Samba: map to guest = Never), or, on a line that nobody else reaches, write insecure: true beside the URL", ErrOpen, user)
	case errors.Is(err, fs.ErrPermission), status != nil && unwelcome(status.Code):
		return fmt.Errorf("%w: user %s: %w", ErrAuth, user, err)
	case status != nil && status.Code == statusBadNetworkName:
		return fmt.Errorf("%w: the server has no such share", fs.ErrNotExist)
	}
	return Explain(err)
}

func unwelcome(code uint32) bool {
	switch code {
	case statusLogonFailure, statusWrongPassword, statusNoSuchUser, statusAccountRestriction, statusInvalidLogonHours,
		statusInvalidWorkstation, statusPasswordExpired, statusAccountDisabled, statusLogonTypeNotGranted,
		statusAccountExpired, statusPasswordMustChange, statusAccountLockedOut:
		return true
	}
	return false
}
