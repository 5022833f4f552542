package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"airlock/ledger/proof"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/mod/sumdb/tlog"
)

// applicationID is SQLite's application_id of a ledger: "aLdg".
const applicationID = 0x614c6467

// migration is a step that makes the schema: statements, and what has to be worked out
// for the entries that are there; fill may be nil.
type migration struct {
	schema string
	fill   func(context.Context, *sql.Tx) error
}

// migrations are the steps that make the schema; after the first n, the file's
// user_version is n. A step that was ever released is not changed any more.
func migrations() []migration {
	return []migration{
		{schema: entriesSchema},
		{schema: treeSchema + appendOnly("tree", "seq") + appendOnly("span", "number") + appendOnly("head", "number"), fill: hangAll},
		{schema: stampSchema + appendOnly("stamp", "number")},
		{schema: listSchema},
	}
}

// The entries. Times are nanoseconds since 1970 in UTC; an empty text is NULL, so that
// the indexes hold only entries that have one.
const entriesSchema = `CREATE TABLE entry (
	seq      INTEGER PRIMARY KEY,
	time     INTEGER NOT NULL,
	recorded INTEGER NOT NULL,
	late     INTEGER NOT NULL CHECK (late IN (0, 1)),
	kind     TEXT NOT NULL,
	actor    TEXT NOT NULL,
	reason   TEXT NOT NULL,
	door     TEXT,
	"window" TEXT,
	system   TEXT,
	vault    TEXT,
	"from"   TEXT,
	"to"     TEXT,
	detail   TEXT
) STRICT;

CREATE INDEX entry_by_time ON entry (time);
CREATE INDEX entry_by_kind ON entry (kind);
CREATE INDEX entry_by_window ON entry ("window") WHERE "window" IS NOT NULL;
CREATE INDEX entry_by_door ON entry (door, kind) WHERE door IS NOT NULL;
CREATE INDEX entry_by_door_to ON entry (door, kind, "to") WHERE door IS NOT NULL;
CREATE INDEX entry_by_system ON entry (system, kind) WHERE system IS NOT NULL;
CREATE INDEX entry_by_system_to ON entry (system, kind, "to") WHERE system IS NOT NULL;
CREATE INDEX entry_by_vault ON entry (vault, kind) WHERE vault IS NOT NULL;
CREATE INDEX entry_by_vault_to ON entry (vault, kind, "to") WHERE vault IS NOT NULL;

CREATE TRIGGER entry_is_next BEFORE INSERT ON entry
WHEN NEW.seq IS NOT (SELECT ifnull(max(seq), 0) + 1 FROM entry)
BEGIN SELECT RAISE(ABORT, 'the ledger takes an entry only under the next number'); END;

CREATE TRIGGER entry_stays BEFORE UPDATE ON entry
BEGIN SELECT RAISE(ABORT, 'the ledger changes no entry'); END;

CREATE TRIGGER entry_is_kept BEFORE DELETE ON entry
BEGIN SELECT RAISE(ABORT, 'the ledger removes no entry'); END;`

// The tree over the entries, and its heads. A row of tree holds the hashes that its entry
// completes, as tlog.StoredHashes lists them; an entry from before has version 1. A row
// of span says of each 1,024 entries, once they are full, which times they hold: by it a
// time is found among ten million entries, and it takes the place of an index of times.
const treeSchema = `ALTER TABLE entry ADD COLUMN v INTEGER NOT NULL DEFAULT 1;
ALTER TABLE entry ADD COLUMN run TEXT;
ALTER TABLE entry ADD COLUMN mono INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entry ADD COLUMN clock TEXT;
ALTER TABLE entry ADD COLUMN clock_error INTEGER NOT NULL DEFAULT 0;

DROP INDEX entry_by_time;

CREATE TABLE tree (
	seq    INTEGER PRIMARY KEY,
	hashes BLOB NOT NULL
) STRICT;

CREATE TABLE span (
	number   INTEGER PRIMARY KEY,
	earliest INTEGER NOT NULL,
	latest   INTEGER NOT NULL
) STRICT;

CREATE TABLE head (
	number INTEGER PRIMARY KEY,
	size   INTEGER NOT NULL,
	note   TEXT NOT NULL
) STRICT;

`

// Time-stamps of heads by an authority outside.
const stampSchema = `CREATE TABLE stamp (
	number INTEGER PRIMARY KEY,
	at     INTEGER NOT NULL,
	note   TEXT NOT NULL,
	token  BLOB NOT NULL
) STRICT;

`

// What lists entries by one thing alone, whatever their kind, in their order.
const listSchema = `CREATE INDEX entry_of_door ON entry (door) WHERE door IS NOT NULL;
CREATE INDEX entry_of_system ON entry (system) WHERE system IS NOT NULL;
CREATE INDEX entry_of_vault ON entry (vault) WHERE vault IS NOT NULL;
CREATE INDEX entry_of_actor ON entry (actor);`

