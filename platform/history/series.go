package history

import (
	"slices"
	"time"
)

const (
	// Step is the finest step that is remembered.
	Step = 30 * time.Second
	// Newest is for how long it is.
	Newest = 15 * time.Minute
)

// Point is what was measured in one step of time.
type Point[V any] struct {
	At    time.Time
	Value V
}

// adder is a pointer to a V that other Vs add to.
type adder[V any] interface {
	*V
	Add(other V)
}

// slot is one minute of one key.
type slot[K comparable] struct {
	key K
	at  time.Time
}

// series are the points of many keys.
type series[K comparable, V any, P adder[V]] struct {
	newest  map[K][]Point[V]
	minutes map[slot[K]]V // that were not taken
}

func newSeries[K comparable, V any, P adder[V]]() series[K, V, P] {
	return series[K, V, P]{newest: map[K][]Point[V]{}, minutes: map[slot[K]]V{}}
}

// add counts a value at a time, which does not go back by much.
func (s *series[K, V, P]) add(key K, at time.Time, value V) {
	points := s.newest[key]
	old := 0
	for old < len(points) && points[old].At.Before(at.Add(-Newest)) {
		old++
	}
	s.newest[key] = Fold[V, P](points[old:], []Point[V]{{at, value}}, Step)
	s.giveBack(slot[K]{key, at.Truncate(time.Minute)}, value)
}

// giveBack adds a value to a minute that is to be taken.
func (s *series[K, V, P]) giveBack(minute slot[K], value V) {
	sum := s.minutes[minute]
	P(&sum).Add(value)
	s.minutes[minute] = sum
}

// take returns the minutes, and forgets them, and the keys of which nothing was
// heard since a time.
func (s *series[K, V, P]) take(since time.Time) map[slot[K]]V {
	taken := s.minutes
	s.minutes = map[slot[K]]V{}
	for key, points := range s.newest {
		if points[len(points)-1].At.Before(since) {
			delete(s.newest, key)
		}
	}
	return taken
}

// points returns a copy of a key's: the newest, or the minutes that were not taken.
func (s *series[K, V, P]) points(key K, fine bool) []Point[V] {
	if fine {
		return slices.Clone(s.newest[key])
	}
	var points []Point[V]
	for minute, value := range s.minutes {
		if minute.key == key {
			points = append(points, Point[V]{minute.at, value})
		}
	}
	return points
}

// Fold adds points to those of a step, which it may change, and returns them in
// the order of their times.
func Fold[V any, P adder[V]](sums, points []Point[V], step time.Duration) []Point[V] {
	for _, point := range points {
		at := point.At.Truncate(step)
		i, found := slices.BinarySearchFunc(sums, at, func(sum Point[V], at time.Time) int { return sum.At.Compare(at) })
		if !found {
			var zero V
			sums = slices.Insert(sums, i, Point[V]{at, zero})
		}
		P(&sums[i].Value).Add(point.Value)
	}
	return sums
}
