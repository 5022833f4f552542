// Package departments makes the backups that a hospital's departmental systems leave
// in their folders: a database dump that grows, pictures that only come in addition,
// tables written anew, under Japanese names. It is an invented hospital's data, of no
// real person, and the same bytes and times on every machine and in every run; a few
// megabytes in all.
package departments

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// Department is a departmental system. The zero Department is none.
type Department struct {
	Name  string // as the policy file calls it
	Title string // as people call it

	first, second func(tree) error
}

// All lists the departments, always in the same order.
func All() []Department {
	return []Department{
		{"accounting", "医事会計", accountingFirst, accountingSecond},
		{"imaging", "画像診断", imagingFirst, imagingSecond},
		{"ophthalmology", "眼科", ophthalmologyFirst, ophthalmologySecond},
	}
}

var firstEvening = time.Date(2026, time.April, 6, 21, 40, 0, 0, time.FixedZone("JST", 9*60*60))

// FirstNight writes what the department leaves for the first night into folder,
// which is made if need be.
func (d Department) FirstNight(folder string) error {
	return d.fill(d.first, tree{folder, firstEvening})
}

// SecondNight makes of the first night's files those of the second, as a day's work
// does: they grow, come and go.
func (d Department) SecondNight(folder string) error {
	return d.fill(d.second, tree{folder, firstEvening.Add(24 * time.Hour)})
}

func (d Department) fill(night func(tree) error, t tree) error {
	if err := night(t); err != nil {
		return fmt.Errorf("write the files of %s: %w", d.Name, err)
	}
	return nil
}

// tree writes files with the modification time of one evening.
type tree struct {
	root    string
	evening time.Time
}

func (t tree) write(name string, content []byte) error {
	full := filepath.Join(t.root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(full, content, 0o644); err != nil {
		return err
	}
	return os.Chtimes(full, t.evening, t.evening)
}

func (t tree) remove(name string) error {
	return os.Remove(filepath.Join(t.root, filepath.FromSlash(name)))
}

// writeEach writes files number from to number to-1.
func (t tree) writeEach(from, to int, name string, content func(i int) []byte) error {
	for i := from; i < to; i++ {
		if err := t.write(fmt.Sprintf(name, i), content(i)); err != nil {
			return err
		}
	}
	return nil
}

// The accounting system dumps its whole database every evening, beside its printed
// forms, and leaves a marker when it has finished.

func accountingFirst(t tree) error { return accounting(t, 14_000, 0, 60) }

func accountingSecond(t tree) error {
	if err := t.remove("帳票/外来領収書_0007.txt"); err != nil {
		return err
	}
	return accounting(t, 14_400, 60, 72)
}

func accounting(t tree, rows, fromForm, toForm int) error {
	if err := t.write("医事会計_日次.dump", claims(rows)); err != nil {
		return err
	}
	if err := t.writeEach(fromForm, toForm, "帳票/外来領収書_%04d.txt", receiptForm); err != nil {
		return err
	}
	if err := t.write("作業中.tmp", []byte("書き込み中")); err != nil {
		return err
	}
	return t.write("DONE", nil)
}

// claims is a dump of so many rows; a longer one begins with a shorter one.
func claims(rows int) []byte {
	r := rand.New(rand.NewPCG(1, 1))
	names := []string{"再診料", "外来管理加算", "処方箋料", "血液化学検査", "画像診断管理加算", "調剤料"}
	var b bytes.Buffer
	b.WriteString("-- 医事会計 全件\n")
	for i := range rows {
		fmt.Fprintf(&b, "INSERT INTO 明細 VALUES (%d, '患者%05d', '%s', %d, '%016x');\n",
			i, r.IntN(30_000), names[r.IntN(len(names))], 10*(1+r.IntN(900)), r.Uint64())
	}
	return b.Bytes()
}

func receiptForm(i int) []byte {
	r := rand.New(rand.NewPCG(2, uint64(i)))
	return fmt.Appendf(nil, "外来領収書 第%04d号\n患者番号 %05d\n合計 %d 円\n", i, r.IntN(30_000), 10*(1+r.IntN(3000)))
}

// Imaging only adds: a folder for each study, pictures that do not compress.

func imagingFirst(t tree) error  { return studies(t, "2026-04-06", 0, 6) }
func imagingSecond(t tree) error { return studies(t, "2026-04-07", 6, 9) }

func studies(t tree, day string, from, to int) error {
	for study := from; study < to; study++ {
		name := fmt.Sprintf("%s/胸部CT_%03d/IM%%04d.dcm", day, study)
		if err := t.writeEach(0, 4, name, func(i int) []byte { return picture(100*study+i, 96<<10) }); err != nil {
			return err
		}
	}
	return nil
}

// picture is noise, as a compressed picture is to a compressor.
func picture(number, size int) []byte {
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("picture %d", number))
	b := make([]byte, size)
	io.ReadFull(rand.NewChaCha8(seed), b) // never fails, by its documentation
	return b
}

// Ophthalmology keeps pictures beside a table that is written anew each day.

func ophthalmologyFirst(t tree) error {
	if err := t.writeEach(0, 8, "眼底写真/右眼_%03d.jpg", func(i int) []byte { return picture(10_000+i, 64<<10) }); err != nil {
		return err
	}
	return t.write("視力検査.csv", acuity(200))
}

func ophthalmologySecond(t tree) error {
	if err := t.writeEach(8, 11, "眼底写真/左眼_%03d.jpg", func(i int) []byte { return picture(10_000+i, 64<<10) }); err != nil {
		return err
	}
	return t.write("視力検査.csv", acuity(230))
}

func acuity(rows int) []byte {
	r := rand.New(rand.NewPCG(3, 3))
	var b bytes.Buffer
	b.WriteString("患者番号,右,左\n")
	for range rows {
		fmt.Fprintf(&b, "%05d,%.1f,%.1f\n", r.IntN(30_000), float64(1+r.IntN(15))/10, float64(1+r.IntN(15))/10)
	}
	return b.Bytes()
}