// appendOnly are the triggers that let rows only be added, under the next number.
func appendOnly(table, number string) string {
	return strings.NewReplacer("TABLE", table, "NUMBER", number).Replace(`CREATE TRIGGER TABLE_is_next BEFORE INSERT ON TABLE
WHEN NEW.NUMBER IS NOT (SELECT ifnull(max(NUMBER), 0) + 1 FROM TABLE)
BEGIN SELECT RAISE(ABORT, 'the ledger takes a TABLE only under the next number'); END;

CREATE TRIGGER TABLE_stays BEFORE UPDATE ON TABLE
BEGIN SELECT RAISE(ABORT, 'the ledger changes no TABLE'); END;

CREATE TRIGGER TABLE_is_kept BEFORE DELETE ON TABLE
BEGIN SELECT RAISE(ABORT, 'the ledger removes no TABLE'); END;

`)
}

// triggerText is the text that makes the trigger of that name, to the letter.
func triggerText(name string) string {
	for _, step := range migrations() {
		for statement := range strings.SplitSeq(step.schema, "\n\n") {
			if strings.Contains(statement, "TRIGGER "+name+" ") {
				return statement
			}
		}
	}
	return ""
}

// spanSize is how many entries a row of span is about.
const spanSize = 1024

const (
	insertTree = "INSERT INTO tree (seq, hashes) VALUES (?, ?)"
	insertSpan = "INSERT INTO span (number, earliest, latest) SELECT ?, min(time), max(time) FROM entry WHERE seq > ? AND seq <= ?"
)

// hangAll makes the tree over the entries that are there.
func hangAll(ctx context.Context, tx *sql.Tx) error {
	w, err := newRows(tx)
	if err != nil {
		return err
	}
	var edge proof.Edge
	for err == nil {
		var page []Entry
		page, err = pageOf(ctx, tx, selectEntry+" WHERE seq > ? ORDER BY seq LIMIT ?", edge.Size(), spanSize)
		for i := range page {
			if err = w.hang(&page[i], &edge); err != nil {
				break
			}
		}
		if len(page) < spanSize {
			break
		}
	}
	return errors.Join(err, w.close())
}

func pageOf(ctx context.Context, q querier, query string, args ...any) ([]Entry, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return collect(rows)
}

// create makes an empty ledger at path, unless there is a file already. It is made
// whole under another name first: a file at path that is empty, or half a ledger,
// is therefore always damage and never a beginning.
func create(ctx context.Context, path string) (err error) {
	switch info, err := os.Stat(path); {
	case err == nil && info.Size() == 0:
		return damaged(path, errors.New("the file is empty"))
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		return damaged(path, fmt.Errorf("the file is gone, but %s-wal is still there", filepath.Base(path)))
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.new") // mode 0600, which -wal and -shm inherit
	if err != nil {
		return fmt.Errorf("make the ledger %s: %w; make the folder first and let airlock's user write in it", path, err)
	}
	unfinished := f.Name()
	defer func() { err = errors.Join(err, os.Remove(unfinished)) }()
	if err := f.Close(); err != nil {
		return err
	}
	if err := fill(ctx, unfinished); err != nil {
		return fmt.Errorf("make the ledger %s: %w", path, explain(unfinished, err))
	}
	// A link, unlike a rename, never replaces what somebody else made meanwhile.
	if err := os.Link(unfinished, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the ledger %s: %w", path, err)
	}
	return syncDir(dir)
}

// fill makes the schema in an empty file.
func fill(ctx context.Context, path string) error {
	db, err := connect(path, forWriting)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "PRAGMA journal_mode = WAL")
	if err == nil {
		err = migrate(ctx, db, 0)
	}
	return errors.Join(err, db.Close()) // the last Close moves all from -wal into the file
}

// migrate brings the schema from version on to the newest, all in one transaction.
func migrate(ctx context.Context, db *sql.DB, version int) error {
	steps := migrations()
	if version == len(steps) {
		return nil
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	for _, step := range steps[version:] {
		_, err := tx.ExecContext(ctx, step.schema)
		if err == nil && step.fill != nil {
			err = step.fill(ctx, tx)
		}
		if err != nil {
			return errors.Join(err, rollback(tx))
		}
	}
	mark := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, len(steps))
	if _, err := tx.ExecContext(ctx, mark); err != nil {
		return errors.Join(err, rollback(tx))
	}
	return tx.Commit()
}

