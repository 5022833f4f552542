//go:build race

package ledger

// sparse has the exhaustive tests try a tenth of the places: with the race detector on
// they would take minutes, and have nothing to race.
const sparse = true
