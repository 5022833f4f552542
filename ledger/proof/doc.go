// Package proof is the form in which a ledger proves itself: the bytes of an entry,
// the tree over them, the signed heads of that tree, the file that an auditor is
// given, and what is found by checking all that. It opens no database and no network
// connection, and builds without cgo, so that a laptop with a public key and one file
// is enough.
//
// What follows is the whole specification. Whoever writes a verifier in another
// language needs nothing else.
//
// # An entry
//
// The canonical form of an entry is one JSON object (RFC 8259) in UTF-8, with these
// keys in this order and no space between them:
//
//	v            the form's version, 1 or 2
//	seq          the entry's number: 1, 2, 3 …
//	time         when it happened, by the wall clock
//	recorded     when it was written
//	late         true, or left out
//	kind         one to 32 small letters
//	actor        not empty
//	reason
//	door, window, system, vault, from, to    left out where empty
//	run          the process that wrote it; left out where empty
//	mono         nanoseconds since that run began; left out where 0
//	clock        one to 32 small letters: synchronised, free, unknown
//	clock_error  nanoseconds; left out where 0
//	detail       a JSON object; left out where there is none
//
// Version 1 ends with to and detail: it has no run, mono, clock or clock_error. In
// version 2 clock is never left out.
//
// A number is written in decimal digits, without a sign and without leading zeros, and
// fits into 63 bits. A time is written as RFC 3339 has it, in UTC with the letter Z,
// with as many digits of the second's fraction as are needed and at most nine. In a
// text, the quotation mark and the backslash have a backslash before them, and nothing
// else is escaped; characters that would need it (controls, line and paragraph
// separators, those that change the direction of writing) do not occur. The detail
// stands there byte for byte as the ledger keeps it, without space outside its strings.
//
// An entry is therefore exactly one sequence of bytes, and no sequence of bytes is two
// entries. [ParseLeaf] refuses everything else. For example,
//
//	{"v":2,"seq":7,"time":"2026-11-20T17:30:00.123456789Z","recorded":"2026-11-20T17:30:00.125Z","kind":"door","actor":"schedule","reason":"眼科 \"nightly\"","door":"vault-door","window":"w1","vault":"secondary","from":"shut","to":"opening","run":"r1","mono":86400000000000,"clock":"synchronised","clock_error":1500000,"detail":{"ifIndex":3}}
//
// has 340 bytes, and as a leaf, that is the SHA-256 of a byte 0 and these bytes, the hash
//
//	ra4m/LWp9W1cKwEaeNhgRWz/vGB0FmXxukZB+g1/ZqU=
//
// # The tree
//
// Entry 1 is leaf 0. Leaves, nodes and roots are those of RFC 6962, section 2.1: a
// leaf is SHA-256(0x00 ‖ canonical form), a node SHA-256(0x01 ‖ left ‖ right). Proofs
// of consistency and of inclusion are those of its sections 2.1.2 and 2.1.1, in the
// order in which golang.org/x/mod/sumdb/tlog has them: from the root down, so reversed.
//
// # A head
//
// A head is a signed note (golang.org/x/mod/sumdb/note, c2sp.org/signed-note) whose
// text is a checkpoint (c2sp.org/tlog-checkpoint) of three lines: "airlock/" and the
// name of the key, which is the site's; how many entries there are; the root in base64.
// The key is Ed25519. For example,
//
//	airlock/kitano
//	1
//	ra4m/LWp9W1cKwEaeNhgRWz/vGB0FmXxukZB+g1/ZqU=
//
//	— kitano …
//
// Whoever keeps a head outside the machine that writes the ledger can tell later
// whether anything before it was changed: the tree of that size must still have that
// root. What was written after the last head that is kept outside is protected by
// nothing but the machine itself.
//
// # An export
//
// An export is one Zstandard stream (RFC 8878, window at most 8 MiB) of lines, each one
// JSON object of at most 1 MiB, in the form in which [Writer] writes it:
//
//	{"export":{"version":1,"site":…,"made":…,"by":…}}    first, and once
//	{"key":"…"}                                          public keys, for whoever has no better source
//	{"v":…}                                              entries in their canonical form, from number 1 on
//	{"head":"…"}                                         a signed note, after the last entry that it is about
//	{"stamp":…}  {"receipt":…}                           anywhere behind the keys; this package passes them on
//	{"end":{"entries":…,"heads":…,"stamps":…,"receipts":…}}    last: how many lines of each there are
//
// A file that is not like that is refused; an entry that is none is a finding, and so is
// that there are entries and no signed head at all.
//
// # A part
//
// An export that does not begin with number 1 has version 2, and its first line has two
// keys more: "after", how many entries came before, and "edge", the hashes in base64 of
// the complete subtrees over those, the largest first, one for each bit that is set in
// "after". Each entry's hash is added to them as to any tree; the root that results fits
// the next signed head only if the edge was that of the entries that were signed. What
// the story had begun before is not judged. The ledger's archives are such files.
//
// # A receipt
//
// The end of a window (kind window, from not empty) may have in its detail receipt_note,
// a signed note as the vault's host made it, and receipt_key, the key of that host that
// the site had pinned. The note's text is the line "airlock receipt" and a JSON object in
// a second one, whose generation and generation_sha256 are those of the detail.
package proof
