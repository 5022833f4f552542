package policies

import (
	_ "embed"
	"strings"
)

//go:embed template.yaml
var template string

// Template is the commented policy file that a new site begins with. It parses as it
// stands. Lines that begin with # and a letter or two spaces are examples: with the #
// taken away they parse too. site must be a usable name (letters, digits, - and _).
func Template(site string) []byte {
	return []byte(strings.Replace(template, "SITE-NAME", site, 1))
}
