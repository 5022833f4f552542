// Package house holds no code. Its tests hold the project's structure: which room
// imports which, that what judges a door stays pure, that every package says
// what it is for, that gofmt, vet and staticcheck have nothing to say, and that every
// safety rule is quoted by a test.
package house
