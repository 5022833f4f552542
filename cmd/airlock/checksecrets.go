package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"airlock/policies"
)

// entrance is a place of the policy file that is entered with a secret.
type entrance struct {
	at  string
	url policies.URL
	policies.Access
}

// secrets looks at secrets and keys. A variable of the environment is the service's, and
// not looked at.
type secrets struct{ found []policies.Remark }

// secretRemarks are about the files of secrets that the policy file names, without reaching
// anything.
func secretRemarks(p policies.Policy) []policies.Remark {
	w := &secrets{found: []policies.Remark{}}
	// init makes the passphrase where its file is missing.
	if _, err := os.Stat(p.Repository.Passphrase.File); !errors.Is(err, fs.ErrNotExist) {
		w.look("repository.passphrase", p.Repository.Passphrase, func(text string) string {
			if fault := policies.Oddity(text); fault != "" {
				return fault + "; a repository that exists is opened by these very bytes, so leave the file, and note this on the recovery kit"
			}
			return ""
		})
	}
	entrances := []entrance{{"repository", p.Repository.URL, p.Repository.Access}}
	for name, v := range p.Vaults {
		entrances = append(entrances, entrance{"vaults." + name, v.URL, v.Access})
	}
	for name, s := range p.Systems {
		entrances = append(entrances, entrance{"systems." + name + ".source", s.Source.URL, s.Source.Access})
	}
	for _, e := range entrances {
		w.enter(e)
	}
	for name, s := range p.Switches {
		w.switchSecrets("switches."+name, s)
	}
	slices.SortFunc(w.found, func(a, b policies.Remark) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Text, b.Text))
	})
	return w.found
}

// look reads a secret, and has it judged.
func (w *secrets) look(place string, s policies.Secret, judge func(string) string) (read bool) {
	if s.File == "" {
		return s == policies.Secret{}
	}
	text, err := s.Read()
	if err != nil {
		w.found = append(w.found, policies.Remark{Key: place, Warning: true, Text: err.Error()})
		return false
	}
	if fault := judge(text); fault != "" {
		w.found = append(w.found, policies.Remark{Key: place, Warning: true, Text: s.String() + ": " + fault})
	}
	return true
}

func spoiltText(text string) string { return policies.Spoilt(strings.TrimRight(text, "\r\n")) }

// enter looks at what opens a server, as far as that can be seen without asking it.
func (w *secrets) enter(e entrance) {
	whole := w.look(e.at+".password", e.Password, spoiltText)
	whole = w.look(e.at+".key", e.Key, func(string) string { return "" }) && whole
	if !whole || e.url.Scheme != "sftp" {
		return
	}
	conf, err := sshConfig(e.url, e.Access)
	if err == nil {
		conf.BehindDoor = strings.HasPrefix(e.at, "vaults.")
		err = conf.Ready()
	}
	if err != nil {
		w.found = append(w.found, policies.Remark{Key: e.at, Warning: true, Text: err.Error()})
	}
}

func (w *secrets) switchSecrets(at string, s *policies.Switch) {
	if s.SNMP != nil {
		w.look(at+".snmp.community", s.SNMP.Community, spoiltText)
		w.look(at+".snmp.auth_password", s.SNMP.AuthPassword, spoiltText)
		w.look(at+".snmp.privacy_password", s.SNMP.PrivacyPassword, spoiltText)
	}
	if s.CLI != nil {
		w.look(at+".cli.password", s.CLI.Password, spoiltText)
		w.look(at+".cli.enable", s.CLI.Enable, spoiltText)
		w.look(at+".cli.key", s.CLI.Key, func(string) string { return "" })
	}
}
