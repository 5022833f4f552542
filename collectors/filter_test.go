package collectors

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFilter(t *testing.T) {
	tree := []string{
		"DONE", "~$open.xlsx", "a.dump", "a.tmp", "A.TMP", "tmp/x.dump", "医事/会計.dump", "医事/tmp/y", "医事/~$会計.xlsx",
		"2025/07/a.dcm", "2026/07/a.dcm", "2026/07/b.txt", "2026/08/deep/c.dcm",
	}
	for name, test := range map[string]struct {
		filter   Filter
		want     []string
		unlisted []string
	}{
		"base names": {
			filter: Filter{Exclude: []string{"*.tmp", "~$*", "202?"}},
			want:   []string{"A.TMP", "DONE", "a.dump", "tmp/x.dump", "医事/tmp/y", "医事/会計.dump"},
		},
		"excluded folders": {
			filter:   Filter{Exclude: []string{"/tmp", "医事/tmp/", "2026/**"}},
			want:     []string{"2025/07/a.dcm", "A.TMP", "DONE", "a.dump", "a.tmp", "~$open.xlsx", "医事/~$会計.xlsx", "医事/会計.dump"},
			unlisted: []string{"tmp", "医事/tmp", "2026"},
		},
		"a folder of that name anywhere": {
			filter:   Filter{Exclude: []string{"tmp/", "202*"}},
			want:     []string{"A.TMP", "DONE", "a.dump", "a.tmp", "~$open.xlsx", "医事/~$会計.xlsx", "医事/会計.dump"},
			unlisted: []string{"tmp", "医事/tmp", "2025", "2026"},
		},
		"included by path": {
			filter:   Filter{Include: []string{"2026/**/*.dcm"}},
			want:     []string{"2026/07/a.dcm", "2026/08/deep/c.dcm"},
			unlisted: []string{"2025", "tmp", "医事"},
		},
		"an included folder with all that is in it": {
			filter:   Filter{Include: []string{"2026/08", "/医事/"}, Exclude: []string{"~$*"}},
			want:     []string{"2026/08/deep/c.dcm", "医事/tmp/y", "医事/会計.dump"},
			unlisted: []string{"2025", "2026/07", "tmp"},
		},
		"alternatives with slashes": {
			filter: Filter{Include: []string{"{2025/07,2026/08/deep}/*.dcm"}},
			want:   []string{"2025/07/a.dcm", "2026/08/deep/c.dcm"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(tree...)
			src, err := test.filter.Wrap(m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := walk(t.Context(), src, ".")
			if err != nil {
				t.Fatal(err)
			}
			slices.Sort(got)
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			for _, dir := range test.unlisted {
				if m.count("list "+dir) > 0 {
					t.Errorf("%s was listed", dir)
				}
			}
			for _, file := range tree {
				f, err := src.Open(t.Context(), file)
				_, staterr := src.Stat(t.Context(), file)
				if wanted := slices.Contains(test.want, file); wanted != (err == nil) || wanted != (staterr == nil) {
					t.Errorf("%s: wanted %v, but Open %v, Stat %v", file, wanted, err, staterr)
				}
				if err == nil {
					f.Close()
				} else if !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
				}
			}
		})
	}
}

func TestFilterRefusesPatterns(t *testing.T) {
	for _, p := range []string{"[a", "{a,b", "", "/", `a\`} {
		if _, err := (Filter{Exclude: []string{p}}).Wrap(newMemory()); err == nil || !strings.Contains(err.Error(), "pattern") {
			t.Errorf("%q: %v", p, err)
		}
	}
}

// A walk reaches every file that the filter wants: it wants the folders above.
func TestFilterLeadsToWhatItWants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		element := rapid.SampledFrom([]string{"a", "b", "a*", "?", "**", "[ab]", "{a,b}", "{a/b,b}"})
		pattern := rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"", "/"}).Draw(t, "front") +
				strings.Join(rapid.SliceOfN(element, 1, 4).Draw(t, "elements"), "/") +
				rapid.SampledFrom([]string{"", "/"}).Draw(t, "end")
		})
		f := Filter{
			Include: rapid.SliceOfN(pattern, 0, 2).Draw(t, "include"),
			Exclude: rapid.SliceOfN(pattern, 0, 1).Draw(t, "exclude"),
		}
		file := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab"}), 1, 5).Draw(t, "file"), "/")
		if !f.Wants(file, false) {
			return
		}
		for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
			if !f.Wants(dir, true) {
				t.Fatalf("%+v wants %s, but not the folder %s", f, file, dir)
			}
		}
	})
}
