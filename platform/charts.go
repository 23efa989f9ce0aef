package platform

import (
	"context"
	"time"

	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform/history"
)

const (
	// chartPoints is how many points a chart has at most, and usualPoints how many
	// when nobody says which step they want.
	chartPoints = 1500
	usualPoints = 300
	usualSpan   = time.Hour
)

// usualSteps are those to choose from for who names none.
var usualSteps = []time.Duration{
	history.Step, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour,
}

// Span is the time that a chart is about. Zero values are: until now, for an
// hour, in the finest step that there is for it.
type Span struct {
	From, To time.Time
	Step     time.Duration
}

// AppChart is what an App's requests were and what its Instances used. A step
// without a point is one in which nothing was measured.
type AppChart struct {
	Span
	Traffic []history.Point[models.Traffic]
	Usage   map[string][]history.Point[models.Usage] // by process type
}

// NodeChart is what a Node used.
type NodeChart struct {
	Span
	Load []history.Point[models.NodeLoad]
}

// AppHistory returns the App's chart.
func (p *Platform) AppHistory(ctx context.Context, app models.App, asked Span) (AppChart, error) {
	span, err := asked.resolve(now())
	if err != nil {
		return AppChart{}, err
	}
	p.keeping.RLock() // what is taken to the database is counted once
	defer p.keeping.RUnlock()
	chart := AppChart{Span: span, Usage: map[string][]history.Point[models.Usage]{}}
	chart.Traffic = fold(chart.Traffic, p.recorder.AppTraffic(app.ID, span.fine()), span)
	for process, points := range p.recorder.AppUsage(app.ID, span.fine()) {
		chart.Usage[process] = fold(chart.Usage[process], points, span)
	}
	if span.fine() {
		return chart, nil
	}
	traffic, err := p.Store.AppTraffic(ctx, app.ID, span.kept(), span.From, span.To)
	if err != nil {
		return AppChart{}, err
	}
	usage, err := p.Store.AppUsage(ctx, app.ID, span.kept(), span.From, span.To)
	for _, row := range traffic {
		chart.Traffic = fold(chart.Traffic, []history.Point[models.Traffic]{{At: row.At, Value: row.Traffic}}, span)
	}
	for _, row := range usage {
		chart.Usage[row.Process] = fold(chart.Usage[row.Process], []history.Point[models.Usage]{{At: row.At, Value: row.Usage}}, span)
	}
	return chart, err
}

// NodeHistory returns the named node's chart, for an admin of the platform.
func (p *Platform) NodeHistory(ctx context.Context, actor models.Actor, name string, asked Span) (NodeChart, error) {
	node, err := p.Node(ctx, actor, name)
	if err != nil {
		return NodeChart{}, err
	}
	span, err := asked.resolve(now())
	if err != nil {
		return NodeChart{}, err
	}
	p.keeping.RLock()
	defer p.keeping.RUnlock()
	chart := NodeChart{Span: span, Load: fold(nil, p.recorder.NodeLoad(node.ID, span.fine()), span)}
	if span.fine() {
		return chart, nil
	}
	rows, err := p.Store.NodeUsage(ctx, node.ID, span.kept(), span.From, span.To)
	for _, row := range rows {
		chart.Load = fold(chart.Load, []history.Point[models.NodeLoad]{{At: row.At, Value: row.NodeLoad}}, span)
	}
	return chart, err
}

// fold adds the points that are in the span to sums.
func fold[V any, P interface {
	*V
	Add(other V)
}](sums, points []history.Point[V], span Span) []history.Point[V] {
	var inside []history.Point[V]
	for _, point := range points {
		if !point.At.Before(span.From) && point.At.Before(span.To) {
			inside = append(inside, point)
		}
	}
	return history.Fold[V, P](sums, inside, span.Step)
}

// fine reports whether only the newest points, in memory, are fine enough.
func (s Span) fine() bool { return s.Step < models.StepMinute }

// kept is the coarsest step that the database keeps and the span can be made of.
func (s Span) kept() time.Duration {
	if s.Step < models.StepHour {
		return models.StepMinute
	}
	return models.StepHour
}

// resolve fills in what was not asked for, and refuses what there is no answer to.
func (s Span) resolve(at time.Time) (Span, error) {
	if s.To.IsZero() {
		s.To = at
	}
	if s.From.IsZero() {
		s.From = s.To.Add(-usualSpan)
	}
	if !s.From.Before(s.To) {
		return s, models.Errorf(models.Invalid, "the time to begin with is not before the one to end with").WithField("from").
			WithRemedy("ask for a from that is before to, such as an hour")
	}
	if s.Step == 0 {
		s.Step = s.usualStep(at)
	}
	if err := s.check(at); err != nil {
		return s, err
	}
	s.From, s.To = s.From.UTC().Truncate(s.Step), s.To.UTC()
	return s, nil
}

// usualStep is the finest step that is kept for so long and makes few points.
func (s Span) usualStep(at time.Time) time.Duration {
	for _, step := range usualSteps {
		s.Step = step
		if !s.From.Before(at.Add(-s.reach())) && s.points() <= usualPoints {
			return step
		}
	}
	return s.Step
}

// reach is for how long points of the span's step can be told.
func (s Span) reach() time.Duration {
	switch {
	case s.Step < models.StepMinute:
		return history.Newest
	case s.Step < models.StepHour:
		return minutesKept
	default:
		return hoursKept
	}
}

func (s Span) points() int64 { return int64(s.To.Sub(s.From) / s.Step) }

func (s Span) check(at time.Time) error {
	unit := history.Step
	if s.Step >= models.StepMinute {
		unit = s.kept()
	}
	if s.Step < history.Step || s.Step%unit != 0 {
		return models.Errorf(models.Invalid, "%s is not a step that metrics are kept in", s.Step).WithField("step").
			WithRemedy("use 30s, whole minutes, or whole hours")
	}
	if s.From.Before(at.Add(-s.reach() - s.Step)) {
		return models.Errorf(models.Invalid, "steps of %s are kept for %s", s.Step, s.reach()).WithField("from").
			WithRemedy("ask for a later from, or for a coarser step: minutes are kept for two days, hours for ninety")
	}
	if s.points() > chartPoints {
		return models.Errorf(models.Invalid, "that makes %d points, and %d are the most", s.points(), chartPoints).WithField("step").
			WithRemedy("ask for a step of at least %s, or for less time", (s.To.Sub(s.From)/chartPoints).Truncate(time.Second)+time.Second)
	}
	return nil
}
