package blob

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// Damage never travels: what is not the blob's ends with an error instead of io.EOF.
func TestVerify(t *testing.T) {
	const whole = "the bytes of a blob"
	sum := Sum(sha256.Sum256([]byte(whole)))
	for name, c := range map[string]struct {
		bytes string
		want  error
		says  string
	}{
		"whole":  {whole, nil, ""},
		"cut":    {whole[:5], ErrDamaged, "5 bytes of 19"},
		"longer": {whole + "!", ErrDamaged, "more than 19 bytes"},
		"other":  {strings.ToUpper(whole), ErrDamaged, "instead of " + sum.String()},
		"empty":  {"", ErrDamaged, "0 bytes of 19"},
	} {
		var moved int64
		r := Verify(iotest.OneByteReader(strings.NewReader(c.bytes)), int64(len(whole)), sum, func(n int64) { moved += n })
		got, err := io.ReadAll(r)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || c.want == nil && string(got) != whole {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if c.says != "" && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if moved != r.Count() || r.Err() == nil != (c.want == nil) {
			t.Errorf("%s: heard of %d bytes of %d, %v", name, moved, r.Count(), r.Err())
		}
	}
}

// What went wrong with the reader is told as it is, and again at the next call.
func TestVerifyBroken(t *testing.T) {
	broken := errors.New("the line is cut")
	r := Verify(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), 9, Sum{}, nil)
	for range 2 {
		if _, err := io.ReadAll(r); !errors.Is(err, broken) || errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	}
}

func TestSum(t *testing.T) {
	sum := Sum(sha256.Sum256(nil))
	text, err := sum.MarshalText()
	var again Sum
	if err != nil || again.UnmarshalText(text) != nil || again != sum {
		t.Errorf("%s became %s, %v", sum, again, err)
	}
	for _, bad := range [][]byte{nil, text[1:], bytes.ToUpper(text), append(text, '0'), bytes.Repeat([]byte("g"), 64)} {
		if again.UnmarshalText(bad) == nil {
			t.Errorf("%q is taken for a sum", bad)
		}
	}
}
