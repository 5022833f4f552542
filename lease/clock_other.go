//go:build !linux

package lease

import "time"

// Now is the wall clock, which can be set: good enough for a demonstration, and not
// for a hospital, whose airlock runs on Linux.
func Now() (Instant, error) {
	return Instant{Boot: "wall clock", Since: time.Duration(time.Now().UnixNano())}, nil
}
