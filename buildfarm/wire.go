package buildfarm

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/models"
)

// The operations that a Door has.
const (
	opBuild    = "build"
	opAdopt    = "adopt"
	opRemove   = "remove"
	opRetain   = "retain"
	opSweep    = "sweep"
	opHas      = "has"
	opPackages = "packages"
	opPublish  = "publish"
)

// Settings are the control plane's own of its builds: builders go by them too.
type Settings struct {
	ExtraCA      []byte
	MinFreeBytes int64
	Allow        []string // networks, as buildpipeline.ParseReach reads them
}

// request is the first line of an operation's body. A build's files follow it.
type request struct {
	Settings  Settings
	Job       buildpipeline.Job // of opBuild and opAdopt
	Reference string            // of opAdopt
	App       subject
	Keep      []string // of opRetain
	Image     string   // of opHas, opPackages and opPublish
	Budget    int64    // of opSweep
	PerApp    int64
}

// subject is all of an App that images are found by.
type subject struct {
	ID   models.ID
	Name string
}

func (s subject) app() models.App { return models.App{ID: s.ID, Name: s.Name} }

// event is a line of the answer: one of the log, or, as the last, how it ended.
type event struct {
	Say    *string `json:",omitempty"`
	Detail *string `json:",omitempty"`
	End    *ending `json:",omitempty"`
}

// ending is what an operation came to.
type ending struct {
	Error    *failure
	Result   buildpipeline.Result
	Has      bool
	Document []byte
	Manifest string
}

// failure is an error with what of its meaning survives the way.
type failure struct {
	Code    models.Code
	Message string
	Field   string
	Remedy  string
}

func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	if coded := models.AsError(err); coded != nil && coded.Code != models.Internal {
		return &failure{coded.Code, coded.Message, coded.Field, coded.Remedy}
	}
	return &failure{Code: models.Internal, Message: err.Error()}
}

func (f *failure) error() error {
	switch {
	case f == nil:
		return nil
	case f.Code == models.Internal:
		return errors.New(f.Message)
	default:
		return &models.Error{Code: f.Code, Message: f.Message, Field: f.Field, Remedy: f.Remedy}
	}
}

// answer writes events, each at once.
type answer struct {
	mu      sync.Mutex
	encoder *json.Encoder
	flush   func() error
}

func newAnswer(w http.ResponseWriter) *answer {
	return &answer{encoder: json.NewEncoder(w), flush: http.NewResponseController(w).Flush}
}

// tell does not fail: who does not listen any more has ended the request.
func (a *answer) tell(e event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.encoder.Encode(e) == nil {
		_ = a.flush()
	}
}

// hear reads an answer to its end, and hands on its log.
func hear(from io.Reader, log buildpipeline.Log) (ending, error) {
	for decoder := json.NewDecoder(from); ; {
		var e event
		if err := decoder.Decode(&e); err != nil {
			return ending{}, err
		}
		switch {
		case e.End != nil:
			return *e.End, nil
		case e.Say != nil:
			log.Say("%s", *e.Say)
		case e.Detail != nil:
			log.Detail(*e.Detail)
		}
	}
}
