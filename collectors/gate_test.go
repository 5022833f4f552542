package collectors

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func behind(t *testing.T, g *Gate, m *memory) Source {
	t.Helper()
	src, err := g.Dial(func(context.Context) (Source, error) { return m, nil })(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestGatePauseWaitsForCallsAndHoldsNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		m := newMemory("a")
		src := behind(t, &g, m)
		f, err := src.Open(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		m.delay = 10 * time.Second
		read := func() {
			if _, err := f.ReadAt(make([]byte, 3), 0); err != nil {
				t.Error(err)
			}
		}
		began := time.Now()
		go read()
		synctest.Wait()
		if err := g.Pause(t.Context()); err != nil || time.Since(began) != 10*time.Second {
			t.Fatalf("Pause = %v after %v, want the end of the read", err, time.Since(began))
		}
		before := m.count("")
		for _, call := range []func(){
			read,
			func() { src.ReadDir(t.Context(), ".") },
			func() { src.Stat(t.Context(), "a") },
			func() { src.Open(t.Context(), "a") },
			func() { behind(t, &g, newMemory()) },
			func() { f.Close() },
		} {
			go call()
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if calls := m.count("") - before; calls != 0 || m.open != 1 {
			t.Errorf("with the gate shut: %d calls, %d files open", calls, m.open)
		}
		g.Resume()
		time.Sleep(time.Minute)
		synctest.Wait()
		if calls := m.count("") - before; calls != 4 {
			t.Errorf("after Resume: %d calls, want 4", calls)
		}
	})
}

func TestGateNests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		src := behind(t, &g, newMemory("a"))
		for range 2 {
			if err := g.Pause(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		passed := false
		go func() {
			src.Stat(t.Context(), "a")
			passed = true
		}()
		g.Resume()
		if synctest.Wait(); passed {
			t.Error("one Resume undid two Pauses")
		}
		g.Resume()
		if synctest.Wait(); !passed {
			t.Error("the gate stayed shut")
		}
	})
}

func TestGateStaysShutWhenPauseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		m := newMemory("a")
		src := behind(t, &g, m)
		m.delay = time.Hour
		go src.Stat(t.Context(), "a")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.Pause(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Pause on a hanging call: %v", err)
		}
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := src.Stat(short, "a"); !errors.Is(err, context.DeadlineExceeded) || m.count("stat") != 1 {
			t.Errorf("a call came through: %v", err)
		}
		g.Resume()
		time.Sleep(2 * time.Hour)
	})
}
