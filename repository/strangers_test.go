package repository

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBlobName(t *testing.T) {
	for name, is := range map[string]bool{
		"kopia.repository": true, "kopia.blobcfg": true, "kopia.maintenance": true, "kopia.repository.backup.x@y": true,
		"p25ff0ae00b9d1fcf8a2d5e34f1d1b8a5-s8fd1f4ab0ea3c75b147": true, "q00aae90b73d5675d98996d2756cdb-s4b1a9bf61ac4390f147": true,
		"xn0_121cceee43817dca045b918012ac7f76-seb14480a66937c02147-c1": true, "xe1": true, "xw1764500000": true,
		"xr0_4_2cdab0649acad6c883192e0243cba-s98cd0a6169d7010e147-c1": true, "xs0_2cdab0649acad6c8-s98c-c1": true,
		"n2cdab0649acad6c8": true, "m2cdab0649acad6c8": true, "l2cdab0649acad6c8": true, "s2cdab0649acad6c8-s98c": true,
		"_log_20261130155947_1a2b_1764518387_1764518390_1_0f": true,

		"xn0_._121cceee43817dca045b918012ac7f76-seb14480a66937c02147-c1": false, "._kopia.repository": false,
		"p25ff0ae0-s8fd1 (conflicted copy 2026-11-30)": false, "p25ff0ae0-s8fd1-nas01": false, "p25ff0ae0-s8fd1 - コピー": false,
		"p25ff0ae0-s8fd1.sync-conflict-20261130-120000-ABCDEFG": false, "p25ff0ae0-s8fd1(1)": false, "P25FF0AE0-S8FD1": false,
		"@eaDirp25ff0ae0": false, "#recyclep25ff": false, "Thumbs": false, "~$p25ff": false, "": false,
	} {
		if blobName.MatchString(name) != is {
			t.Errorf("%q is a blob: %v", name, !is)
		}
	}
}

// What Macs, NAS and synchronizing programs leave beside the blobs is passed over, and told
// once, in all three kinds of places.
func TestStrangers(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "nas")
	t.Run("folder", func(t *testing.T) { testStrangers(t, Place{Path: folder}, folder) })
	t.Run("SFTP", func(t *testing.T) {
		s := startSSHD(t)
		testStrangers(t, Place{SFTP: &s.place}, s.place.Path)
	})
	t.Run("SMB", func(t *testing.T) {
		at := samba(t)
		testStrangers(t, at.place, at.folder)
	})
}

func testStrangers(t *testing.T, place Place, folder string) {
	c := configFor(t, place)
	must(t, Create(t.Context(), c))
	r := reopen(t, c)
	src := hospital(t)
	res := snap(t, r, "imaging", disk(src))
	must(t, filepath.WalkDir(folder, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".f") {
			return err
		}
		dir, name := filepath.Split(file)
		litter(t, dir+"._"+name)
		litter(t, strings.TrimSuffix(file, ".f")+" (conflicted copy).f")
		return nil
	}))
	for _, name := range []string{".DS_Store", "@eaDir/p12.f/SYNO", "#recycle/p34.f", "Thumbs.db", "x/n0_/@eaDir/1.f"} {
		litter(t, filepath.Join(folder, name))
	}
	c.StateDir = t.TempDir() // nothing is remembered
	r = reopen(t, c)
	again := snap(t, r, "imaging", disk(src))
	for _, id := range []string{res.ID, again.ID} {
		sameTrees(t, src, restored(t, &r.View, id))
	}
	check, err := r.Verify(t.Context(), VerifyOptions{})
	if err != nil || len(check.Damaged) != 0 {
		t.Errorf("verify: %+v, %v", check, err)
	}
	inv, err := r.Blobs(t.Context())
	must(t, err)
	for _, b := range inv.Blobs {
		if !blobName.MatchString(b.Name) {
			t.Errorf("%s is counted as a blob", b.Name)
		}
	}
	must(t, r.Maintain(t.Context()))
	first := r.Strangers()
	if len(first) == 0 || len(first) > mostStrangers || !strings.Contains(strings.Join(first, "\n"), "conflicted copy") {
		t.Errorf("told of %q", first)
	}
	snap(t, r, "imaging", disk(src))
	if again := r.Strangers(); len(again) != 0 && len(first) == mostStrangers {
		t.Errorf("told again of %q", again)
	}
}

func litter(t *testing.T, file string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte("\x00\x05\x16\x07junk"), 0o644))
}
