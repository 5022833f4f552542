package server

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"airlock/blob"
	"airlock/ledger"
	"airlock/vault"
)

// issued is a receipt that was given, for what it counted at the time.
type issued struct {
	file  []byte
	hash  blob.Sum
	whole bool
	until time.Time
}

// receiptLife is how long a receipt that lacks nothing is given again unchanged.
const receiptLife = 10 * time.Second

// readAtOnce bounds the time that a receipt takes to read what nobody knows the hash of.
const readAtOnce = 2 * time.Second

// receipt looks whether all that a generation lists is there as it should be, and vouches
// for it. It is in the ledger before it is given.
func (s *serving) receipt(ctx context.Context, number int64, client string) (file []byte, err error) {
	s.naming.flush()
	err = s.exclusively(ctx, func() error {
		file, err = s.vouch(ctx, number, client)
		return err
	})
	return file, err
}

func (s *serving) vouch(ctx context.Context, number int64, client string) ([]byte, error) {
	name := vault.GenerationPath(number)
	manifest, err := s.index.find(ctx, name)
	if errors.Is(err, sql.ErrNoRows) || err == nil && manifest.sum == nil {
		return nil, fmt.Errorf("generation %d has not arrived: %w", number, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	if last, ok := s.receipts[number]; ok && last.whole && last.hash == *manifest.sum && s.now().Before(last.until) {
		return last.file, nil
	}
	if !s.asked[client].AllowN(s.now(), 1) {
		return nil, errors.New("too many receipts were asked for; ask again in a minute")
	}
	signed, err := s.signed(number)
	if err == nil && signed != *manifest.sum {
		err = fmt.Errorf("%w: the signature of generation %d is of something else", vault.ErrUntrusted, number)
	}
	if err != nil {
		s.alarm("a generation that the site has not signed", fmt.Sprintf("%s from client %s: %v", name, client, err))
		return nil, err
	}
	g, sum, err := s.manifest(number)
	if err != nil {
		return nil, err
	}
	if sum != *manifest.sum || g.Site != s.conf.Site.Name() {
		return nil, fmt.Errorf("%s is of site %s and has SHA-256 %s; %s and %s are expected", name, g.Site, sum, s.conf.Site.Name(), manifest.sum)
	}
	r := vault.Receipt{
		Vault: s.conf.Name, Site: g.Site, Generation: number, Hash: sum, Ledger: g.Ledger,
		Arrived: manifest.arrived, Time: s.now().UTC(), Blobs: len(g.Blobs), Alarms: s.alarms(ctx),
	}
	if err := s.compare(ctx, g, &r); err != nil {
		return nil, err
	}
	if r.Free, err = s.room.left(true); err != nil {
		return nil, err
	}
	return s.issue(ctx, r, client)
}

// compare looks every listed blob up. Those that the last whole generation lists in the
// same words were looked up then, and only damage can have come since.
func (s *serving) compare(ctx context.Context, g *vault.Generation, r *vault.Receipt) error {
	damaged := map[string]bool{}
	for d, err := range s.index.damaged(ctx) {
		if err != nil {
			return err
		}
		damaged[d.path] = true
	}
	others := maps.Clone(damaged)
	if s.checked != nil {
		if _, err := s.folder.Lstat(vault.GenerationPath(s.checked.Number)); err != nil {
			s.checked = nil // dropped, and its blobs with it
		}
	}
	until := time.Now().Add(readAtOnce)
	for _, e := range g.Blobs {
		r.Bytes += e.Size
		delete(others, e.At())
		if before, ok := s.listed(e.Name); ok && before == e && !damaged[e.At()] {
			continue
		}
		why, unread, err := s.lookUp(ctx, e, time.Now().Before(until))
		switch {
		case err != nil:
			return err
		case unread:
			r.Unread++
		case why != "" && len(r.Lacks) < vault.MaxLacks:
			r.Lacks = append(r.Lacks, blob.Fault{Name: e.Name, Why: why})
		}
	}
	if r.Whole() {
		s.checked = g
	}
	if len(others) > 0 {
		r.Alarms = append(r.Alarms, fmt.Sprintf("files of the vault that only older generations need are damaged: %d, the first of them %s; airlock vault verify names them all", len(others), slices.Min(slices.Collect(maps.Keys(others)))))
	}
	return nil
}

func (s *serving) listed(name string) (vault.Entry, bool) {
	if s.checked == nil {
		return vault.Entry{}, false
	}
	return s.checked.Blob(name)
}

// lookUp says why a blob is not there as it is listed, "" if it is; or that nobody knows
// its hash, and there is no time to read it now.
func (s *serving) lookUp(ctx context.Context, e vault.Entry, read bool) (why string, unread bool, err error) {
	r, err := s.index.find(ctx, e.At())
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", false, err
	}
	info, missing := s.folder.Lstat(e.At())
	switch {
	case errors.Is(missing, fs.ErrNotExist):
		if err == nil && r.damage == "" {
			err = s.damage(ctx, e.At(), "missing")
		}
		return "missing", false, unlessNone(err)
	case missing != nil:
		return "", false, missing
	case errors.Is(err, sql.ErrNoRows): // it came without being recorded
		if err := s.index.discover(ctx, e.At(), info.Size(), info.ModTime()); err != nil {
			return "", false, err
		}
		r = record{path: e.At(), size: info.Size()}
	}
	if r.sum == nil {
		if !read {
			return "", info.Size() == e.Size, nil
		}
		if r, err = s.readFile(ctx, r, func(int64) {}); err != nil {
			return "", false, err
		}
	}
	switch {
	case r.damage != "":
		return r.damage, false, nil
	case info.Size() != e.Size:
		return fmt.Sprintf("%d bytes instead of %d", info.Size(), e.Size), false, nil
	case *r.sum != e.SHA256:
		return fmt.Sprintf("SHA-256 %s instead of %s", r.sum, e.SHA256), false, nil
	}
	return "", false, nil
}

func unlessNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// alarms are what a person must look at on this host.
func (s *serving) alarms(ctx context.Context) []string {
	var all []string
	if w, err := s.readWitness(); err != nil {
		all = append(all, err.Error())
	} else if w.Trouble != "" {
		all = append(all, w.Trouble)
	}
	if l, err := s.followLine(ctx, false); err != nil {
		all = append(all, err.Error())
	} else if l.Doubt != "" {
		all = append(all, l.Doubt+"; "+lineageHint)
	}
	if left, err := s.room.left(false); err == nil && left == 0 && s.conf.Reserve > 0 {
		all = append(all, fmt.Sprintf("its room is used up but for the reserve of %s, which windows of the site still have: airlock vault prune there says what takes it", size(s.conf.Reserve)))
	}
	return all
}

// issue signs a receipt, has the ledger take it, and shows it in receipts/.
func (s *serving) issue(ctx context.Context, r vault.Receipt, client string) ([]byte, error) {
	file, err := r.Sign(s.key)
	if err != nil {
		return nil, err
	}
	inLedger := r
	inLedger.Lacks = r.Lacks[:min(len(r.Lacks), 100)]
	result := "whole"
	if !r.Whole() {
		result = "lacking"
	}
	_, err = s.ledger.Append(ctx, ledger.Entry{
		Time: r.Time, Kind: ledger.KindReceipt, Actor: cmp.Or(client, s.conf.Actor), Vault: s.conf.Name, To: result,
		Reason: fmt.Sprintf("receipt of generation %d", r.Generation), Detail: detail(inLedger),
	})
	if err != nil {
		return nil, err
	}
	if err := s.show(vault.ReceiptPath(r.Generation), file); err != nil {
		return nil, err
	}
	if len(s.receipts) > 16 {
		clear(s.receipts)
	}
	s.receipts[r.Generation] = issued{slices.Clone(file), r.Hash, r.Whole(), s.now().Add(receiptLife)}
	return file, nil
}

// show puts a receipt where readers of the disk find it.
func (s *serving) show(name string, file []byte) error {
	temp := name + ".new"
	if err := s.folder.drop(temp); err != nil {
		return err
	}
	f, err := s.folder.create(temp)
	if err != nil {
		return err
	}
	_, err = f.Write(file)
	if err = errors.Join(err, s.folder.settle(f), f.Close()); err != nil {
		return err
	}
	return s.folder.restore(temp, name)
}
