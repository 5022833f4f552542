package switchctl

import (
	"slices"
	"strings"
)

// Alike reports whether a row by one way to a switch may be the row r by another, which may
// spell its name in another manner: by the index where both have one, else by the numbers in
// the name. No name speaks against nothing.
func (r Row) Alike(o Row) bool {
	switch {
	case r.Index != 0 && o.Index != 0:
		return r.Index == o.Index
	case r.Name == "" || o.Name == "" || r.Name == o.Name || r.Name == o.Description || o.Name == r.Description:
		return true
	}
	x, y := numbers(r.Name), numbers(o.Name)
	if len(x) > len(y) {
		x, y = y, x
	}
	return len(x) > 0 && slices.Equal(x, y[len(y)-len(x):])
}

// numbers are those in a port's name: 1, 0 and 3 of port1.0.3 and of 1/0/3.
func numbers(name string) []string {
	return strings.FieldsFunc(name, func(r rune) bool { return r < '0' || r > '9' })
}
