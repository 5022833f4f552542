package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// allSorts DIR fills a folder with all sorts of files: of no byte and of more than a blob
// takes, under names as Japanese systems give them, in folders of which some are empty,
// with times from before 1970 to after 2038.
func allSorts(ts *testscript.TestScript, _ bool, args []string) {
	root := ts.MkAbs(args[0])
	folders := []string{
		"空のフォルダー", "空の/中も/空", "ｶﾅ 半角", "か\u3099く 濁点が別の文字", ".隠し",
	}
	for _, name := range folders {
		ts.Check(os.MkdirAll(filepath.Join(root, name), 0o755))
	}
	noise := rand.NewChaCha8([32]byte{5})
	large := make([]byte, 24<<20+1)
	if _, err := noise.Read(large); err != nil {
		ts.Fatalf("%v", err)
	}
	files := map[string][]byte{
		"空.txt":           nil,
		"一バイト":            {0},
		"大きい 検査データ.bin":   large,
		"零が続く.img":        make([]byte, 5<<20),
		"ｶﾅ 半角/表･①髙﨑.csv": []byte("患者,点数\r\n"),
		"か\u3099く 濁点が別の文字/か\u3099.txt": []byte("NFD"),
		"か\u3099く 濁点が別の文字/\u304c.txt":  []byte("NFC"),
		".隠し/.設定":                          []byte("x"),
		"a  b 'c' \"d\" $e %20 \\f *?.txt": []byte("for shells"),
		"-rf":                              []byte("for those that take it as an option"),
		strings.Repeat("長", 85):            []byte("a name of 255 bytes"),
	}
	for n := range 300 {
		files[fmt.Sprintf("一覧/%03d/伝票 %d.txt", n%7, n)] = large[n*1000 : n*1000+n]
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(root, name)
		ts.Check(errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, files[name], 0o640)))
		at := time.Unix(noise64(noise)%2_300_000_000, noise64(noise)%1e9)
		ts.Check(os.Chtimes(file, at, at))
	}
	ts.Check(os.Chtimes(filepath.Join(root, "一バイト"), time.Time{}, time.Unix(-86_400*400, 7)))
	for n, name := range folders {
		at := time.Unix(1_000_000_000+int64(n), 123_456_789)
		ts.Check(os.Chtimes(filepath.Join(root, name), at, at))
	}
}

func noise64(from *rand.ChaCha8) int64 { return int64(from.Uint64() >> 1) }

// same WANT GOT wants two trees to have the same names, kinds, bytes and times to the
// nanosecond, and what GOT has to be its owner's alone: of modes airlock keeps none. The
// time of a folder is, as kopia restores it, the newest of what is in it.
func same(ts *testscript.TestScript, neg bool, args []string) {
	want, got := tree(ts, args[0]), tree(ts, args[1])
	asKopiaTells(want)
	var differ []string
	for name, w := range want {
		g, there := got[name]
		switch {
		case !there:
			differ = append(differ, name+" is missing")
		case w.folder != g.folder || !bytes.Equal(w.data, g.data):
			differ = append(differ, fmt.Sprintf("%s: %d bytes instead of %d, or others", name, len(g.data), len(w.data)))
		case !w.at.Equal(g.at):
			differ = append(differ, fmt.Sprintf("%s is of %s, not of %s", name, g.at, w.at))
		case g.mode != 0o600 && !g.folder || g.mode != 0o700 && g.folder:
			differ = append(differ, fmt.Sprintf("%s has mode %o", name, g.mode))
		}
	}
	for name := range got {
		if _, there := want[name]; !there {
			differ = append(differ, name+" is too many")
		}
	}
	slices.Sort(differ)
	if (len(differ) > 0) != neg || len(want) < 2 {
		ts.Fatalf("%s and %s, of %d and %d names, differ in %d:\n%s", args[0], args[1], len(want), len(got), len(differ), strings.Join(differ, "\n"))
	}
}

// asKopiaTells gives every folder that is not empty the newest time of what is in it.
func asKopiaTells(all map[string]thing) {
	names := slices.Sorted(maps.Keys(all))
	slices.Reverse(names) // what is in a folder comes before it
	newest := map[string]time.Time{}
	for _, name := range names {
		t := all[name]
		seen := t.at
		if inside, full := newest[name]; full {
			t.at = inside
			all[name] = t
		}
		for _, at := range []time.Time{seen, t.at} {
			if in := filepath.Dir(name); newest[in].Before(at) {
				newest[in] = at
			}
		}
	}
}

// thing is a file or a folder.
type thing struct {
	folder bool
	data   []byte
	at     time.Time
	mode   fs.FileMode
}

// tree reads all that lies in a folder. When a restored folder itself was changed last is
// its own affair.
func tree(ts *testscript.TestScript, root string) map[string]thing {
	all := map[string]thing{}
	ts.Check(filepath.WalkDir(ts.MkAbs(root), func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err1 := filepath.Rel(ts.MkAbs(root), file)
		info, err2 := d.Info()
		if err := errors.Join(err1, err2); err != nil || name == "." {
			return err
		}
		t := thing{folder: d.IsDir(), at: info.ModTime(), mode: info.Mode() &^ fs.ModeDir}
		if !t.folder {
			t.data, err = os.ReadFile(file)
		}
		all[name] = t
		return err
	}))
	return all
}
