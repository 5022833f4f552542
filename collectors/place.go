package collectors

import "fmt"

// Place is where a folder of this machine lies: which mount holds it. The zero Place is
// one that cannot be told.
type Place struct {
	Mount  string `json:"mount"`            // the folder that the mount covers; "/" for the machine's own disk
	Type   string `json:"type,omitempty"`   // of its file system
	Root   string `json:"root,omitempty"`   // what of the file system is mounted
	Device string `json:"device,omitempty"` // a disk's UUID or a server's export, as far as it is told
}

// Placed is a Source that can tell where it lies.
type Placed interface{ Place() (Place, error) }

// Same says why p is not the place that was remembered; nil if nothing speaks against it.
func (p Place) Same(as Place) error {
	switch {
	case p == Place{} || as == Place{}:
		return nil
	case p.Mount != as.Mount && len(p.Mount) < len(as.Mount):
		return fmt.Errorf("it lay on what is mounted at %s, and lies on %s now: is it mounted?", as.Mount, p.Mount)
	case p.Mount != as.Mount:
		return fmt.Errorf("it lay on %s, and lies on what is mounted at %s now", as.Mount, p.Mount)
	case p.Type != as.Type, p.Root != as.Root, p.Device != "" && as.Device != "" && p.Device != as.Device:
		return fmt.Errorf("another disk or share is mounted at %s than before: it was %s, and is %s", p.Mount, as, p)
	}
	return nil
}

// String is the place as a person knows it.
func (p Place) String() string {
	if p.Device == "" {
		return p.Type + " " + p.Root
	}
	return p.Type + " " + p.Device
}
