package policies

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// Secret names where a secret is kept: an environment variable or a file. It never
// holds the secret itself, so that it can be printed. The zero Secret is none.
type Secret struct {
	Env  string `yaml:"env" example:"AIRLOCK_SECRET"`
	File string `yaml:"file" example:"/etc/airlock/secrets/NAME"` // absolute; only its owner may read it
}

// secretLimit is far above the largest private key.
const secretLimit = 64 << 10

// String names the place, never the secret.
func (s Secret) String() string {
	switch {
	case s.File != "":
		return "file " + s.File
	case s.Env != "":
		return "environment variable " + s.Env
	}
	return "none"
}

// Read returns the secret without one trailing newline. A secret that is empty, not
// set, larger than 64 KiB, or in a file that others than its owner may read, is an
// error that names the place and what to do. No error holds the secret (S13).
func (s Secret) Read() (string, error) {
	switch {
	case s.File != "":
		return readSecretFile(s.File)
	case s.Env != "":
		v, ok := os.LookupEnv(s.Env)
		if !ok || v == "" {
			return "", fmt.Errorf("read secret: the environment variable %s is not set; set it for the service, or name a file instead", s.Env)
		}
		return v, nil
	}
	return "", errors.New("read secret: none is named; write {file: PATH} or {env: NAME}")
}

func readSecretFile(path string) (secret string, err error) {
	info, err := os.Stat(path) // before opening: a pipe would block
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read secret: %s does not exist; write the secret into it and run: chmod 600 %s", path, path)
	}
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("read secret: %s is not a regular file; name the file that holds the secret", path)
	}
	// Windows keeps rights in lists of its own and shows every file as readable.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return "", fmt.Errorf("read secret: %s may be read by others than its owner (mode %04o); run: chmod 600 %s", path, mode, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w; it must belong to the user that runs airlock", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, secretLimit+1))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if len(data) > secretLimit {
		return "", fmt.Errorf("read secret: %s is larger than %d KiB; is it the right file?", path, secretLimit>>10)
	}
	if line, ok := bytes.CutSuffix(data, []byte("\n")); ok {
		data = bytes.TrimSuffix(line, []byte("\r"))
	}
	if len(data) == 0 {
		return "", fmt.Errorf("read secret: %s is empty; write the secret into it", path)
	}
	return string(data), nil
}
