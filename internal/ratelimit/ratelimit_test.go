package ratelimit_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skypanel/sky/internal/ratelimit"
	"github.com/stretchr/testify/require"
)

func TestTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ratelimit.New(time.Minute, 3, 10)
		for range 3 {
			require.Zero(t, k.Take("a"))
		}
		for range 5 { // asking again makes nobody wait for longer
			require.Equal(t, time.Minute, k.Take("a"))
		}
		require.Zero(t, k.Take("b"))
		<-time.After(59 * time.Second)
		require.Equal(t, time.Second, k.Take("a"))
		<-time.After(time.Second)
		require.Zero(t, k.Take("a"))
		require.NotZero(t, k.Take("a"))
		k.Forget("a")
		k.Forget("nobody")
		for range 3 {
			require.Zero(t, k.Take("a"))
		}
		<-time.After(24 * time.Hour)
		for range 3 {
			require.Zero(t, k.Take("a"))
		}
		require.NotZero(t, k.Take("a"))
	})
}

func TestForgetsTheOldest(t *testing.T) {
	k := ratelimit.New(time.Hour, 1, 2)
	require.Zero(t, k.Take("a"))
	require.Zero(t, k.Take("b"))
	require.NotZero(t, k.Take("a"))
	require.Zero(t, k.Take("c"), "b is forgotten, as a was used later")
	require.NotZero(t, k.Take("a"))
	require.Zero(t, k.Take("b"))
}

func TestParallelTurns(t *testing.T) {
	k := ratelimit.New(time.Hour, 5, 100)
	var group sync.WaitGroup
	taken := make(chan struct{}, 400)
	for i := range 400 {
		group.Go(func() {
			if k.Take(fmt.Sprint(i%4)) == 0 {
				taken <- struct{}{}
			}
		})
	}
	group.Wait()
	require.Len(t, taken, 20)
}
