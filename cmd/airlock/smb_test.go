package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/collectors/collecttest"

	"github.com/rogpeppe/go-internal/testscript"
)

// A night whose repository, vault and one source are on a real Samba server.
func TestSMBNight(t *testing.T) {
	share := collecttest.Dir(t)
	server := collecttest.StartSMB(t, share, "read only = no", "force user = root", "smb encrypt = required")
	scan := filepath.Join(share, "画像", "検査 001.dcm")
	if err := errors.Join(os.Mkdir(filepath.Dir(scan), 0o755), os.WriteFile(scan, []byte(strings.Repeat("画像", 40000)), 0o644)); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/smb", Cmds: commands(), RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			if err := setUp(e); err != nil {
				return err
			}
			e.Setenv("SHARE", share)
			password := filepath.Join(e.WorkDir, "secrets", "share")
			on := func(folder string) string {
				return fmt.Sprintf("smb://%s@%s/%s/%s", server.User, server.Address, server.Share, folder)
			}
			text := strings.NewReplacer(
				"url: file://$WORK/nas", "url: "+on("nas")+"\n  password: {file: "+password+"}",
				"url: file://$WORK/vault", "url: "+on("vault")+"\n    password: {file: "+password+"}",
				`{url: "file://$WORK/画像"}`, `{url: "`+on("画像")+`", password: {file: `+password+`}}`,
			).Replace(policyFile)
			return errors.Join(os.WriteFile(password, []byte(server.Password+"\n"), 0o600), writePolicy(e, "smb.yaml", text))
		},
	})
}
