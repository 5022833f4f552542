// Package server keeps a vault on its own host: an SFTP server that can only add, an
// index of what arrived, receipts for what is whole, retention by the host's own clock
// and rules, and the reading back of all of it. None of this needs the passphrase.
//
// # What a client can do
//
// It can read, make folders, and put a new file under a free name. A file lies in
// incoming/ until it is whole: its bytes are hashed while they arrive, fsynced, and only
// then linked to their name, whose folder is fsynced too. A client may put under the
// final name, as sftp and rclone do: then the server keeps the unfinished file apart, and
// all that is done when the client's close is answered. Or it may write into incoming/
// itself and rename from there, as airlock does: the rename is a promise, which is kept
// in the order of the promises and for many files at once; whatever looks at the name
// waits for it, and a receipt is given only once all of them are kept. Each byte is
// written once. Everything else is refused, and logged: opening an
// existing name for writing, renaming over or away, removing, truncating, changing
// attributes, links, names outside (S9). In incoming/ alone a client may remove what it
// has put there itself.
//
// One exception heals: a name whose bytes the host has found damaged counts as free, and
// takes the very bytes that it had, by their SHA-256, and no others.
//
// # What stands where
//
// The folder is laid out as package vault says. receipts/ is the host's alone. Beside
// the folder, in the state folder: index.db, which says of every finished file its size,
// hash, arrival and last reading, and is made anew from the folder if it is lost;
// ledger.db; clock.json; keys/. Arrival is when the host itself saw a file, never what a
// client claims.
//
// # Who may change what at once
//
// serve holds serve.lock. Whoever removes files, takes stock of the folder or vouches for
// a generation holds change.lock meanwhile, so that no blob is removed between being
// looked for and being vouched for. The process that faces the network never removes a
// finished file: [Host.Prune] is another command's.
package server
