package policies

import (
	"time"

	"github.com/robfig/cron/v3"
)

// URL is where a repository, a vault or a source lies.
type URL struct {
	Scheme string // file, sftp, smb
	User   string
	Host   string // without port
	Port   int    // the scheme's own where none was given; 0 for file
	Share  string // smb only
	Path   string // file, sftp: absolute; smb: within the share, slash-separated
}

// Secret names where a secret is kept: an environment variable or a file. It never
// holds the secret itself, so that it can be printed. The zero Secret is none.
type Secret struct {
	Env  string `yaml:"env"`
	File string `yaml:"file"`
}

// Schedule is a cron expression in the site's zone. The zero Schedule never runs.
type Schedule struct {
	Text string // as written
	cron cron.Schedule
	zone *time.Location
}

// Zone is an IANA time zone.
type Zone struct{ *time.Location }

// ClockRange is a span of the day by the wall clock, "22:00-05:30" running over midnight.
type ClockRange struct {
	From, To time.Duration // since midnight
}
