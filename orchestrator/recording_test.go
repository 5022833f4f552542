package orchestrator

import (
	"encoding/json"
	"strings"
	"testing"
)

// Who asks the ledger about a door finds the logins by which it was set.
func TestRecordingNamesDoors(t *testing.T) {
	for doors, want := range map[string]string{"": "", "vault": "vault", "departments vault": ""} {
		e := Recording{File: "x.cast"}.Entry("airlock", "core", strings.Fields(doors)...)
		var d recordingDetail
		if err := json.Unmarshal(e.Detail, &d); err != nil || strings.Join(d.Doors, " ") != doors || e.Door != want {
			t.Errorf("of %q: door %q, %s", doors, e.Door, e.Detail)
		}
	}
}
