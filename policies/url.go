package policies

import (
	"fmt"
	"net"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"airlock/policies/yamldoc"
)

// URL is where a repository, a vault or a source lies. Names in it are as the server
// has them; in the written form a percent sign is %25, and any character may be
// percent-encoded. It holds no password.
type URL struct {
	Scheme string // file, sftp, smb
	Domain string // smb only: DOMAIN;user
	User   string
	Host   string // without port and brackets
	Port   int    // the scheme's own where none was given; 0 for file
	Share  string // smb only
	Path   string // file, sftp: absolute; smb: within the share, slash-separated, "" for all of it
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$`)

// UnmarshalText reads file:///path, sftp://user@host[:port]/path and
// smb://[DOMAIN;]user@host[:port]/share[/path]. Unlike net/url it takes spaces, ?, #
// and any script as they stand, since names on file servers have them.
func (u *URL) UnmarshalText(text []byte) error {
	scheme, rest, found := strings.Cut(string(text), "://")
	if !found && strings.HasPrefix(string(text), `\\`) {
		return yamldoc.Refusal("this is a path as Windows writes it, and not a URL", `write \\HOST\SHARE\FOLDER as smb://USER@HOST/SHARE/FOLDER`)
	}
	if !found {
		return yamldoc.Refusal("this is not a URL", "write file:///path, sftp://user@host/path or smb://user@host/share/path")
	}
	authority, p, _ := strings.Cut(rest, "/")
	// No text from here on may quote the URL: where one is wrong, a password may be in it.
	switch scheme {
	case "file":
		if authority != "" {
			return yamldoc.Refusal("a file URL names no host", "write three slashes, file:///path; for another machine mount it, or use sftp:// or smb://")
		}
		return u.readPath("file", p)
	case "sftp", "smb":
		if err := u.readAuthority(scheme, authority); err != nil {
			return err
		}
		return u.readPath(scheme, p)
	}
	return yamldoc.Refusal("the URL's scheme is not one of file, sftp and smb", "write file:///path, sftp://user@host/path or smb://user@host/share/path")
}

func (u *URL) readAuthority(scheme, authority string) error {
	form := map[string]string{"sftp": "sftp://user@host/path", "smb": "smb://user@host/share/path"}[scheme]
	user, host, found := cutLast(authority, "@")
	if strings.Contains(user, ":") {
		return yamldoc.Refusal("a password does not belong in a URL", "write "+form+" and name the password's place beside it: password: {file: /etc/airlock/secrets/NAME}")
	}
	if !found || user == "" {
		return yamldoc.Refusal("the URL names no user", "write "+form)
	}
	user, err := decodePercent(user)
	if err != nil {
		return err
	}
	if scheme == "smb" {
		if i := strings.IndexAny(user, `;\`); i >= 0 {
			u.Domain, user = user[:i], user[i+1:]
		}
	}
	if user == "" {
		return yamldoc.Refusal("the URL names no user", "write "+form)
	}
	u.User = user
	u.Host, u.Port, err = splitHost(host, map[string]int{"sftp": 22, "smb": 445}[scheme])
	return err
}

// splitHost reads host[:port], an IPv6 address in brackets.
func splitHost(s string, defaultPort int) (string, int, error) {
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, port = s[:i], s[i+1:]
	}
	inner, bracketed := strings.CutPrefix(host, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if bracketed && closed {
		addr, err := netip.ParseAddr(inner)
		if err != nil || !addr.Is6() {
			return "", 0, yamldoc.Refusal("what stands in brackets is not an IPv6 address", "write host:port or [IPv6 address]:port")
		}
		host = inner
	} else if !hostForm.MatchString(host) || !number(host) {
		return "", 0, yamldoc.Refusal("the host's name or address is missing or not usable", "write host:port, such as 10.78.0.1:22, nas.example.org:22 or [fd00::1]:22")
	}
	if port == "" && !strings.HasSuffix(s, ":") {
		return host, defaultPort, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || port[0] == '+' {
		return "", 0, yamldoc.Refusal("the port is not a number from 1 to 65535", "write it after the host, such as 10.78.0.1:22")
	}
	return host, int(n), nil
}

// number reports whether a host that is written in digits and dots is an IPv4 address.
func number(host string) bool {
	if strings.Trim(host, "0123456789.") != "" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Is4()
}

func (u *URL) readPath(scheme, written string) error {
	p, err := decodePercent(written)
	if err != nil {
		return err
	}
	if strings.Contains("/"+p+"/", "/../") {
		return yamldoc.Refusal("the path goes up by ..", "write the path without it")
	}
	u.Scheme, p = scheme, path.Clean("/"+p)
	if scheme != "smb" {
		if u.Path = p; p == "/" {
			u.Scheme = ""
			return yamldoc.Refusal("the URL names no folder", "write the absolute path of the folder at its end")
		}
		return nil
	}
	if strings.Contains(p, `\`) {
		u.Scheme = ""
		return yamldoc.Refusal("the path has backslashes", "write slashes: smb://user@host/share/path")
	}
	if u.Share, u.Path, _ = strings.Cut(p[1:], "/"); u.Share == "" {
		u.Scheme = ""
		return yamldoc.Refusal("the URL names no share", "write smb://user@host/share/path")
	}
	return nil
}

func decodePercent(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", yamldoc.Refusal("a percent sign begins no %XX", "write %25 for a percent sign")
		}
		c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", yamldoc.Refusal("a percent sign begins no %XX", "write %25 for a percent sign")
		}
		b.WriteByte(byte(c))
		i += 2
	}
	out := b.String()
	if !utf8.ValidString(out) || strings.ContainsFunc(out, unicode.IsControl) {
		return "", yamldoc.Refusal("the URL has characters that no name can have", "write the name in UTF-8, without control characters")
	}
	return out, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}

// String is the written form; what it returns reads back as the same URL. The port is
// left out where it is the scheme's own.
func (u URL) String() string {
	plain := strings.NewReplacer("%", "%25")
	switch u.Scheme {
	case "file":
		return "file://" + plain.Replace(u.Path)
	case "sftp":
		return "sftp://" + u.authority(22) + plain.Replace(u.Path)
	case "smb":
		return "smb://" + u.authority(445) + plain.Replace(path.Join("/", u.Share, u.Path))
	}
	return ""
}

func (u URL) authority(defaultPort int) string {
	escape := strings.NewReplacer("%", "%25", "/", "%2F", "@", "%40", ":", "%3A")
	user, host := escape.Replace(u.User), u.Host
	if u.Domain != "" || strings.ContainsAny(u.User, `;\`) && u.Scheme == "smb" {
		user = escape.Replace(u.Domain) + ";" + user
	}
	if u.Port != defaultPort {
		return user + "@" + u.Address()
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return user + "@" + host
}

// Address is host:port for dialling, "" for file.
func (u URL) Address() string {
	if u.Host == "" {
		return ""
	}
	return net.JoinHostPort(u.Host, strconv.Itoa(u.Port))
}

// MarshalText is String.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// readAddress checks host:port and fills in the port where defaultPort is not 0.
func readAddress(s string, defaultPort int) (string, error) {
	host, port, err := splitHost(s, defaultPort)
	if err != nil {
		return "", err
	}
	if port == 0 {
		return "", yamldoc.Refusal(fmt.Sprintf("%q has no port", s), "write host:port")
	}
	return net.JoinHostPort(host, strconv.Itoa(port)), nil
}
