package main

import (
	"os"
	"strconv"
	"strings"
)

// ownProgram is the program that runs, even if its file was replaced since.
func ownProgram() string { return "/proc/self/exe" }

// When memory is short, the kernel ends an executor before its watcher, and before what
// else the machine is there for. Without the right to ask for that, or a /proc, things
// stay as they are (proc_pid_oom_score_adj(5)).
const (
	killFirst = 300
	killLast  = -800
	scoreFile = "/proc/self/oom_score_adj"
)

// letKill makes this process one that the kernel rather ends, unless it is already.
func letKill() {
	if now, known := score(); known && now < killFirst {
		_ = os.WriteFile(scoreFile, []byte(strconv.Itoa(killFirst)), 0)
	}
}

// spare makes this process one that the kernel ends last, or at least not before others.
func spare() {
	if now, known := score(); !known || now <= killLast {
		return
	}
	if os.WriteFile(scoreFile, []byte(strconv.Itoa(killLast)), 0) != nil {
		_ = os.WriteFile(scoreFile, []byte("0"), 0)
	}
}

func score() (now int, known bool) {
	text, err := os.ReadFile(scoreFile)
	if err != nil {
		return 0, false
	}
	now, err = strconv.Atoi(strings.TrimSpace(string(text)))
	return now, err == nil
}
