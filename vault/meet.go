package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"airlock/blob"
)

// meet makes the memory true: a few questions in parallel, one round trip, and only
// if an answer surprises, a listing of the whole vault.
func (s *sending) meet(ctx context.Context) error {
	shards, surprise, err := s.ask(ctx)
	if err != nil {
		return err
	}
	if err := s.identify(ctx, s.standing, s.recognised); err != nil {
		return err
	}
	switch {
	case len(shards) > 0:
		if err := checkShards(shards); err != nil {
			return err
		}
	default:
		if err := s.store.Put(ctx, ShardsName, int64(len(ShardsFile)), strings.NewReader(ShardsFile)); err != nil {
			return fmt.Errorf("%s: %w", ShardsName, err)
		}
	}
	if surprise == "" {
		return nil
	}
	s.report.Relisted = surprise
	if err := s.relist(ctx); err != nil {
		return err
	}
	return s.announce(ctx) // of another number, perhaps
}

// ask compares the vault with what is remembered of it where they would differ if its
// disk had been swapped, rolled back, emptied or sent to by somebody else: the layout,
// the last generation, the place of the next one, the blob that landed last.
func (s *sending) ask(ctx context.Context) (shards []byte, surprise string, err error) {
	number, _ := s.known.next()
	var next, signed, last, landed string
	asking, ctx := errgroup.WithContext(ctx)
	asking.Go(func() error { return s.announce(ctx) })
	asking.Go(func() (err error) {
		s.standing, err = s.stands(ctx)
		return err
	})
	asking.Go(func() (err error) {
		shards, err = s.peek(ctx, ShardsName, 0, 4096)
		return err
	})
	asking.Go(func() error { // what cannot be read is there, and the listing tells
		if begin, failed := s.peek(ctx, GenerationPath(number), 0, 1); len(begin) > 0 || failed != nil {
			next = fmt.Sprintf("it has a generation %d, which is not remembered", number)
		}
		return context.Cause(ctx)
	})
	asking.Go(func() error {
		if begin, failed := s.peek(ctx, SignaturePath(number), 0, 1); len(begin) > 0 || failed != nil {
			signed = fmt.Sprintf("it has a signature of generation %d, which is not remembered", number)
		}
		return context.Cause(ctx)
	})
	if s.known.last != nil {
		asking.Go(func() error {
			same, err := s.recognise(ctx, GenerationPath(s.known.last.Number), s.known.file)
			if !same {
				last = fmt.Sprintf("its generation %d is not the one remembered", s.known.last.Number)
			}
			s.recognised = same
			return err
		})
	}
	if n := len(s.known.landed); n > 0 {
		asking.Go(func() error {
			e := s.known.landed[n-1]
			there, err := s.measures(ctx, e)
			if !there {
				landed = fmt.Sprintf("it lacks blob %s, which landed last", e.Name)
			}
			return err
		})
	}
	if err := asking.Wait(); err != nil {
		return nil, "", err
	}
	remembers := len(s.known.landed) > 0 || s.known.last != nil
	var found []string
	if len(shards) == 0 && remembers {
		found = append(found, "its "+ShardsName+" is missing")
	}
	if len(shards) > 0 && !remembers {
		found = append(found, "nothing is remembered of it")
	}
	for _, f := range []string{s.known.strange, last, next, signed, landed} {
		if f != "" {
			found = append(found, f)
		}
	}
	return shards, strings.Join(found, "; "), nil
}

// peek reads up to n bytes of a file; none if there is no file.
func (s *sending) peek(ctx context.Context, name string, off, n int64) ([]byte, error) {
	r, err := s.store.Open(ctx, name, off, n)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", name, err)
	}
	text, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("look at %s: %w", name, err)
	}
	return text, nil
}

// recognise compares the beginning of a file, where a generation says which one it
// is, and its end, which tells its length.
func (s *sending) recognise(ctx context.Context, name string, file []byte) (bool, error) {
	const part = 4096
	head, err := s.peek(ctx, name, 0, part)
	if err != nil || !bytes.Equal(head, file[:min(part, len(file))]) {
		return false, err
	}
	off := max(0, len(file)-part)
	tail, err := s.peek(ctx, name, int64(off), part+1)
	return bytes.Equal(tail, file[off:]), err
}

// measures says whether a blob lies in the vault with its size.
func (s *sending) measures(ctx context.Context, e Entry) (bool, error) {
	if e.Size == 0 {
		r, err := s.store.Open(ctx, e.At(), 0, 1)
		if err != nil {
			return false, unlessMissing(err)
		}
		return true, r.Close()
	}
	end, err := s.peek(ctx, e.At(), e.Size-1, 2)
	return len(end) == 1, err
}

func unlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// relist learns what the vault holds from the vault. A blob counts as held if it lies
// there with its size, and the memory or the vault's own last generation tells its
// hash; of any other file the bytes will be read back when they are to be sent.
func (s *sending) relist(ctx context.Context) error {
	found, err := listBlobs(ctx, s.store, s.plan.in.Workers)
	if err != nil {
		return fmt.Errorf("list the vault: %w", err)
	}
	last, file, err := s.latest(ctx, len(found))
	if err != nil {
		return err
	}
	claims := map[string]Entry{}
	for _, e := range s.work.held {
		claims[e.At()] = e
	}
	if last != nil {
		for _, e := range last.Blobs {
			claims[e.At()] = e // what stands in the vault outranks the memory
		}
	}
	held, err := s.verifyClaims(ctx, claims, found)
	if err != nil {
		return err
	}
	memory := s.plan.in.Memory
	if err := memory.rewrite(last, file, held); err != nil {
		return err
	}
	s.learn(memory.recall())
	for name := range s.work.taken {
		delete(found, name)
	}
	s.unknown = found
	return nil
}

// verifyClaims keeps those that the listing bears out, and looks each version up.
func (s *sending) verifyClaims(ctx context.Context, claims map[string]Entry, found map[string]int64) ([]Entry, error) {
	var held []Entry
	for _, e := range claims {
		size, there := found[e.Name]
		switch {
		case e.Path != "":
			var err error
			if there, err = s.measures(ctx, e); err != nil {
				return nil, err
			}
		default:
			there = there && size == e.Size
		}
		if there {
			held = append(held, e)
		}
	}
	return held, nil
}

// next is the number and the predecessor of the generation to come.
func (s *sending) next() (int64, blob.Sum) {
	number, previous := s.known.next()
	for s.taken[number] {
		number++
	}
	return number, previous
}

// listBlobs lists the blobs that lie under their own names, with their sizes.
func listBlobs(ctx context.Context, store Store, workers int) (map[string]int64, error) {
	found := map[string]int64{}
	var mu sync.Mutex
	level := []string{"."}
	for depth := 0; depth <= 2; depth++ {
		var deeper []string
		listing, ctx := errgroup.WithContext(ctx)
		listing.SetLimit(workers)
		for _, dir := range level {
			listing.Go(func() error {
				infos, err := store.List(ctx, dir)
				mu.Lock()
				defer mu.Unlock()
				for _, info := range infos {
					file := path.Join(dir, info.Name())
					if name := BlobOf(file); name != "" && !info.IsDir() {
						found[name] = info.Size()
					} else if info.IsDir() && len(info.Name()) == [...]int{1, 3, 0}[depth] {
						deeper = append(deeper, file)
					}
				}
				return err
			})
		}
		if err := listing.Wait(); err != nil {
			return nil, err
		}
		level = deeper
	}
	return found, nil
}
