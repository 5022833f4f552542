package sshconn

import (
	"slices"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// LegacyAlgorithms are the names that Config.Legacy may hold: what old switches speak
// and x/crypto/ssh has. RC4 and DSA are not among them: they hide and prove nothing.
func LegacyAlgorithms() []string {
	return []string{
		ssh.InsecureKeyExchangeDH14SHA1, ssh.InsecureKeyExchangeDHGEXSHA1, ssh.InsecureKeyExchangeDH1SHA1,
		ssh.InsecureCipherAES128CBC, ssh.InsecureCipherTripleDESCBC,
		ssh.InsecureHMACSHA196,
		ssh.KeyAlgoRSA,
	}
}

func (c Config) algorithms() ssh.Config {
	modern, old := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	return ssh.Config{
		KeyExchanges: c.allowed(modern.KeyExchanges, old.KeyExchanges),
		Ciphers:      c.allowed(modern.Ciphers, old.Ciphers),
		MACs:         c.allowed(modern.MACs, old.MACs),
	}
}

// allowed is modern, and of old what Legacy names.
func (c Config) allowed(modern, old []string) []string {
	return append(slices.Clone(modern), slices.DeleteFunc(slices.Clone(old), func(name string) bool {
		return !slices.Contains(c.Legacy, name)
	})...)
}

// modern keeps an RSA key from signing with SHA-1, unless Legacy names it.
func (c Config) modern(signer ssh.Signer) (ssh.Signer, error) {
	rsa, ok := signer.(ssh.AlgorithmSigner)
	if !ok || signer.PublicKey().Type() != ssh.KeyAlgoRSA || slices.Contains(c.Legacy, ssh.KeyAlgoRSA) {
		return signer, nil
	}
	return ssh.NewSignerWithAlgorithms(rsa, []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512})
}

// wanted is what the server offers of the old algorithms that are not allowed.
func wanted(allowed, offered []string) []string {
	var names []string
	for _, name := range LegacyAlgorithms() {
		if slices.Contains(offered, name) && !slices.Contains(allowed, name) {
			names = append(names, name)
		}
	}
	return names
}

// cures tells whether allowing what the server offers would help. A host key that is
// not of the pinned kind stays a stranger's.
func (c Config) cures(kind *ssh.AlgorithmNegotiationError) bool {
	if kind.What != "host key" {
		return true
	}
	all := c
	all.Legacy = LegacyAlgorithms()
	check, err := knownhosts.New(c.KnownHosts)
	return err == nil && slices.ContainsFunc(all.pinned(check), func(name string) bool {
		return slices.Contains(kind.RequestedAlgorithms, name)
	})
}
