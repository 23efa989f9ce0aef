package github

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	gh "github.com/google/go-github/v60/github"
	"github.com/skypanel/sky/models"
)

// ReadDelivery returns a delivery's payload, where the body is signed with the
// secret (HMAC-SHA-256, compared in constant time). Anything else is Unauthorized,
// and so is every body where the secret is empty.
func ReadDelivery(contentType, signature string, body, secret []byte) ([]byte, error) {
	refused := models.Errorf(models.Unauthorized, "the signature is not that of the webhook's secret")
	if len(secret) == 0 || !strings.HasPrefix(signature, "sha256=") {
		return nil, refused
	}
	media, _, _ := strings.Cut(contentType, ";")
	if media = strings.TrimSpace(media); media == "" {
		media = "application/json"
	}
	payload, err := gh.ValidatePayloadFromBody(media, bytes.NewReader(body), signature, secret)
	if err != nil {
		return nil, refused
	}
	return payload, nil
}

// Event is what Sky reads of a delivery.
type Event struct {
	Name   string // as the header X-GitHub-Event has it
	Action string
	// Of a push.
	Ref     string
	Before  string
	After   string
	Deleted bool
	Message string // the head commit's
	// Repository is where it happened; 0 where it is about none.
	Repository int64
	Pull       *Pull
	// Installation is the GitHub App's; 0 without one.
	Installation int64
}

// Pull is a pull request.
type Pull struct {
	Number         int
	Title          string
	Author         string
	Open           bool
	Head           string // the commit
	HeadRepository int64  // 0 where the fork is gone
	Base           string // the branch
	BaseRepository int64
}

// Fork reports whether the commits come from another repository.
func (p Pull) Fork() bool { return p.HeadRepository != p.BaseRepository }

// Ref is where the base repository shows the pull request's commits.
func (p Pull) Ref() string { return fmt.Sprintf("refs/pull/%d/head", p.Number) }

// payload is the shape of the deliveries that Sky acts on. What GitHub may send as
// something else in other events is read only in these.
type payload struct {
	Action     string `json:"action"`
	Ref        string `json:"ref"`
	Before     string `json:"before"`
	After      string `json:"after"`
	Deleted    bool   `json:"deleted"`
	HeadCommit *struct {
		Message string `json:"message"`
	} `json:"head_commit"`
	Pull *struct {
		Number int    `json:"number"`
		Title  string `json:"title"`
		State  string `json:"state"`
		User   struct {
			Login string `json:"login"`
		} `json:"user"`
		Head side `json:"head"`
		Base side `json:"base"`
	} `json:"pull_request"`
}

type side struct {
	Ref        string `json:"ref"`
	SHA        string `json:"sha"`
	Repository *place `json:"repo"`
}

type place struct {
	ID int64 `json:"id"`
}

// origin is what every delivery may have.
type origin struct {
	Action       string `json:"action"`
	Repository   *place `json:"repository"`
	Installation *place `json:"installation"`
}

// ParseEvent reads a payload. Events that mean nothing to Sky have a name, and
// what is known of their origin.
func ParseEvent(name string, text []byte) (Event, error) {
	event := Event{Name: name}
	from := origin{}
	if err := json.Unmarshal(text, &from); err != nil && name == "push" {
		return event, models.Errorf(models.Invalid, "the payload is not what GitHub sends")
	}
	event.Action, event.Repository, event.Installation = from.Action, from.Repository.id(), from.Installation.id()
	if name != "push" && name != "pull_request" {
		return event, nil
	}
	said := payload{}
	if err := json.Unmarshal(text, &said); err != nil {
		return event, models.Errorf(models.Invalid, "the payload is not what GitHub sends")
	}
	event.Ref, event.Before, event.After, event.Deleted = said.Ref, said.Before, said.After, said.Deleted
	if said.HeadCommit != nil {
		event.Message = said.HeadCommit.Message
	}
	if given := said.Pull; given != nil {
		event.Pull = &Pull{
			Number: given.Number, Title: given.Title, Author: given.User.Login, Open: given.State == "open", Head: given.Head.SHA,
			HeadRepository: given.Head.Repository.id(), Base: given.Base.Ref, BaseRepository: given.Base.Repository.id(),
		}
	}
	return event, nil
}

func (p *place) id() int64 {
	if p == nil {
		return 0
	}
	return p.ID
}

// SkipsDeployment reports whether a commit's message asks for no deployment, as
// GitHub reads it for workflows.
func SkipsDeployment(message string) bool {
	lower := strings.ToLower(message)
	for _, mark := range []string{"[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]", "[skip sky]", "[sky skip]"} {
		if strings.Contains(lower, mark) {
			return true
		}
	}
	trailers := lower[strings.LastIndex(strings.TrimRight(lower, "\n"), "\n\n")+1:]
	return strings.Contains(trailers, "\nskip-checks: true") || strings.Contains(trailers, "\nskip-checks:true")
}
