package server

import (
	"fmt"
	"path/filepath"

	"airlock/vault"
)

func (h *Host) witnessFile() string { return filepath.Join(h.conf.State, "clock.json") }

const clockRight = "if the clock is right, say so: airlock vault prune --clock-is-right"

func (h *Host) readWitness() (vault.Witness, error) {
	w, err := vault.ReadWitness(h.witnessFile())
	if err != nil {
		return w, fmt.Errorf("%w; %s", err, clockRight)
	}
	return w, nil
}

// watchClock compares the clock with what it showed last, and keeps what it shows now.
// Trouble stays until a person says that the clock is right.
func (h *Host) watchClock(right bool) (trouble string, err error) {
	w, fresh, err := vault.WatchClock(h.witnessFile(), h.conf.Now(), right)
	if err != nil {
		return "", fmt.Errorf("%w; %s", err, clockRight)
	}
	if fresh {
		h.alarm("the clock of the vault's host", w.Trouble+"; nothing is dropped until a person has set it right and run: airlock vault prune --clock-is-right")
	}
	return w.Trouble, nil
}
