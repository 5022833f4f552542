package ledger

import (
	"context"
	"errors"
	"time"

	"airlock/ledger/proof"
)

// Stamp is a head that an authority outside saw at a time.
type Stamp = proof.Stamp

// KeepStamp adds a time-stamp to the ledger.
func (l *Ledger) KeepStamp(ctx context.Context, s Stamp) error {
	_, err := l.writer.ExecContext(ctx, "INSERT INTO stamp (number, at, note, token) SELECT ifnull(max(number), 0) + 1, ?, ?, ? FROM stamp",
		s.At.UnixNano(), s.Head.Note, s.Token)
	if err != nil {
		return explain(l.path, err)
	}
	return nil
}

// Stamps are the time-stamps, oldest first. Nothing of them is checked.
func (r *Reader) Stamps(ctx context.Context) ([]Stamp, error) {
	rows, err := r.db.QueryContext(ctx, "SELECT at, note, token FROM stamp ORDER BY number")
	if err != nil {
		return nil, explain(r.path, err)
	}
	var stamps []Stamp
	for rows.Next() {
		var at int64
		var signed string
		var s Stamp
		err := rows.Scan(&at, &signed, &s.Token)
		if err == nil {
			s.At = time.Unix(0, at).UTC()
			s.Head, err = proof.ReadHead([]byte(signed))
		}
		if err != nil {
			return nil, errors.Join(explain(r.path, err), rows.Close())
		}
		stamps = append(stamps, s)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, explain(r.path, err)
	}
	return stamps, nil
}
