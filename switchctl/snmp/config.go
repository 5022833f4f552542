// Package snmp drives switches by SNMPv3 (USM, authPriv) and SNMPv2c.
//
// A session is one UDP socket and one USM engine; requests on it take turns, and a
// context bounds each, waiting for the turn included. A request is tried again after
// each Timeout, Retries times; that is safe for every request made here, because
// setting ifAdminStatus twice to one value is setting it once. A switch that restarted
// or changed its engine ID is discovered anew, once for a request.
//
// Traps and informs are received by a TrapListener.
//
// What was sent and not answered may have been carried out: such an error wraps
// switchctl.ErrTimeout, whatever broke. An answer that is not authentic is no answer.
// Nothing secret is in any error (S13).
package snmp

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gosnmp/gosnmp"
)

// Config says which switch, and by what right. Version 3 takes User, Auth and Privacy
// with their passwords; 2c takes Community, which the network carries in clear.
type Config struct {
	Address         string // host or host:port; port 161 where none is given
	Version         string // "3" (the default) or "2c"
	Community       string // 2c only
	User            string
	Auth            string // SHA, SHA-224, SHA-256, SHA-384, SHA-512
	AuthPassword    string // at least 8 characters (RFC 3414, section 11.2)
	Privacy         string // AES, AES-192, AES-256 (Blumenthal), AES-192-C, AES-256-C (Reeder, as Cisco has it)
	PrivacyPassword string // at least 8 characters
	ContextName     string
	Timeout         time.Duration // of one try; default 2 s
	Retries         int           // tries after the first; default 2, at most 10, none where negative
}

const (
	defaultTimeout = 2 * time.Second
	defaultRetries = 2
	maxRetries     = 10
	minPassword    = 8
)

// client makes an unconnected gosnmp client of c, or says what is wrong with c.
func (c Config) client() (*gosnmp.GoSNMP, error) {
	host, port, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	client := &gosnmp.GoSNMP{
		Target:      host,
		Port:        port,
		Timeout:     c.Timeout,
		Retries:     c.Retries,
		ContextName: c.ContextName,
	}
	if client.Timeout <= 0 {
		client.Timeout = defaultTimeout
	}
	switch {
	case c.Retries == 0:
		client.Retries = defaultRetries
	case c.Retries < 0:
		client.Retries = 0
	case c.Retries > maxRetries:
		return nil, fmt.Errorf("snmp retries %d: at most %d", c.Retries, maxRetries)
	}
	switch c.Version {
	case "2c":
		// gosnmp writes the length of a community in one byte.
		if c.Community == "" || len(c.Community) > 127 {
			return nil, errors.New("snmp version 2c: the community must have 1 to 127 bytes")
		}
		client.Version, client.Community = gosnmp.Version2c, c.Community
		return client, nil
	case "3", "":
		client.Version, client.SecurityModel, client.MsgFlags = gosnmp.Version3, gosnmp.UserSecurityModel, gosnmp.AuthPriv
		client.SecurityParameters, err = c.usm()
		return client, err
	}
	return nil, fmt.Errorf(`snmp version %q: must be "3" or "2c"`, c.Version)
}

func (c Config) endpoint() (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(c.Address)
	if err != nil { // no port given
		host, text = strings.Trim(c.Address, "[]"), "161"
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 || host == "" {
		return "", 0, fmt.Errorf("snmp address %q: must be host or host:port", c.Address)
	}
	return host, uint16(number), nil
}

func (c Config) usm() (*gosnmp.UsmSecurityParameters, error) {
	auths := map[string]gosnmp.SnmpV3AuthProtocol{
		"SHA": gosnmp.SHA, "SHA-224": gosnmp.SHA224, "SHA-256": gosnmp.SHA256, "SHA-384": gosnmp.SHA384, "SHA-512": gosnmp.SHA512,
	}
	privacies := map[string]gosnmp.SnmpV3PrivProtocol{
		"AES": gosnmp.AES, "AES-192": gosnmp.AES192, "AES-256": gosnmp.AES256, "AES-192-C": gosnmp.AES192C, "AES-256-C": gosnmp.AES256C,
	}
	auth, privacy := auths[c.Auth], privacies[c.Privacy]
	switch {
	case c.User == "" || len(c.User) > 32:
		return nil, errors.New("snmp version 3: the user must have 1 to 32 bytes")
	case auth == 0:
		return nil, fmt.Errorf("snmp auth %q: must be SHA, SHA-224, SHA-256, SHA-384 or SHA-512", c.Auth)
	case privacy == 0:
		return nil, fmt.Errorf("snmp privacy %q: must be AES, AES-192, AES-256, AES-192-C or AES-256-C", c.Privacy)
	case len(c.AuthPassword) < minPassword || len(c.PrivacyPassword) < minPassword:
		return nil, fmt.Errorf("snmp version 3: both passwords must have at least %d characters", minPassword)
	}
	return &gosnmp.UsmSecurityParameters{
		UserName:                 c.User,
		AuthenticationProtocol:   auth,
		AuthenticationPassphrase: c.AuthPassword,
		PrivacyProtocol:          privacy,
		PrivacyPassphrase:        c.PrivacyPassword,
	}, nil
}
