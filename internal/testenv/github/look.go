package github

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// lookPatience is how long a transcript's word waits for what it asks for.
const lookPatience = 2 * time.Minute

func (h *Host) lookWords() []word {
	return []word{
		{"head", "REPO BRANCH", 2, func(a []string) (string, error) { return line(h.Head(a[0], a[1]), nil) }},
		{"statuses", "REPO REF", 2, func(a []string) (string, error) { return h.statusLines(a[0], a[1]), nil }},
		{"wait-status", "REPO REF STATE [CONTEXT]", 3, quiet(func(a []string) error { return h.waitStatus(a[0], a[1], a[2], a[3:]) })},
		{"deployments", "REPO", 1, func(a []string) (string, error) { return h.deploymentLines(a[0]), nil }},
		{"comments", "REPO N", 2, func(a []string) (string, error) { return h.commentLines(a[0], a[1]) }},
		{"hooks", "REPO", 1, func(a []string) (string, error) { return h.hookLines(a[0]), nil }},
		{"deliveries", "", 0, func([]string) (string, error) { return h.deliveryLines(), nil }},
		{"quiet", "", 0, quiet(func([]string) error {
			return h.within(func(ctx context.Context) error { return h.Quiet(ctx) })
		})},
	}
}

func (h *Host) within(wait func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(h.life, lookPatience)
	defer cancel()
	return wait(ctx)
}

func (h *Host) waitStatus(full, name, state string, of []string) error {
	err := h.within(func(ctx context.Context) error {
		return h.Wait(ctx, func() bool { return h.stands(full, name, state, of) })
	})
	if err != nil {
		return fmt.Errorf("%s of %s did not become %s: %w\n%s", name, full, state, err, h.statusLines(full, name))
	}
	return nil
}

// stands reports whether the newest status of a ref is state; of names a context.
func (h *Host) stands(full, name, state string, of []string) bool {
	newest := ""
	for _, s := range h.Statuses(full, h.Head(full, name)) {
		if len(of) == 0 || s.Context == of[0] {
			newest = s.State
		}
	}
	return newest == state
}

func (h *Host) statusLines(full, name string) string {
	var lines strings.Builder
	for _, s := range h.Statuses(full, h.Head(full, name)) {
		fmt.Fprintf(&lines, "%s %s %q %s\n", s.State, s.Context, s.Description, s.TargetURL)
	}
	return lines.String()
}

func (h *Host) deploymentLines(full string) string {
	var lines strings.Builder
	for _, d := range h.Deployments(full) {
		fmt.Fprintf(&lines, "%s %s %s", d.Environment, d.Ref, d.State())
		if n := len(d.Statuses); n > 0 {
			fmt.Fprintf(&lines, " %s %s", d.Statuses[n-1].EnvironmentURL, d.Statuses[n-1].LogURL)
		}
		fmt.Fprintln(&lines)
	}
	return lines.String()
}

func (h *Host) commentLines(full, number string) (string, error) {
	n, err := strconv.Atoi(number)
	if err != nil {
		return "", fmt.Errorf("%q is no pull request's number", number)
	}
	var lines strings.Builder
	for _, c := range h.Comments(full, n) {
		fmt.Fprintf(&lines, "%s (%d edits): %s\n", c.Login, c.Edits, c.Body)
	}
	return lines.String(), nil
}

func (h *Host) hookLines(full string) string {
	var lines strings.Builder
	for _, w := range h.Hooks(full) {
		fmt.Fprintf(&lines, "%d %s %s active=%t secret=%t\n", w.ID, w.URL, strings.Join(w.Events, ","), w.Active, w.Secret != "")
	}
	return lines.String()
}

func (h *Host) deliveryLines() string {
	var lines strings.Builder
	for _, d := range h.Deliveries() {
		event := d.Event
		if d.Action != "" {
			event += "." + d.Action
		}
		fmt.Fprintf(&lines, "%s %s %s", d.GUID, event, d.State)
		for _, status := range d.Statuses {
			fmt.Fprintf(&lines, " %d", status)
		}
		fmt.Fprintln(&lines)
	}
	return lines.String()
}

// follows goes to an authorization's address as a browser would, and returns
// where it is led: the callback, which is asked only if call is set.
func (h *Host) follows(address string, call bool) (string, error) {
	client := *h.server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	status, to, body, err := get(h.life, &client, address)
	switch {
	case err != nil:
		return "", err
	case status != http.StatusFound:
		return "", fmt.Errorf("%s answered %d: %s", address, status, body)
	case !call:
		return to, nil
	}
	status, _, body, err = get(h.life, &client, to)
	return fmt.Sprintf("%s\n%d %s", to, status, body), err
}

func get(ctx context.Context, client *http.Client, address string) (status int, location, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header.Get("Location"), string(text), err
}
