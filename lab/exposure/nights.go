//go:build linux

package exposure

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// night is what a day's work leaves to be copied.
type night struct {
	title   string
	changes bool // whether there was any work
	divisor int  // it is measured one time in so many: some nights are long
}

// sequence is nights of one folder. begin makes the folder as it is at first, and gives
// what a day does to it and what has to be done at the end.
type sequence struct {
	name   string
	nights []night
	begin  func(ctx context.Context, dir string) (day func(ctx context.Context, number int) error, end func() error, err error)
}

// The nights' full sizes.
const (
	treeFiles  = 11_478
	images     = 60
	imageBytes = 512 << 10
	largeBytes = 4_000_000_000
	manyFiles  = 200_000
)

func sequences(o Options) []sequence {
	return []sequence{
		{"the measured night", []night{{"night", true, 1}, {"nothing", false, 1}}, o.measuredNight},
		{"200,000 files", []night{{"files", true, 1}}, o.files},
		{"4 GB", []night{{"large", true, 3}}, o.large},
	}
}

func (o Options) part(full int) int { return max(1, int(float64(full)*o.Size)) }

func nothingMore() error { return nil }

// measuredNight is that of docs/design.md, section 3: a database's dump after 60,000
// transactions, a tree of which one file in a hundred changed, new pictures.
func (o Options) measuredNight(ctx context.Context, dir string) (func(context.Context, int) error, func() error, error) {
	db, err := startPostgres(ctx, filepath.Join(filepath.Dir(dir), "postgres"), o.part(50))
	if err != nil {
		return nil, nil, err
	}
	t := tree{dir: filepath.Join(dir, "tree"), files: o.part(treeFiles), median: 3500}
	night := func(ctx context.Context, number int) error {
		if number > 0 {
			if err := db.work(ctx, o.part(60_000), number); err != nil {
				return err
			}
		}
		if err := db.dump(ctx, filepath.Join(dir, "accounting.sql")); err != nil {
			return err
		}
		if err := t.change(number); err != nil {
			return err
		}
		for i := range o.part(images) {
			if err := incompressible(filepath.Join(dir, "imaging", fmt.Sprintf("%03d-%03d.dcm", number, i)), imageBytes, uint64(number*images+i)); err != nil {
				return err
			}
		}
		return nil
	}
	return night, db.stop, night(ctx, 0)
}

// large is a new file that nothing of can be left out.
func (o Options) large(_ context.Context, dir string) (func(context.Context, int) error, func() error, error) {
	file := filepath.Join(dir, "export.bin")
	night := func(_ context.Context, number int) error {
		return incompressible(file, o.part(largeBytes), uint64(1000+number))
	}
	return night, nothingMore, incompressible(file, 1<<20, 1000)
}

// files is very many small files.
func (o Options) files(_ context.Context, dir string) (func(context.Context, int) error, func() error, error) {
	t := tree{dir: dir, files: o.part(manyFiles), median: 1500}
	return func(_ context.Context, number int) error { return t.change(number) }, nothingMore, t.change(0)
}

// tree is a folder of text files, of which one in a hundred changes each day.
type tree struct {
	dir    string
	files  int
	median int // bytes of a file
}

const treeFolder = 200 // files

// change writes day number's files: on day 0 all.
func (t tree) change(number int) error {
	for i := range t.files {
		if number > 0 && (i+number)%100 != 0 {
			continue
		}
		r := rand.New(rand.NewPCG(uint64(i), uint64(number)))
		text := make([]byte, 0, 4*t.median)
		for length := t.median/8 + int(r.ExpFloat64()*float64(t.median)*1.2); len(text) < min(length, 64<<10); {
			text = append(strconv.AppendUint(append(text, words[r.IntN(len(words))]...), r.Uint64N(1<<20), 36), " \n"[r.IntN(8)/7])
		}
		name := filepath.Join(t.dir, fmt.Sprintf("%04d", i/treeFolder), fmt.Sprintf("%06d.txt", i))
		if err := write(name, text); err != nil {
			return err
		}
	}
	return nil
}

var words = []string{"patient ", "ward ", "visit ", "score ", "dose ", "0", "return ", "insert into ", "// ", "患者", "点数", "= "}

// incompressible writes a file of random bytes, the same for the same seed.
func incompressible(name string, size int, seed uint64) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	random, piece := rand.NewChaCha8(key), make([]byte, 1<<20)
	for left := size; left > 0 && err == nil; left -= len(piece) {
		piece = piece[:min(len(piece), left)]
		random.Read(piece)
		_, err = f.Write(piece)
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func write(name string, text []byte) error {
	err := os.WriteFile(name, text, 0o644)
	if os.IsNotExist(err) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		err = os.WriteFile(name, text, 0o644)
	}
	return err
}
