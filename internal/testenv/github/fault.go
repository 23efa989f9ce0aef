package github

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// requestFaults are what goes wrong with requests.
type requestFaults struct {
	down   int // 0 up, statusClosed or a status
	limit  *RateLimit
	fails  []*failure
	stalls []*stall
}

type failure struct {
	prefix       string
	status, left int
}

type stall struct {
	prefix  string
	release chan struct{}
}

// StatusClosed stands for a connection that is closed without an answer.
const StatusClosed = -1

// Down answers everything with status, or with StatusClosed nothing, until Up.
func (h *Host) Down(status int) { h.fault(func(f *requestFaults) { f.down = status }) }

// Up ends Down, and every failure and limit that was ordered.
func (h *Host) Up() {
	h.fault(func(f *requestFaults) { f.down, f.limit, f.fails = 0, nil, nil })
}

// Fail answers the next n requests whose path begins with prefix with status, or
// closes their connection where it is StatusClosed.
func (h *Host) Fail(prefix string, status, n int) {
	h.fault(func(f *requestFaults) {
		f.fails = append(f.fails, &failure{prefix: prefix, status: status, left: n})
	})
}

// Stall keeps requests whose path begins with prefix waiting until release is
// called, which may be done more than once.
func (h *Host) Stall(prefix string) (release func()) {
	s := &stall{prefix: prefix, release: make(chan struct{})}
	h.fault(func(f *requestFaults) { f.stalls = append(f.stalls, s) })
	return func() {
		h.fault(func(f *requestFaults) {
			if i := slices.Index(f.stalls, s); i >= 0 {
				f.stalls = slices.Delete(f.stalls, i, i+1)
				close(s.release)
			}
		})
	}
}

// RateLimit says how the REST API refuses.
type RateLimit struct {
	Status     int           // 403 when 0, or 429
	Secondary  bool          // the limit on bursts, which answers Retry-After
	RetryAfter time.Duration // when it ends: a minute when 0; told, never waited for
	Requests   int           // how many are refused; 0 is until Up
}

// Limit begins to refuse REST requests.
func (h *Host) Limit(limit RateLimit) {
	if limit.Status == 0 {
		limit.Status = http.StatusForbidden
	}
	if limit.RetryAfter == 0 {
		limit.RetryAfter = time.Minute
	}
	if limit.Requests == 0 {
		limit.Requests = -1
	}
	h.fault(func(f *requestFaults) { f.limit = &limit })
}

func (h *Host) fault(change func(*requestFaults)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.onRequest)
	h.broadcast()
}

// interfere answers for the Host where a fault is in force, and reports whether
// it did.
func (h *Host) interfere(w http.ResponseWriter, r *http.Request) bool {
	h.waitStall(r)
	h.mu.Lock()
	status := h.failing(r.URL.Path)
	var limit *RateLimit
	if status == 0 && strings.HasPrefix(r.URL.Path, "/api/v3/") && r.URL.Path != "/api/v3/rate_limit" {
		limit = h.limiting()
	}
	reset := h.now()
	h.mu.Unlock()
	switch {
	case status == StatusClosed:
		panic(http.ErrAbortHandler)
	case status != 0:
		http.Error(w, "We had issues producing the response to your request.", status)
	case limit != nil:
		limit.write(w, reset)
	}
	return status != 0 || limit != nil
}

func (h *Host) waitStall(r *http.Request) {
	h.mu.Lock()
	var waits chan struct{}
	for _, s := range h.onRequest.stalls {
		if strings.HasPrefix(r.URL.Path, s.prefix) {
			waits = s.release
		}
	}
	h.mu.Unlock()
	if waits == nil {
		return
	}
	select {
	case <-waits:
	case <-r.Context().Done():
	case <-h.life.Done():
	}
}

// failing takes one of the failures ordered for path. mu is held.
func (h *Host) failing(path string) int {
	if h.onRequest.down != 0 {
		return h.onRequest.down
	}
	for _, f := range h.onRequest.fails {
		if f.left > 0 && strings.HasPrefix(path, f.prefix) {
			f.left--
			return f.status
		}
	}
	return 0
}

// limiting takes one of the refusals ordered. mu is held.
func (h *Host) limiting() *RateLimit {
	limit := h.onRequest.limit
	if limit == nil || limit.Requests == 0 {
		return nil
	}
	if limit.Requests > 0 {
		limit.Requests--
	}
	taken := *limit
	return &taken
}

func (l *RateLimit) write(w http.ResponseWriter, now time.Time) {
	message := "API rate limit exceeded for user ID 1."
	documentation := "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"
	remaining := "0"
	if l.Secondary {
		message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
		documentation = "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"
		remaining = "4000"
		w.Header().Set("Retry-After", strconv.Itoa(int(l.RetryAfter.Seconds())))
	}
	w.Header().Set("X-RateLimit-Limit", strconv.Itoa(hourlyLimit))
	w.Header().Set("X-RateLimit-Remaining", remaining)
	w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(now.Add(l.RetryAfter).Unix(), 10))
	w.Header().Set("X-RateLimit-Resource", "core")
	writeJSON(w, l.Status, object{"message": message, "documentation_url": documentation, "status": strconv.Itoa(l.Status)})
}
