package collectors

import (
	"context"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"
)

type listed struct {
	Source
	files fstest.MapFS
}

func (l listed) ReadDir(_ context.Context, dir string) (infos []fs.FileInfo, err error) {
	entries, err := l.files.ReadDir(dir)
	for _, e := range entries {
		info, _ := e.Info()
		infos = append(infos, info)
	}
	return infos, err
}

func TestMadeUpNames(t *testing.T) {
	for name, test := range map[string]struct{ names, want []string }{
		"Samba's":                 {[]string{"A4WTMA~A.TXT", "T0AC1W~Z", "_XK2QB~3.CSV", "plain.txt"}, []string{"d/A4WTMA~A.TXT", "d/T0AC1W~Z", "d/_XK2QB~3.CSV"}},
		"those of old programs":   {[]string{"PROGRA~1", "REPORT~2.DOC"}, nil},
		"of other forms":          {[]string{"a4wtma~a.txt", "backup~", "~$letter.docx", "A~A", "A4WTMA~AB.TXT", "LONGNAME~A.TXT"}, nil},
		"a folder's name as well": {[]string{"A4WTMA~A.TXT/inside"}, []string{"d/A4WTMA~A.TXT"}},
	} {
		files := fstest.MapFS{}
		for _, n := range test.names {
			files["d/"+n] = &fstest.MapFile{}
		}
		var names Names
		src := names.Wrap(listed{files: files})
		for range 2 {
			if _, err := src.ReadDir(t.Context(), "d"); err != nil {
				t.Fatal(err)
			}
		}
		if got := names.MadeUp(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
