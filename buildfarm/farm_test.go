package buildfarm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
)

// memory keeps what a build says.
type memory struct {
	mu   sync.Mutex
	said []string
}

func (m *memory) Say(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, fmt.Sprintf(format, args...))
}

func (m *memory) Detail(string) {}

// fake builds by build.
type fake struct {
	builder
	build func(ctx context.Context) (buildpipeline.Result, error)
}

func (f fake) Build(ctx context.Context, _ buildpipeline.Job) (buildpipeline.Result, error) {
	return f.build(ctx)
}

func answering(image string, err error) fake {
	return fake{build: func(context.Context) (buildpipeline.Result, error) { return buildpipeline.Result{Image: image}, err }}
}

// newFarm has the control plane's machine build "own".
func newFarm(places int, expected bool) *Farm {
	f := New(Config{Places: places, Expected: expected})
	f.own.builder = answering("own", nil)
	return f
}

func (f *Farm) has(name string, places int, b builder) (detach func()) {
	return f.attach(&machine{builder: b, id: models.NewID(), name: name, places: places})
}

func job(log buildpipeline.Log) buildpipeline.Job {
	return buildpipeline.Job{App: "test", AppID: models.NewID(), Organisation: models.NewID(), Log: log}
}

func TestBuildsLeaveTheControlPlane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(1, false)
		defer f.Close()
		build := func() string {
			result, err := f.Build(t.Context(), job(&memory{}))
			require.NoError(t, err)
			return result.Builder + "/" + result.Image
		}
		require.Equal(t, "/own", build())
		detach := f.has("one", 1, answering("remote", nil))
		require.Equal(t, "one/remote", build())
		detach()
		start := time.Now()
		require.Equal(t, "/own", build(), "no builder came back")
		require.Equal(t, awayFor, time.Since(start))
		require.Equal(t, "/own", build())
	})
}

func TestABuilderIsAwaitedAfterAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(1, true)
		defer f.Close()
		time.AfterFunc(time.Minute, func() { f.has("one", 1, answering("remote", nil)) })
		log := &memory{}
		result, err := f.Build(t.Context(), job(log))
		require.NoError(t, err)
		require.Equal(t, "one", result.Builder)
		require.Equal(t, []string{"Queue    waiting for a builder: none is online", "Builder  one"}, log.said)
	})
}

func TestWithoutPlacesTheControlPlaneNeverBuilds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFarm(0, false)
		defer f.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := f.Build(ctx, job(&memory{}))
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestALostBuildersBuildBeginsElsewhere(t *testing.T) {
	f := newFarm(1, false)
	defer f.Close()
	var detach func()
	detach = f.has("one", 1, fake{build: func(context.Context) (buildpipeline.Result, error) {
		detach()
		f.has("two", 1, answering("remote", nil))
		return buildpipeline.Result{}, fmt.Errorf("%w: a cable", errLost)
	}})
	log := &memory{}
	result, err := f.Build(t.Context(), job(log))
	require.NoError(t, err)
	require.Equal(t, "two", result.Builder)
	require.Equal(t, []string{"Builder  one", "Lost     the builder one is gone; the build begins again", "Builder  two"}, log.said)
}

func TestABuildThatEndsItsBuildersEnds(t *testing.T) {
	f := newFarm(1, false)
	defer f.Close()
	f.has("one", 1, answering("", errLost))
	_, err := f.Build(t.Context(), job(&memory{}))
	require.True(t, models.IsCode(err, models.Unavailable))
	require.ErrorContains(t, err, "3 builders were lost during this build")
}

func TestAnErrorOfTheBuildIsItsOwn(t *testing.T) {
	f := newFarm(1, false)
	defer f.Close()
	wrong := models.Errorf(models.Failed, "no start command")
	f.has("one", 1, answering("", wrong))
	_, err := f.Build(t.Context(), job(&memory{}))
	require.Equal(t, wrong, err)
}

func TestErrorsKeepTheirMeaningOnTheWay(t *testing.T) {
	told := models.Errorf(models.Invalid, "the port is wrong").WithField("port").WithRemedy("use another")
	require.Equal(t, told, failureOf(fmt.Errorf("build: %w", told)).error())
	require.EqualError(t, failureOf(errors.New("a disk broke")).error(), "a disk broke")
	require.NoError(t, failureOf(nil).error())
}
