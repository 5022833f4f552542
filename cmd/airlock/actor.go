package main

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// actor is on whose behalf the program runs, for the ledger: the user whose rights it has,
// and whoever logged in, as the kernel knows them. What sudo says is in the environment,
// where anybody can write it, and marked so.
func actor() string {
	name := userName(os.Getuid())
	switch login := person(); {
	case login >= 0 && login != os.Getuid():
		name += " (login " + userName(login) + ")"
	case login < 0 && os.Getenv("SUDO_USER") != "":
		name += " (sudo says " + os.Getenv("SUDO_USER") + ", unproven)"
	}
	return "user " + name
}

func userName(id int) string {
	if u, err := user.LookupId(strconv.Itoa(id)); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid %d", id)
}

// person is the number of whoever logged in, which the kernel keeps and sudo and su leave as
// it is; -1 where nobody did, or nobody knows. An environment vouches for nobody.
func person() int {
	text, err := os.ReadFile("/proc/self/loginuid")
	if err != nil {
		return -1
	}
	const unset = 1<<32 - 1
	id, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil || id == unset {
		return -1
	}
	return int(id)
}
