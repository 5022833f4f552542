package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"airlock/collectors/collecttest"

	"github.com/rogpeppe/go-internal/testscript"
)

// Vaults on servers of other makers: what is asked of airlock vault serve and of folders
// is asked of OpenSSH and of Samba too.
func TestPlainVaults(t *testing.T) {
	t.Run("sftp", func(t *testing.T) {
		t.Parallel()
		server := collecttest.StartSSH(t)
		far := farFolder(t, server.User)
		plainVault(t, far, string(server.Key), func(secret string) string {
			return fmt.Sprintf("url: sftp://%s@%s%s\n    key: {file: %s}\n    known_hosts: %s", server.User, server.Address, far, secret, server.KnownHosts)
		})
	})
	t.Run("smb", func(t *testing.T) {
		t.Parallel()
		far := farFolder(t, "nobody")
		server := collecttest.StartSMB(t, filepath.Dir(far), "read only = no", "server signing = mandatory")
		plainVault(t, far, server.Password+"\n", func(secret string) string {
			return fmt.Sprintf("url: smb://%s@%s/%s/vault\n    password: {file: %s}", server.User, server.Address, server.Share, secret)
		})
	})
}

// farFolder makes the folder of a vault whose server writes as a user.
func farFolder(t *testing.T, name string) string {
	far := filepath.Join(collecttest.Dir(t), "vault")
	who, err := user.Lookup(name)
	if err = errors.Join(err, os.Mkdir(far, 0o700)); err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.Atoi(who.Uid)
	gid, err2 := strconv.Atoi(who.Gid)
	if err := errors.Join(err1, err2, os.Chown(far, uid, gid)); err != nil {
		t.Fatal(err)
	}
	return far
}

// plainVault runs the scripts of plain vaults against one, of which url makes the policy
// file's lines.
func plainVault(t *testing.T, far, secret string, url func(secretFile string) string) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/plain", Cmds: commands(), RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			if err := setUp(e); err != nil {
				return err
			}
			e.Setenv("FAR", far)
			file := filepath.Join(e.WorkDir, "secrets", "far")
			text := strings.Replace(policyFile, "url: file://$WORK/vault", url(file), 1)
			return errors.Join(os.WriteFile(file, []byte(secret), 0o600), writePolicy(e, "plain.yaml", text))
		},
	})
}
