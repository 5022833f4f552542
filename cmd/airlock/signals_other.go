//go:build !linux

package main

import "os"

func powerFails() []os.Signal { return nil }
