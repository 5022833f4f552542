package orchestrator

import (
	"encoding/hex"
	"slices"
	"time"

	"airlock/ledger"
	"airlock/notice"
)

// Recording is the file of one login to a switch in which something was changed. The
// ledger has its hash.
type Recording struct {
	File   string // in the folder of recordings; "" if none could be made
	Size   int64
	SHA256 [32]byte
	Began  time.Time
	Broken error // why it does not hold the whole login; nil if it does
}

type recordingDetail struct {
	Switch string    `json:"switch"`
	Doors  []string  `json:"doors,omitempty"` // that this login can have opened and shut
	File   string    `json:"file,omitempty"`
	Size   int64     `json:"size"`
	SHA256 string    `json:"sha256,omitempty"`
	Began  time.Time `json:"began,omitzero"`
	Broken string    `json:"broken,omitempty"`
}

// Entry is what a ledger holds of the recording of a login to the switch of that name,
// which has these doors.
func (r Recording) Entry(actor, name string, doors ...string) ledger.Entry {
	d := recordingDetail{Switch: name, Doors: doors, File: r.File, Size: r.Size, Began: r.Began}
	if r.File != "" {
		d.SHA256 = hex.EncodeToString(r.SHA256[:])
	}
	if r.Broken != nil {
		d.Broken = r.Broken.Error()
	}
	e := ledger.Entry{
		Time: time.Now(), Kind: ledger.KindSession, Actor: actor, Reason: "a login to switch " + name + " was recorded", Detail: detail(d),
	}
	if len(doors) == 1 {
		e.Door = doors[0]
	}
	return e
}

func (s *Site) recorded(name string, r Recording) {
	var doors []string
	for door, p := range s.policy.Doors {
		if p.Switch == name || p.Fallback == name {
			doors = append(doors, door)
		}
	}
	slices.Sort(doors)
	s.journal.Note(r.Entry("airlock", name, doors...))
}

// leftRecordings notes what an executor that was killed had begun to record.
func (s *Site) leftRecordings() {
	if s.parts.Recordings == nil {
		return
	}
	left, err := s.parts.Recordings()
	if err != nil {
		s.alarm(Alarm{At: time.Now(), Notice: notice.RecordingsUnfinished.Of(), Why: err.Error()})
	}
	for _, r := range left {
		s.recorded("of an earlier run", r)
	}
}
