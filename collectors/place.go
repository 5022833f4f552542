package collectors

import "airlock/mount"

// Placed is a Source that can tell where on this machine it lies.
type Placed interface{ Place() (mount.Mount, error) }