// inspect refuses a file that is no ledger, one that a newer airlock wrote, and one
// whose schema is not, to the letter, what migrations make: a trigger that somebody
// dropped is damage. It takes milliseconds however long the ledger is; Check is the
// whole examination. It returns the schema's version.
func inspect(ctx context.Context, db *sql.DB, path string) (version int, err error) {
	var id, newest = 0, len(migrations())
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return 0, explain(path, err)
	}
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return 0, explain(path, err)
	}
	switch {
	case id != applicationID:
		return 0, damaged(path, errors.New("it is an SQLite file, but not an airlock ledger"))
	case version > newest:
		return 0, fmt.Errorf("ledger %s has schema version %d and this airlock knows versions up to %d: run the newer airlock that wrote it; nothing was changed", path, version, newest)
	case version < 1:
		return 0, damaged(path, fmt.Errorf("its schema version is %d", version))
	}
	is, err := objects(ctx, db)
	if err != nil {
		return 0, explain(path, err)
	}
	want, err := pristine(ctx, version)
	if err != nil {
		return 0, err
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if is[name] != want[name] {
			return 0, damaged(path, fmt.Errorf("%s is missing from its schema, or was changed", name))
		}
	}
	if len(is) != len(want) {
		return 0, damaged(path, errors.New("its schema holds more than airlock put there"))
	}
	// One look at one instant: a writer beside may add entries meanwhile.
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, explain(path, err)
	}
	return version, errors.Join(ends(ctx, tx, path, version), rollback(tx))
}

// endEntries is how many of the last entries ends looks at.
const endEntries = 64

// ends reads the first and the last entries, and compares those, and the last head,
// with the tree.
func ends(ctx context.Context, tx *sql.Tx, path string, version int) error {
	query := selectEntry
	if version < 2 {
		query = selectEntry1
	}
	first, err := pageOf(ctx, tx, query+" ORDER BY seq LIMIT 1")
	if err != nil {
		return explain(path, err)
	}
	last, err := pageOf(ctx, tx, query+" ORDER BY seq DESC LIMIT ?", endEntries)
	switch {
	case err != nil:
		return explain(path, err)
	case version < 2 && len(first) > 0 && first[0].Seq != 1:
		return damaged(path, fmt.Errorf("its first entry has the number %d", first[0].Seq))
	case version < 2:
		return nil
	}
	if err := begins(ctx, tx, path, first); err != nil {
		return err
	}
	if err = lastHang(ctx, tx, last); err == nil {
		return nil
	}
	var trouble sqlite3.Error
	if ctx.Err() != nil || errors.As(err, &trouble) { // of the disk, or of who asks
		return explain(path, err)
	}
	return damaged(path, err)
}

// begins wants the first entry to be number 1, or the one behind what is archived.
func begins(ctx context.Context, tx *sql.Tx, path string, first []Entry) error {
	if len(first) == 0 || first[0].Seq == 1 {
		return nil
	}
	all, err := archives(ctx, tx)
	var trouble sqlite3.Error
	if errors.As(err, &trouble) || ctx.Err() != nil {
		return explain(path, err)
	}
	if err != nil {
		return damaged(path, err)
	}
	if first[0].Seq != archivedTo(all)+1 {
		return damaged(path, fmt.Errorf("its first entry has the number %d, and entries up to %d are archived", first[0].Seq, archivedTo(all)))
	}
	return nil
}

// lastHang compares entries, and the last head, with the tree.
func lastHang(ctx context.Context, tx *sql.Tx, last []Entry) error {
	var n int64
	if len(last) > 0 {
		n = last[0].Seq
	}
	var rows int64
	if err := tx.QueryRowContext(ctx, "SELECT ifnull(max(seq), 0) FROM tree").Scan(&rows); err != nil {
		return err
	}
	if rows != n {
		return fmt.Errorf("it has %d entries, and hashes of %d", n, rows)
	}
	stored := hashes(ctx, tx)
	for i := range last {
		e := &last[i]
		leaf, err := proof.AppendLeaf(nil, e)
		if err != nil {
			return fmt.Errorf("entry %d: %w", e.Seq, err)
		}
		hash, err := stored([]int64{tlog.StoredHashIndex(0, e.Seq-1)})
		if err != nil {
			return err
		}
		if hash[0] != proof.LeafHash(leaf) {
			return fmt.Errorf("entry %d is not the one that was written: its hash is another", e.Seq)
		}
	}
	head, ok, err := lastHead(ctx, tx)
	if err != nil || !ok {
		return err
	}
	edge, err := proof.EdgeOf(min(n, head.Size), stored)
	if err != nil {
		return err
	}
	return head.Against(edge.Size(), edge.Root())
}

// pristine returns the objects of an untouched schema of that version.
func pristine(ctx context.Context, version int) (map[string]string, error) {
	db, err := connect(":memory:", forWriting)
	if err != nil {
		return nil, err
	}
	for _, step := range migrations()[:version] {
		if _, err := db.ExecContext(ctx, step.schema); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	want, err := objects(ctx, db)
	return want, errors.Join(err, db.Close())
}

// objects lists the tables, indexes and triggers of db by type and name, with the
// text that made them.
func objects(ctx context.Context, db *sql.DB) (map[string]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT type || ' ' || name, ifnull(sql, '') FROM sqlite_schema")
	if err != nil {
		return nil, err
	}
	found := make(map[string]string)
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		found[name] = text
	}
	return found, errors.Join(rows.Err(), rows.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
