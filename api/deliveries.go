package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/models"
	"github.com/skypanel/sky/platform"
)

const (
	// maxDelivery is as much as GitHub sends at most.
	maxDelivery = 25 << 20
	// largeDelivery is what is read into memory only for a webhook that there is.
	largeDelivery = 1 << 20
	// deliveryPatience bounds how long a delivery may take to come in: GitHub itself
	// gives up after ten seconds.
	deliveryPatience = 20 * time.Second
)

// DeliveryInput is a request about one delivery.
type DeliveryInput struct {
	AppInput
	Delivery string `path:"delivery" maxLength:"40" doc:"The delivery's id in Sky"`
}

func (s *server) deliveries(routes huma.API) {
	const path = appPath + "/github/deliveries"
	huma.Register(routes, operation(http.MethodGet, path, "list-deliveries", "List what GitHub delivered, and what became of it", models.AppRead), s.listDeliveries)
	huma.Register(routes, operation(http.MethodGet, path+"/{delivery}", "get-delivery", "Show a delivery with what GitHub sent", models.AppRead), s.getDelivery)
	huma.Register(routes, operation(http.MethodPost, path+"/{delivery}/replay", "replay-delivery", "Decide on a delivery once more", models.AppDeploy), s.replayDelivery)
}

func wireDelivery(view platform.DeliveryView) v1.Delivery {
	wire := v1.Delivery{
		ID: view.ID.String(), Delivery: view.Delivery, Event: view.Event, Ref: view.Ref, Commit: view.Commit, State: string(view.State),
		Outcome: string(view.Outcome), Reason: view.Reason, Repeats: view.Repeats, CreatedAt: view.CreatedAt, FinishedAt: view.FinishedAt,
	}
	if view.Build != nil {
		wire.Build, wire.BuildState = view.Build.Number, string(view.Build.State)
	}
	return wire
}

func (s *server) listDeliveries(ctx context.Context, input *struct {
	AppInput
	PageInput
	State   string `query:"state" enum:"received,done,ignored,failed,refused" doc:"Only those in this state"`
	Outcome string `query:"outcome" maxLength:"40" doc:"Only those of which this became"`
	Event   string `query:"event" maxLength:"100" doc:"Only those about this event"`
}) (*body[v1.Page[v1.Delivery]], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	page, err := s.Platform.Deliveries(ctx, app, platform.DeliveriesAsked{
		State: models.DeliveryState(input.State), Outcome: models.Outcome(input.Outcome), Event: input.Event,
	}, input.page())
	return pageOf(ctx, s, page, wireDelivery, err)
}

func (s *server) getDelivery(ctx context.Context, input *DeliveryInput) (*body[v1.Delivery], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppRead, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	view, err := s.Platform.Delivery(ctx, app, input.Delivery)
	wire := wireDelivery(view)
	wire.Payload = string(view.Body)
	return answer(ctx, s, wire, err)
}

func (s *server) replayDelivery(ctx context.Context, input *DeliveryInput) (*body[v1.Delivery], error) {
	app, err := s.Platform.App(ctx, actor(ctx), models.AppDeploy, input.App)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	view, err := s.Platform.ReplayDelivery(ctx, actor(ctx), app, input.Delivery)
	return answer(ctx, s, wireDelivery(view), err)
}

// webhooks are where GitHub delivers. The signature says who asks; there is no
// token, and nothing is answered but whether the delivery is kept.
func (s *server) webhooks(engine *gin.Engine) {
	engine.POST(platform.WebhookPath, s.webhook)
	engine.POST(platform.WebhookPath+"/:link", s.webhook)
}

func (s *server) webhook(c *gin.Context) {
	if size := c.Request.ContentLength; size < 0 || size > largeDelivery {
		if err := s.Platform.AwaitsDeliveries(c.Request.Context(), c.Param("link")); err != nil {
			s.refuseRaw(c, err)
			return
		}
	}
	_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(deliveryPatience)) // not every writer has one
	text, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxDelivery))
	_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Time{})
	if err != nil {
		s.refuseRaw(c, unreadable(err))
		return
	}
	fresh, err := s.Platform.Deliver(c.Request.Context(), platform.Incoming{
		Link: c.Param("link"), Event: c.GetHeader("X-GitHub-Event"), Delivery: c.GetHeader("X-GitHub-Delivery"),
		ContentType: c.ContentType(), Signature: c.GetHeader("X-Hub-Signature-256"), Body: text,
	})
	if err != nil {
		s.refuseRaw(c, err)
		return
	}
	status := http.StatusAccepted
	if !fresh {
		status = http.StatusOK
	}
	c.JSON(status, gin.H{"fresh": fresh})
}

func unreadable(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return models.Errorf(models.TooLarge, "a delivery has at most %d MB", maxDelivery>>20)
	}
	return models.Errorf(models.Invalid, "the delivery did not come whole")
}

// refuseRaw answers a route that is none of the document's.
func (s *server) refuseRaw(c *gin.Context, err error) {
	problem := s.problem(c.Request.Context(), err)
	for name, values := range problem.GetHeaders() {
		c.Header(name, values[0])
	}
	c.Header("Content-Type", problem.ContentType(""))
	c.JSON(problem.Status, problem)
}
