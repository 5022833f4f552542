package orchestrator

import (
	"fmt"

	"airlock/policies"
	"airlock/repository"
)

// misnamed counts files whose true names the server did not show: they would come back
// under names that nobody looks for.
func (g *Gathered) misnamed(s policies.Source, names []string) {
	if s.URL.Scheme != "smb" {
		return
	}
	for _, name := range names {
		if len(g.Failed) < namedInLedger {
			g.Failed = append(g.Failed, FileError{name, "gathered, but under a name that Samba made up, since Windows could not have the true one: set mangled names = no in the server's smb.conf, or have it renamed"})
		}
	}
	g.NotRead += int64(len(names))
}

// tellStrangers tells once of files among the repository's that are not its own.
func (s *Site) tellStrangers(repo *repository.Repository, tell Watch) {
	for _, file := range repo.Strangers() {
		s.options.Log.Warn("a file among the repository's is not its own and was passed over", "file", file)
		tell(Progress{Stage: "reading", Text: fmt.Sprintf("warning: %s is not the repository's own, and was passed over; remove it, and keep Macs, NAS indexers and synchronizing programs away from that folder", file)})
	}
}
