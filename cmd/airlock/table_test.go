package main

import (
	"strings"
	"testing"
)

func TestTableCountsCells(t *testing.T) {
	var tb table
	tb.row("NAME", "TITLE", "STATE")
	tb.row("accounting", "医事会計", "ok")
	tb.row("ct", "ハ\u3099ックアッフ\u309a", "") // decomposed, as Macs name files
	tb.row("port", "a\nb\x1b[31m\x00", "ok")
	var out strings.Builder
	if err := tb.print(&out, "  "); err != nil {
		t.Fatal(err)
	}
	want := `  NAME        TITLE         STATE
  accounting  医事会計      ok
  ct          ` + "ハ\u3099ックアッフ\u309a" + `
  port        a b?[31m?     ok
`
	if out.String() != want {
		t.Errorf("got:\n%q\nwant:\n%q", out.String(), want)
	}
}

func TestTableIsCarriedOn(t *testing.T) {
	var tb table
	var out strings.Builder
	tb.row("a long cell", "x")
	if err := tb.print(&out, ""); err != nil {
		t.Fatal(err)
	}
	tb.row("short", "y")
	if err := tb.print(&out, ""); err != nil {
		t.Fatal(err)
	}
	if want := "a long cell  x\nshort        y\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
