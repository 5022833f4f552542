//go:build linux

package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Disk is a disk that can be filled.
type Disk string

// The disks. Each is there if Options give it a size.
const (
	VaultDisk      Disk = "vault"
	StateDisk      Disk = "state"
	RepositoryDisk Disk = "repository"
)

type disk struct {
	name   Disk
	folder string
	size   int64 // bytes; 0: no disk of its own
}

func (h *Hospital) disks() []disk {
	return []disk{{VaultDisk, h.path("vault"), h.VaultDisk}, {StateDisk, h.path("state"), h.StateDisk},
		{RepositoryDisk, h.path("primary"), h.RepositoryDisk}}
}

// filler is the file that takes up a disk's room.
const filler = "somebody-elses-large-file"

// Fill leaves no room on a disk.
func (h *Hospital) Fill(name Disk) (err error) {
	file, err := h.fillerOn(name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("lab: fill %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for page := make([]byte, 4096); ; {
		if _, err := f.Write(page); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return fmt.Errorf("lab: fill %s: %w", name, err)
		}
	}
}

// Free gives back the room that Fill took.
func (h *Hospital) Free(name Disk) error {
	file, err := h.fillerOn(name)
	if err != nil {
		return err
	}
	return os.Remove(file)
}

func (h *Hospital) fillerOn(name Disk) (string, error) {
	for _, d := range h.disks() {
		if d.name == name && d.size > 0 {
			return filepath.Join(d.folder, filler), nil
		}
	}
	return "", fmt.Errorf("lab: %s has no disk of its own; give it a size in Options", name)
}
