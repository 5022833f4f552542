package ledger

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"airlock/ledger/proof"
)

// values is a row as the driver gives it. Reading twenty columns of each of ten million
// rows, database/sql's conversions would take as long as SQLite itself.
type values struct {
	columns []driver.Value
	err     error
}

// each calls f with every row. What f finds wrong with one ends it.
func (r *Reader) each(ctx context.Context, query string, args []driver.NamedValue, f func(*values)) (err error) {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return conn.Raw(func(c any) error {
		queryer, ok := c.(driver.QueryerContext)
		if !ok {
			return fmt.Errorf("a connection of %T cannot be asked", c)
		}
		rows, err := queryer.QueryContext(ctx, query, args)
		if err != nil {
			return err
		}
		v := values{columns: make([]driver.Value, len(rows.Columns()))}
		for v.err == nil {
			if err := rows.Next(v.columns); errors.Is(err, io.EOF) {
				return rows.Close()
			} else if err != nil {
				return errors.Join(err, rows.Close())
			}
			f(&v)
		}
		return errors.Join(v.err, rows.Close())
	})
}

func (v *values) wrong(column int, want string) {
	if v.err == nil {
		v.err = fmt.Errorf("column %d holds no %s", column+1, want)
	}
}

func (v *values) number(column int) int64 {
	n, ok := v.columns[column].(int64)
	if !ok {
		v.wrong(column, "number")
	}
	return n
}

func (v *values) text(column int) string {
	s, ok := v.columns[column].(string)
	if !ok {
		v.wrong(column, "text")
	}
	return s
}

// bytes are a text or a blob; nil for NULL.
func (v *values) bytes(column int) []byte {
	switch b := v.columns[column].(type) {
	case nil:
		return nil
	case []byte:
		return b
	case string:
		return []byte(b)
	}
	v.wrong(column, "bytes")
	return nil
}

// entry reads the columns of selectEntry.
func (v *values) entry() Entry {
	late := v.number(3)
	if late != 0 && late != 1 {
		v.wrong(3, "yes or no")
	}
	return Entry{
		Seq: v.number(0), Time: time.Unix(0, v.number(1)).UTC(), Recorded: time.Unix(0, v.number(2)).UTC(), Late: late == 1,
		Kind: Kind(v.text(4)), Actor: v.text(5), Reason: v.text(6),
		Door: v.text(7), Window: v.text(8), System: v.text(9), Vault: v.text(10), From: v.text(11), To: v.text(12),
		Detail:  json.RawMessage(v.bytes(13)),
		Version: int(v.number(14)), Run: v.text(15), Mono: time.Duration(v.number(16)),
		Clock: proof.ClockState(v.text(17)), ClockError: time.Duration(v.number(18)),
	}
}
