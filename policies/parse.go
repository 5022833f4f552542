package policies

import (
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"airlock/policies/yamldoc"
)

// form is that of both policy files.
var form = &yamldoc.Form{
	Name:     "the policy file",
	Empty:    "write the policy; `airlock init` makes a commented file to begin with",
	Types:    []reflect.Type{reflect.TypeFor[Policy](), reflect.TypeFor[VaultHost]()},
	Names:    usableName,
	NamesFix: "use up to 64 letters a-z and A-Z, digits, - and _, beginning with a letter or digit; a system's title may be in any language",

	Secret:      reflect.TypeFor[Secret](),
	SecretFix:   secretFix,
	CheckSecret: checkSecret,

	Whole: map[reflect.Type]func(any) error{
		reflect.TypeFor[Keep](): func(v any) error { return v.(*Keep).valid() },
		reflect.TypeFor[Port](): func(v any) error { return v.(*Port).valid() },
	},
	Impossible: impossible,
}

// Mistakes are all that are wrong with a policy file.
type Mistakes = yamldoc.Mistakes

// Parse reads a policy file; file is its name for messages. The error is Mistakes; with
// one, the Policy is nil.
func Parse(file string, data []byte) (*Policy, error) {
	var p Policy
	err := form.Read(file, data, &p, func(d *yamldoc.Doc) { reader{d}.check(&p) })
	if err != nil {
		return nil, err
	}
	p.bind()
	return &p, nil
}

// reader is a policy file while it is checked.
type reader struct{ *yamldoc.Doc }

var (
	usableName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	usableEnv  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

func secretFix(key string) string {
	return fmt.Sprintf("put the secret into a file that only its owner may read (chmod 600) and name the file: `%s: {file: /etc/airlock/secrets/NAME}`, or name an environment variable: `%s: {env: NAME}`", key, key)
}

// checkSecret wants {env: NAME} or {file: PATH}.
func checkSecret(d *yamldoc.Doc, path string, v any) {
	s := v.(Secret)
	switch {
	case s.Env != "" && s.File != "":
		d.Add(d.Value(path), d.Name(path)+" names two places", "keep one of env and file")
	case s == Secret{}:
		d.Add(d.Value(path), d.Name(path)+" names no place", fmt.Sprintf("write, for example, `%s: {file: /etc/airlock/secrets/NAME}`", d.Name(path)))
	case s.Env != "" && !usableEnv.MatchString(s.Env):
		d.Add(d.Value(yamldoc.Join(path, "env")), "env takes the name of an environment variable", "write its name, of letters, digits and _; the secret itself does not belong here")
	case s.File != "" && !filepath.IsAbs(s.File):
		d.Add(d.Value(yamldoc.Join(path, "file")), "file takes an absolute path", "write the path from the root, such as /etc/airlock/secrets/NAME; the secret itself does not belong here")
	}
}

// impossible says why old cryptography is not taken.
func impossible(text, fix string) string {
	switch strings.ToUpper(text) {
	case "MD5":
		return "MD5 is broken; " + fix + ", and set the switch's user to the same"
	case "DES", "3DES":
		return "DES is broken; " + fix + ", and set the switch's user to the same"
	case "1", "2", "V1":
		return "SNMP before 3 sends its password in clear; " + fix + " (2c only with insecure: true)"
	}
	return ""
}
