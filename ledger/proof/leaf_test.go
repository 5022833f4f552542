package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// example is the worked example of the package comment.
func example() Entry {
	return Entry{
		Version: 2, Seq: 7,
		Time:     time.Date(2026, 11, 20, 17, 30, 0, 123456789, time.UTC),
		Recorded: time.Date(2026, 11, 20, 17, 30, 0, 125000000, time.UTC),
		Kind:     KindDoor, Actor: "schedule", Reason: `眼科 "nightly"`,
		Door: "vault-door", Window: "w1", Vault: "secondary", From: "shut", To: "opening",
		Run: "r1", Mono: 24 * time.Hour, Clock: ClockSynced, ClockError: 1500 * time.Microsecond,
		Detail: json.RawMessage(`{"ifIndex":3}`),
	}
}

func leafOf(t interface {
	Helper()
	Fatal(...any)
}, e Entry) []byte {
	t.Helper()
	leaf, err := AppendLeaf(nil, &e)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// The specification says what the program does.
func TestWorkedExample(t *testing.T) {
	e := example()
	leaf := leafOf(t, e)
	sum := sha256.Sum256(append([]byte{0}, leaf...))
	hash := base64.StdEncoding.EncodeToString(sum[:])
	if got := LeafHash(leaf).String(); got != hash {
		t.Errorf("LeafHash gives %s, and SHA-256 of 0 and the leaf is %s", got, hash)
	}
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{string(leaf), hash, fmt.Sprintf("has %d bytes", len(leaf))} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the package comment does not have %s", want)
		}
	}
	var tree Edge
	tree.Add(LeafHash(leaf))
	if h := (Head{Origin: Origin("kitano"), Size: 1, Root: tree.Root()}); !strings.Contains(string(text), strings.ReplaceAll(strings.TrimSuffix(h.text(), "\n"), "\n", "\n//\t")+"\n//\n//\t— kitano") {
		t.Errorf("the package comment does not have the head\n%s", h.text())
	}
}

// encoding/json, told to leave HTML alone, agrees.
func TestLeafIsItsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEntry(t)
		var line bytes.Buffer
		enc := json.NewEncoder(&line)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(e); err != nil {
			t.Fatal(err)
		}
		if leaf := leafOf(t, e); line.String() != string(leaf)+"\n" {
			t.Errorf("as JSON %sleaf    %s", line.String(), leaf)
		}
	})
}

func TestParsedIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEntry(t)
		got, err := ParseLeaf(leafOf(t, e))
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Fatalf("parsed %+v, %v\nwant   %+v", got, err, e)
		}
	})
}

// No two entries have one form: whatever field is changed, so is the leaf.
func TestEveryFieldIsCovered(t *testing.T) {
	e := example()
	whole := string(leafOf(t, e))
	fields := reflect.TypeOf(e).NumField()
	for i := range fields {
		changed := e
		switch f := reflect.ValueOf(&changed).Elem().Field(i); v := f.Interface().(type) {
		case int:
			changed.Version = 1
			changed.Run, changed.Mono, changed.Clock, changed.ClockError = "", 0, "", 0
		case int64:
			f.SetInt(v + 1)
		case time.Duration:
			f.SetInt(int64(v) + 1)
		case bool:
			f.SetBool(!v)
		case time.Time:
			f.Set(reflect.ValueOf(v.Add(1)))
		case json.RawMessage:
			f.SetBytes([]byte(`{"ifIndex":4}`))
		case Kind:
			f.SetString(string(KindAlarm))
		case ClockState:
			f.SetString(string(ClockFree))
		case string:
			if v = "open"; f.String() == v {
				v = "shut"
			}
			f.SetString(v)
		default:
			t.Fatalf("field %d is of a type that this test does not know", i)
		}
		if got := string(leafOf(t, changed)); got == whole {
			t.Errorf("the leaf does not hold the field %s", reflect.TypeOf(e).Field(i).Name)
		}
	}
}

