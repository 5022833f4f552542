package vault_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kopia/kopia/fs/localfs"
	"github.com/kopia/kopia/repo"
	"github.com/kopia/kopia/repo/blob"
	"github.com/kopia/kopia/repo/blob/filesystem"
	"github.com/kopia/kopia/repo/maintenance"
	"github.com/kopia/kopia/snapshot"
	"github.com/kopia/kopia/snapshot/policy"
	"github.com/kopia/kopia/snapshot/restore"
	"github.com/kopia/kopia/snapshot/snapshotfs"
	"github.com/kopia/kopia/snapshot/snapshotmaintenance"
	"github.com/kopia/kopia/snapshot/upload"

	"airlock/vault"
	"airlock/vault/vaulttest"
)

const passphrase = "a test's passphrase"

// Stock kopia opens the vault's folder, and each generation by itself: also one made
// before everything was deleted and maintained away at the repository (trap 1).
func TestStockKopiaOpensTheVault(t *testing.T) {
	w, source, primary := newWorld(t), t.TempDir(), t.TempDir()
	plant(t, source, "会計/請求 2026.csv", vaulttest.Random(1, 300_000))
	plant(t, source, "empty", nil)
	r := openKopia(t, createKopia(t, primary))
	snapshotKopia(t, r, source)
	w.catalogue(primary)
	w.window()

	plant(t, source, "second.bin", vaulttest.Random(2, 2<<20))
	snapshotKopia(t, r, source)
	w.catalogue(primary)
	w.window()
	restoresTo(t, w.dir, source)

	forgetAllKopia(t, r)
	w.catalogue(primary)
	if report := w.window(); len(report.Conflicts) > 0 {
		t.Errorf("conflicts: %q", report.Conflicts)
	}
	if n := restoreKopia(t, w.dir, t.TempDir()); n != 0 {
		t.Fatalf("%d snapshots are left in the last generation; the test deletes none", n)
	}
	restoresTo(t, w.checkout(2), source)
}

