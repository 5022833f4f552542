//go:build !linux

package local

import "errors"

func (s *Store) renameNoReplace(temp, name string) error { return errors.ErrUnsupported }
