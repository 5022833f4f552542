//go:build !race

package ledger

const sparse = false