// catalogue makes the world's repository the kopia repository in a folder.
func (w *world) catalogue(primary string) {
	w.t.Helper()
	w.nights++
	clear(w.blobs)
	clear(w.sums)
	st, err := filesystem.New(context.Background(), &filesystem.Options{Path: primary}, false)
	if err != nil {
		w.t.Fatal(err)
	}
	err = st.ListBlobs(context.Background(), "", func(m blob.Metadata) error {
		var b outputBuffer
		if err := st.GetBlob(context.Background(), m.BlobID, 0, -1, &b); err != nil {
			return err
		}
		w.write(string(m.BlobID), b.Bytes())
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

type outputBuffer struct{ bytes.Buffer }

func (b *outputBuffer) Length() int { return b.Len() }

// checkout lays one generation out as a repository of its own.
func (w *world) checkout(number int64) string {
	w.t.Helper()
	dir := w.t.TempDir()
	g, err := vault.Load(w.t.Context(), w.store, number)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range g.Blobs {
		r, err := vault.Reader{Store: w.store, Generation: g}.Open(w.t.Context(), e.Name, 0, -1)
		if err != nil {
			w.t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			w.t.Fatal(err)
		}
		r.Close()
		plant(w.t, dir, vault.BlobPath(e.Name), data)
	}
	shards, err := os.ReadFile(w.file(".shards"))
	if err != nil {
		w.t.Fatal(err)
	}
	plant(w.t, dir, ".shards", shards)
	return dir
}

func plant(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func createKopia(t *testing.T, dir string) (config string) {
	t.Helper()
	ctx := t.Context()
	st, err := filesystem.New(ctx, &filesystem.Options{Path: dir}, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Initialize(ctx, st, nil, passphrase); err != nil {
		t.Fatal(err)
	}
	return connectKopia(t, dir, false)
}

func connectKopia(t *testing.T, dir string, readOnly bool) (config string) {
	t.Helper()
	st, err := filesystem.New(t.Context(), &filesystem.Options{Path: dir}, false)
	if err != nil {
		t.Fatal(err)
	}
	config = filepath.Join(t.TempDir(), "config")
	options := &repo.ConnectOptions{ClientOptions: repo.ClientOptions{Hostname: "lab", Username: "airlock", ReadOnly: readOnly}}
	if err := repo.Connect(t.Context(), config, st, passphrase, options); err != nil {
		t.Fatal(err)
	}
	return config
}

func openKopia(t *testing.T, config string) repo.Repository {
	t.Helper()
	r, err := repo.Open(t.Context(), config, passphrase, &repo.Options{OnFatalError: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}

func snapshotKopia(t *testing.T, r repo.Repository, source string) {
	t.Helper()
	err := repo.WriteSession(t.Context(), r, repo.WriteSessionOptions{}, func(ctx context.Context, w repo.RepositoryWriter) error {
		info := snapshot.SourceInfo{Host: "lab", UserName: "airlock", Path: source}
		tree, err := policy.TreeForSource(ctx, w, info)
		if err != nil {
			return err
		}
		dir, err := localfs.Directory(source)
		if err != nil {
			return err
		}
		manifest, err := upload.NewUploader(w).Upload(ctx, dir, tree, info)
		if err != nil {
			return err
		}
		_, err = snapshot.SaveSnapshot(ctx, w, manifest)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// forgetAllKopia deletes every snapshot, and then all that nothing needs any more.
func forgetAllKopia(t *testing.T, r repo.Repository) {
	t.Helper()
	err := repo.DirectWriteSession(t.Context(), r.(repo.DirectRepository), repo.WriteSessionOptions{}, func(ctx context.Context, w repo.DirectRepositoryWriter) error {
		ids, err := snapshot.ListSnapshotManifests(ctx, w, nil, nil)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := w.DeleteManifest(ctx, id); err != nil {
				return err
			}
		}
		if err := w.Flush(ctx); err != nil {
			return err
		}
		p := maintenance.DefaultParams()
		p.Owner = w.ClientOptions().UsernameAtHost()
		if err := maintenance.SetParams(ctx, w, &p); err != nil {
			return err
		}
		return snapshotmaintenance.Run(ctx, w, maintenance.ModeFull, true, maintenance.SafetyNone)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// restoreKopia restores the last snapshot and says how many there are.
func restoreKopia(t *testing.T, dir, to string) (snapshots int) {
	t.Helper()
	ctx := t.Context()
	r := openKopia(t, connectKopia(t, dir, true))
	ids, err := snapshot.ListSnapshotManifests(ctx, r, nil, nil)
	if err != nil || len(ids) == 0 {
		return 0
	}
	all, err := snapshot.LoadSnapshots(ctx, r, ids)
	if err != nil {
		t.Fatal(err)
	}
	last := all[0]
	for _, m := range all {
		if m.StartTime.After(last.StartTime) {
			last = m
		}
	}
	root, err := snapshotfs.SnapshotRoot(r, last)
	if err != nil {
		t.Fatal(err)
	}
	out := &restore.FilesystemOutput{TargetPath: to, OverwriteDirectories: true, SkipOwners: true}
	if err := out.Init(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := restore.Entry(ctx, r, out, root, restore.Options{RestoreDirEntryAtDepth: math.MaxInt32}); err != nil {
		t.Fatal(err)
	}
	return len(ids)
}

// restoresTo fails the test unless kopia restores the source from a vault's folder:
// names, bytes, modification times.
func restoresTo(t *testing.T, dir, source string) {
	t.Helper()
	to := t.TempDir()
	if restoreKopia(t, dir, to) == 0 {
		t.Errorf("kopia finds no snapshot in %s", dir)
		return
	}
	files := 0
	err := filepath.WalkDir(source, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		rel, err := filepath.Rel(source, name)
		if err != nil {
			return err
		}
		want, wantTime := content(t, name)
		got, gotTime := content(t, filepath.Join(to, rel))
		if !bytes.Equal(got, want) || !gotTime.Equal(wantTime) {
			t.Errorf("%s is restored as something else", rel)
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Errorf("%d files compared, %v", files, err)
	}
}

func content(t *testing.T, file string) ([]byte, time.Time) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return data, info.ModTime()
}
