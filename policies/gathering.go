package policies

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"airlock/policies/yamldoc"
)

// Expect is what a gathering has to bring. One that brings less is held: its snapshot is
// kept, and counts for nothing until a person accepts it.
type Expect struct {
	MinFiles int  `yaml:"min_files" jsonschema:"minimum=0,maximum=1000000000" example:"100"` // files at the least
	MinBytes Size `yaml:"min_bytes" example:"500MB"`                                         // bytes at the least
	// The part of files or of bytes that may be gone since the last good gathering;
	// 100% lets even an empty source pass. Fewer than 5 files, or 64 KiB, never count.
	Shrink Percent `yaml:"shrink" jsonschema:"default=50%" example:"50%"`
}

// SystemRetention bounds what keep may drop of a system from the repository.
type SystemRetention struct {
	MinAge Duration `yaml:"min_age" example:"14d"` // nothing younger is dropped; default none
	// No more snapshots than these are dropped at once: if more would be, none is, and a
	// person must look.
	Brake int `yaml:"brake" jsonschema:"minimum=1,maximum=100000,default=3" example:"3"`
}

// Percent is a part of a hundred: "50%".
type Percent int

var percentForm = regexp.MustCompile(`^(100|[1-9]?[0-9])%$`)

// UnmarshalText reads a whole number from 0 to 100 and a percent sign.
func (p *Percent) UnmarshalText(text []byte) error {
	s := string(text)
	if !percentForm.MatchString(s) {
		return yamldoc.Refusal(fmt.Sprintf("%q is not a part of a hundred", s), "write a whole number from 0 to 100 with a percent sign, such as 50%")
	}
	n, err := strconv.Atoi(strings.TrimSuffix(s, "%"))
	*p = Percent(n)
	return err
}

// String writes the part as the policy file does.
func (p Percent) String() string { return strconv.Itoa(int(p)) + "%" }

// MarshalText is String.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
