.DEFAULT_GOAL := help
SHELL := /bin/bash

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
SUDO    := $(if $(filter 0,$(shell id -u)),,sudo)
# Rooms that open kopia's repository hundreds of times: each time it derives a key, which
# the race detector makes twenty times slower. make race takes them along.
DERIVING := airlock/orchestrator airlock/repository
FUZZTIME ?= 30s

# SQLite and the race detector need a C compiler.
export CGO_ENABLED := 1

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/airlock
	go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/airlock ./cmd/airlock
	CGO_ENABLED=0 go build -trimpath -ldflags '-X main.version=$(VERSION)' -o bin/airlock-audit ./cmd/airlock-audit

demo: build ## a whole hospital night in one process: no root, nothing else installed
	bin/airlock demo

test: ## every test; as root on Debian it first installs the real servers that the tests use
	lab/install.sh
	go test -p 3 -timeout 30m $(DERIVING)
	go test -race -p 3 -timeout 30m $$(go list ./... | grep -vxF $(DERIVING:%=-e %))

race: ## every test with the race detector: half an hour
	go test -race -p 3 -timeout 60m ./...

check: ## the quick look before a commit: format, vet, staticcheck, short tests
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "run gofmt -w on:" $$unformatted; exit 1; }
	go vet ./...
	go tool -modfile=tools/go.mod staticcheck ./...
	go test -short -timeout 5m ./...

lab: build ## the real hospital on this machine (Linux, root): up, and how to look around
	go build -trimpath -o bin/lab ./lab/cmd/lab
	$(SUDO) bin/lab up

lab-down: ## take the real hospital down, whatever state it is in
	go build -trimpath -o bin/lab ./lab/cmd/lab
	$(SUDO) bin/lab down

# How many faults, drawn by which seed (0 draws one), in how many hospitals at once.
N      ?= 30
SEED   ?= 0
BESIDE ?= 2
ONLY   ?=
SIZE   ?= 1

chaos: build ## attack it in the lab with N=30 faults drawn by SEED=…, and hold it to its rules (Linux, root)
	go build -trimpath -o bin/chaos ./lab/cmd/chaos
	cd tools && go build -o ../bin/kopia github.com/kopia/kopia
	$(SUDO) bin/chaos -n $(N) -seed $(SEED) -beside $(BESIDE) -airlock bin/airlock -kopia bin/kopia

hostile: ## gather in the lab beside sources that lie, hang or have no end, under 1 GB of memory, and compare (Linux, root)
	$(SUDO) env "PATH=$$PATH" AIRLOCK_EXHAUSTIVE=1 go test -count=1 -timeout 60m -run TestHostileSources -v ./lab/hostile | grep -E '^(---|ok|FAIL|panic)|beside|\|'

openings: ## kill twenty executors in windows, and compare what everything tells of it with the port itself (Linux, root)
	$(SUDO) env "PATH=$$PATH" AIRLOCK_EXHAUSTIVE=1 go test -count=1 -timeout 30m -v ./lab/openings | grep -E '^(---|ok|FAIL|panic)|seed|\|'

figures: build ## measure in the lab how soon a door opens, shuts, and is shut by the guard (Linux, root)
	go build -trimpath -o bin/chaos ./lab/cmd/chaos
	$(SUDO) bin/chaos -figures 50 -beside $(BESIDE) -airlock bin/airlock

bench-exposure: N = 5
bench-exposure: build ## measure in the lab for how long the door stands open, N=5 times, rows with one of ONLY=words, nights of SIZE=1 (Linux, root)
	$(SUDO) lab/install.sh bench
	go build -trimpath -o bin/exposure ./lab/cmd/exposure
	cd tools && go build -o ../bin/kopia github.com/kopia/kopia
	$(SUDO) bin/exposure -n $(N) -size $(SIZE) -only "$(ONLY)" -airlock bin/airlock -kopia bin/kopia

bench: ## benchmarks
	go test -run '^$$' -bench . -benchmem ./...

BENCHDIR ?= $(CURDIR)/bin/bench-ledger

bench-ledger: ## the ledger at ten million entries, made once in BENCHDIR (4 GB): appends, list, verify, export
	mkdir -p $(BENCHDIR)
	AIRLOCK_BENCH_DIR=$(BENCHDIR) AIRLOCK_BENCH_ENTRIES=10000000 GOGC=400 go test -run '^$$' -bench 'Append|Long' -benchtime 2s -timeout 60m ./ledger

exhaustive: ## tamper with every bit of a ledger, fail every system call that it makes, cut a vault's host and a window everywhere (strace)
	AIRLOCK_EXHAUSTIVE=1 go test -count=1 -timeout 60m -run 'TestEveryBit|TestChangedRows|TestForgeries|TestReplay|TestTamperedArchive|TestEachSystemCall|TestHeaderBits|TestSpans|TestBombs' -v ./ledger ./ledger/proof | grep -E '^(---|ok|FAIL|panic)|faults|changes'
	AIRLOCK_EXHAUSTIVE=1 go test -count=1 -timeout 90m -run 'TestPowerGoes|IsKilled|TestWindowIsCut|TestMemory' -v ./vault/server | grep -E '^(---|ok|FAIL|panic)|cuts|MB while'
	AIRLOCK_EXHAUSTIVE=1 go test -count=1 -timeout 120m -v ./lab/cuts | grep -E '^(---|ok|FAIL|panic)|cuts'

fuzz: ## every fuzz target for FUZZTIME (30s)
	@set -e; for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n1 dirname | sort -u); do \
	  for target in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$dir/*_test.go | cut -c6-); do \
	    go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$dir; done; done

schema: ## write the JSON Schema of the policy file anew
	go generate ./policies

.PHONY: help build demo test race check lab lab-down chaos hostile openings figures bench-exposure bench exhaustive fuzz schema
