package vault

import (
	"io/fs"
	"strings"
	"time"
)

const (
	tempPrefix  = "airlock-"
	tempSuffix  = ".part"
	leftoverAge = 24 * time.Hour
)

// TempName is the base name of a temporary file in [Incoming]. run is one Store's own
// and serial one file's, both of letters and digits.
func TempName(run, serial string) string { return tempPrefix + run + "-" + serial + tempSuffix }

// Leftover says whether a file in [Incoming] may be removed as what an earlier window
// left when it was cut: it has one of our names, of another run, and has not been
// written to for a day before now, which is best read from the vault's own clock.
// Nothing else in a vault may ever be removed by a Store (S9).
func Leftover(f fs.FileInfo, run string, now time.Time) bool {
	rest, ours := strings.CutPrefix(f.Name(), tempPrefix)
	return ours && strings.HasSuffix(rest, tempSuffix) && !strings.HasPrefix(rest, run+"-") &&
		f.Mode().IsRegular() && now.Sub(f.ModTime()) > leftoverAge
}
