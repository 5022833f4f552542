package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"airlock/ledger/proof"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrNoKey says that the ledger was opened without a key, so that no head can be signed.
var ErrNoKey = errors.New("the ledger has no key to sign its heads with")

// querier is a *sql.DB or a *sql.Tx.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// hashes reads stored hashes. Row seq of the table tree holds those that entry seq
// completed: its leaf, and each subtree whose last leaf it is.
func hashes(ctx context.Context, q querier) tlog.HashReaderFunc {
	return func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			level, n := tlog.SplitStoredHashIndex(index)
			var row []byte
			seq := (n + 1) << level
			err := q.QueryRowContext(ctx, "SELECT substr(hashes, ?, ?) FROM tree WHERE seq = ?", level*tlog.HashSize+1, tlog.HashSize, seq).Scan(&row)
			if err == nil && len(row) != tlog.HashSize {
				err = errors.New("it is too short")
			}
			if err != nil {
				return nil, fmt.Errorf("hash %d of entry %d: %w", level, seq, err)
			}
			found[i] = tlog.Hash(row)
		}
		return found, nil
	}
}

// size is how many entries there are.
func size(ctx context.Context, q querier) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT ifnull(max(seq), 0) FROM entry").Scan(&n)
	return n, err
}

// joined is hashes in the form of a row of the table tree.
func joined(hashes []tlog.Hash) []byte {
	row := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		row = append(row, h[:]...)
	}
	return row
}

// Checkpoint signs what the ledger holds, once all that was noted is durable, and
// keeps the head with it. If nothing was added since the last one, it is that one.
// ErrNoKey if the ledger was opened without a key.
func (l *Ledger) Checkpoint(ctx context.Context) (proof.Head, error) {
	if l.signer == nil {
		return proof.Head{}, fmt.Errorf("ledger %s: %w", l.path, ErrNoKey)
	}
	if err := l.Flush(ctx); err != nil {
		return proof.Head{}, err
	}
	tx, err := l.writer.BeginTx(ctx, nil)
	if err != nil {
		return proof.Head{}, explain(l.path, err)
	}
	head, err := sign(ctx, tx, l.signer)
	if err != nil {
		return proof.Head{}, errors.Join(explain(l.path, err), rollback(tx))
	}
	if err := tx.Commit(); err != nil {
		return proof.Head{}, explain(l.path, err)
	}
	return head, nil
}

func sign(ctx context.Context, tx *sql.Tx, key note.Signer) (proof.Head, error) {
	n, err := size(ctx, tx)
	if err != nil {
		return proof.Head{}, err
	}
	edge, err := proof.EdgeOf(n, hashes(ctx, tx))
	if err != nil {
		return proof.Head{}, err
	}
	head, err := proof.SignHead(n, edge.Root(), key)
	if err != nil {
		return proof.Head{}, err
	}
	var last string
	err = tx.QueryRowContext(ctx, "SELECT note FROM head ORDER BY number DESC LIMIT 1").Scan(&last)
	if err != nil && !errors.Is(err, sql.ErrNoRows) || last == head.Note {
		return head, ignoreNoRows(err)
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO head (number, size, note) SELECT ifnull(max(number), 0) + 1, ?, ? FROM head", head.Size, head.Note)
	return head, err
}

func ignoreNoRows(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// Heads are the signed heads, oldest first. Their signatures are not looked at.
func (r *Reader) Heads(ctx context.Context) ([]proof.Head, error) {
	rows, err := r.db.QueryContext(ctx, "SELECT note FROM head ORDER BY number")
	if err != nil {
		return nil, explain(r.path, err)
	}
	var heads []proof.Head
	for rows.Next() {
		var signed string
		err := rows.Scan(&signed)
		var h proof.Head
		if err == nil {
			h, err = proof.ReadHead([]byte(signed))
		}
		if err != nil {
			return nil, errors.Join(explain(r.path, err), rows.Close())
		}
		heads = append(heads, h)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, explain(r.path, err)
	}
	return heads, nil
}

// LastHead is the newest signed head, and whether there is one.
func (r *Reader) LastHead(ctx context.Context) (proof.Head, bool, error) {
	h, ok, err := lastHead(ctx, r.db)
	if err != nil {
		return proof.Head{}, false, explain(r.path, err)
	}
	return h, ok, nil
}

func lastHead(ctx context.Context, q querier) (proof.Head, bool, error) {
	var signed string
	err := q.QueryRowContext(ctx, "SELECT note FROM head ORDER BY number DESC LIMIT 1").Scan(&signed)
	if err != nil {
		return proof.Head{}, false, ignoreNoRows(err)
	}
	h, err := proof.ReadHead([]byte(signed))
	return h, err == nil, err
}

// Root is the root of the tree of the first size entries.
func (r *Reader) Root(ctx context.Context, size int64) (proof.Hash, error) {
	edge, err := proof.EdgeOf(size, hashes(ctx, r.db))
	if err != nil {
		return proof.Hash{}, explain(r.path, err)
	}
	return edge.Root(), nil
}

// Proof shows that the first to entries begin with the first from.
func (r *Reader) Proof(ctx context.Context, from, to int64) (proof.Consistency, error) {
	n, err := r.Count(ctx)
	if err != nil {
		return proof.Consistency{}, err
	}
	if to > n {
		return proof.Consistency{}, fmt.Errorf("ledger %s has %d entries, not %d", r.path, n, to)
	}
	c, err := proof.Prove(from, to, hashes(ctx, r.db))
	if err != nil {
		return proof.Consistency{}, fmt.Errorf("ledger %s: %w", r.path, err)
	}
	return c, nil
}

// Inclusion shows that entry seq is among the first size entries.
func (r *Reader) Inclusion(ctx context.Context, seq, size int64) (proof.Inclusion, error) {
	n, err := r.Count(ctx)
	if err != nil {
		return proof.Inclusion{}, err
	}
	if size > n {
		return proof.Inclusion{}, fmt.Errorf("ledger %s has %d entries, not %d", r.path, n, size)
	}
	i, err := proof.ProveEntry(seq, size, hashes(ctx, r.db))
	if err != nil {
		return proof.Inclusion{}, fmt.Errorf("ledger %s: %w", r.path, err)
	}
	return i, nil
}

// Against compares the ledger with a head that was kept elsewhere, whose signature the
// caller has checked. A *proof.Conflict is proof that the ledger is not the one that
// the head was signed for, or was put back to an earlier state.
func (r *Reader) Against(ctx context.Context, outside proof.Head) error {
	n, err := r.Count(ctx)
	if err != nil {
		return err
	}
	root, err := r.Root(ctx, min(n, outside.Size))
	if err != nil {
		return err
	}
	return outside.Against(min(n, outside.Size), root)
}
