package main

import "testing"

// The heap is kept below half of what there is.
func TestHeapLimit(t *testing.T) {
	for _, c := range []struct {
		free  int64
		known bool
		want  int64
	}{
		{0, false, 400 << 20},
		{16 << 30, true, 400 << 20},
		{512 << 20, true, 256 << 20},
		{64 << 20, true, 100 << 20},
	} {
		if got := heapLimit(func() (int64, bool) { return c.free, c.known }); got != c.want {
			t.Errorf("%d bytes free, %v: %d, want %d", c.free, c.known, got, c.want)
		}
	}
}