func TestNoOtherFormIsTaken(t *testing.T) {
	whole := string(leafOf(t, example()))
	if _, err := ParseLeaf([]byte(whole)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"space":             {`,"seq"`, `, "seq"`},
		"leading zero":      {`"seq":7`, `"seq":07`},
		"plus":              {`"seq":7`, `"seq":+7`},
		"exponent":          {`"seq":7`, `"seq":7e0`},
		"fraction":          {`"seq":7`, `"seq":7.0`},
		"huge number":       {`"seq":7`, `"seq":99999999999999999999`},
		"huge exponent":     {`"seq":7`, `"seq":1e999999999`},
		"negative":          {`"seq":7`, `"seq":-7`},
		"other order":       {`"kind":"door","actor":"schedule"`, `"actor":"schedule","kind":"door"`},
		"twice":             {`"kind":"door"`, `"kind":"door","kind":"door"`},
		"other case":        {`"kind"`, `"Kind"`},
		"unknown key":       {`"kind":"door"`, `"kind":"door","more":1`},
		"zero time of day":  {`2026-11-20T17:30:00.125Z`, `2026-11-20T17:30:00.1250Z`},
		"another zone":      {`2026-11-20T17:30:00.125Z`, `2026-11-21T02:30:00.125+09:00`},
		"numeric zone":      {`00.125Z`, `00.125+00:00`},
		"comma":             {`00.125Z`, `00,125Z`},
		"time not quoted":   {`"2026-11-20T17:30:00.125Z"`, `1`},
		"escaped letter":    {`"schedule"`, `"\u0073chedule"`},
		"escaped slash":     {`"schedule"`, `"\/"`},
		"control character": {`"schedule"`, "\"sche\x00dule\""},
		"line":              {`"schedule"`, "\"sche\ndule\""},
		"not UTF-8":         {`"schedule"`, "\"sche\xffdule\""},
		"no actor":          {`"schedule"`, `""`},
		"empty window":      {`"window":"w1"`, `"window":""`},
		"null":              {`"window":"w1"`, `"window":null`},
		"not late":          {`"kind"`, `"late":false,"kind"`},
		"zero left in":      {`"mono":86400000000000`, `"mono":0`},
		"no clock":          {`"clock":"synchronised",`, ``},
		"version 1":         {`"v":2`, `"v":1`},
		"version 3":         {`"v":2`, `"v":3`},
		"version 0":         {`"v":2`, `"v":0`},
		"huge version":      {`"v":2`, `"v":4294967298`},
		"detail with space": {`{"ifIndex":3}`, `{"ifIndex": 3}`},
		"detail no object":  {`{"ifIndex":3}`, `[3]`},
		"detail empty":      {`{"ifIndex":3}`, ``},
		"detail cut":        {`{"ifIndex":3}`, `{"ifIndex":3`},
		"detail and more":   {`{"ifIndex":3}`, `{"ifIndex":3},"x":{}`},
		"door nowhere":      {`"to":"opening"`, `"to":"ajar"`},
		"behind it":         {`{"ifIndex":3}}`, `{"ifIndex":3}} `},
		"nothing":           {whole, ``},
		"cut":               {`,"kind":`, ``},
	} {
		data := strings.Replace(whole, change[0], change[1], 1)
		if data == whole {
			t.Fatalf("%s: nothing was changed", name)
		}
		if e, err := ParseLeaf([]byte(data)); err == nil {
			t.Errorf("%s: taken as %+v", name, e)
		}
	}
}

func FuzzParseLeaf(f *testing.F) {
	f.Add(leafOf(f, example()))
	f.Add([]byte(`{"v":1,"seq":1,"time":"2026-01-01T00:00:00Z","recorded":"2026-01-01T00:00:00Z","late":true,"kind":"alarm","actor":"a","reason":"\\\"","detail":{"a":" \" "}}`))
	f.Add([]byte(`{"v":2,"seq":9223372036854775807,"time":"0000-00-00T24:60:60Z"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseLeaf(data)
		if err != nil {
			return
		}
		if again := leafOf(t, e); !bytes.Equal(again, data) {
			t.Errorf("parsed  %s\nwritten %s", data, again)
		}
		if !json.Valid(data) {
			t.Errorf("no JSON: %s", data)
		}
	})
}

func drawEntry(t *rapid.T) Entry {
	text := rapid.StringOfN(rapid.OneOf(
		rapid.RuneFrom([]rune{'"', '\\', '<', '&', ' ', 'é', '眼', 'u', '/', '\uFFFD', '\U0001F512'}), rapid.RuneFrom([]rune("abc")),
	), 0, 12, 200)
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(0, rapid.Int64Range(-1<<62, 1<<62).Draw(t, "ns")).UTC()
	})
	e := Entry{
		Version: 1, Seq: rapid.Int64Range(1, 1<<62).Draw(t, "seq"), Time: instant.Draw(t, "time"), Recorded: instant.Draw(t, "recorded"),
		Late: rapid.Bool().Draw(t, "late"), Kind: rapid.SampledFrom([]Kind{KindDoor, KindGather, KindAlarm}).Draw(t, "kind"),
		Actor: "a" + text.Draw(t, "actor"), Reason: text.Draw(t, "reason"), Door: text.Draw(t, "door"), Window: text.Draw(t, "window"),
		System: text.Draw(t, "system"), Vault: text.Draw(t, "vault"), From: text.Draw(t, "from"), To: text.Draw(t, "to"),
	}
	if e.Kind == KindDoor {
		e.Door, e.From, e.To = "d", "shut", "opening"
	}
	if rapid.Bool().Draw(t, "version 2") {
		e.Version, e.Run, e.Clock = 2, text.Draw(t, "run"), ClockSynced
		e.Mono = time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "mono"))
		e.ClockError = time.Duration(rapid.Int64Range(0, 1<<62).Draw(t, "clock error"))
	}
	if detail := rapid.SampledFrom([]string{"", `{}`, `{"a<&>":"\u2028\u003c 名","b":[1.0e+3,-0," "]}`, `{"a":1,"a":{"\"":"\\"}}`}).Draw(t, "detail"); detail != "" {
		e.Detail = json.RawMessage(detail)
	}
	return e
}
