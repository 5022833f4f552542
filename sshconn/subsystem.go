package sshconn

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// ErrNoSFTP: the server lets the user in, and gives no SFTP.
var ErrNoSFTP = errors.New("sftp: the server gives none")

// NoSFTP says why an SFTP session did not come about, where that can be told by the words
// of the libraries, which have no types for it. Another error is returned as it is.
func NoSFTP(err error) error {
	if err == nil {
		return nil
	}
	switch text := err.Error(); {
	case strings.Contains(text, "packet too long"), strings.Contains(text, "sftp: unexpected packet"), strings.Contains(text, "unexpected server packet"),
		strings.Contains(text, "unmarshal"):
		return fmt.Errorf("%w: it says text where SFTP should begin: a login script or banner that prints (.bashrc, .profile, a Subsystem of its own?); let nothing print in sessions without a terminal: %w", ErrNoSFTP, err)
	case strings.Contains(text, "subsystem request failed"):
		return fmt.Errorf("%w: SFTP is switched off there, or for this user; switch it on in the server's settings (OpenSSH: Subsystem sftp internal-sftp): %w", ErrNoSFTP, err)
	case strings.HasSuffix(text, "EOF"), strings.Contains(text, "error receiving version packet"):
		return fmt.Errorf("%w: it ended the session at once; has the user a shell or a program that is no SFTP server? %w", ErrNoSFTP, err)
	}
	return err
}

// PathsCount is the end of an error about a folder that is not there: many servers show
// another root than a shell does. list lists a folder of the server.
func PathsCount(list func(string) ([]fs.FileInfo, error)) string {
	entries, err := list("/")
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	there := strings.Join(names[:min(len(names), 12)], ", ")
	switch {
	case len(names) == 0:
		there = "no folder"
	case len(names) > 12:
		there += fmt.Sprintf(" and %d more", len(names)-12)
	}
	return fmt.Sprintf("; paths count from what the server shows as / over SFTP, where there is: %s", there)
}
