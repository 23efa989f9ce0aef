package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/bench/internal/lab"
	"github.com/skypanel/sky/internal/testenv/github"
)

const (
	app        = "bench-webhook"
	repository = "acme/shop"
)

// sender sends what GitHub would, signed with the webhook's secret.
type sender struct {
	lab     *lab.Lab
	host    *github.Host
	hook    github.Hook
	payload []byte
	client  *http.Client
}

// newSender links an app with a repository of the stand-in's. Nothing is built:
// automatic deployment is off.
func newSender(ctx context.Context, l *lab.Lab) (*sender, error) {
	host, err := github.New(github.Options{})
	if err != nil {
		return nil, err
	}
	s := &sender{lab: l, host: host, client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: time.Minute,
	}}
	if err := s.link(ctx); err != nil {
		return nil, errors.Join(err, host.Close())
	}
	return s, nil
}

func (s *sender) close() error {
	err := s.lab.Client.DestroyApp(context.Background(), app, app)
	return errors.Join(err, s.host.Close())
}

func (s *sender) link(ctx context.Context) error {
	s.host.AddUser("acme")
	if err := s.host.AddRepository(repository, true); err != nil {
		return err
	}
	files := map[string]string{}
	for i := range 100 {
		files[fmt.Sprintf("src/file%03d.txt", i)] = "text\n"
	}
	head, err := s.host.Push(github.Push{Repo: repository, Branch: "main", Commits: []github.Commit{{Message: "First", Files: files}}})
	if err != nil {
		return err
	}
	if err := s.connect(ctx); err != nil {
		return err
	}
	if _, err := s.lab.Client.CreateApp(ctx, v1.NewApp{Name: app}); err != nil {
		return err
	}
	auto := false
	link := v1.NewGitHubLink{Repository: repository, GitHubLinkChange: v1.GitHubLinkChange{AutoDeploy: &auto}}
	if _, err := s.lab.Client.LinkGitHub(ctx, app, link); err != nil {
		return err
	}
	s.hook = s.host.Hooks(repository)[0]
	return s.compose(head)
}

var codePattern = regexp.MustCompile(`<pre>([A-Z0-9]{4}-[A-Z0-9]{4})</pre>`)

// connect connects the admin with the stand-in, as a browser and a terminal do.
func (s *sender) connect(ctx context.Context) error {
	client := s.lab.Client
	registered := s.host.AddOAuthApp(client.URL + "/api/paas/github/callback")
	_, err := client.SetGitHub(ctx, v1.NewGitHubHost{URL: s.host.URL, ClientID: registered.ClientID, ClientSecret: registered.ClientSecret})
	if err != nil {
		return err
	}
	begun, err := client.AuthorizeGitHub(ctx, false)
	if err != nil {
		return err
	}
	answer, err := s.client.Get(begun.URL)
	if err != nil {
		return err
	}
	page, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	code := codePattern.FindSubmatch(page)
	if code == nil {
		return fmt.Errorf("there is no code in %s", page)
	}
	_, err = client.ConfirmGitHub(ctx, v1.GitHubCode{Authorization: begun.ID, Code: string(code[1])})
	return err
}

// compose makes the payload of a push of ten commits, as large as GitHub's are.
func (s *sender) compose(head string) error {
	id := int64(0)
	for _, delivery := range s.host.Deliveries() {
		seen := struct {
			Repository struct {
				ID int64 `json:"id"`
			} `json:"repository"`
		}{}
		if json.Unmarshal(delivery.Payload, &seen) == nil && seen.Repository.ID != 0 {
			id = seen.Repository.ID
		}
	}
	commits := make([]map[string]any, 10)
	for i := range commits {
		commits[i] = map[string]any{
			"id": head, "message": strings.Repeat("A message of some length. ", 5), "author": map[string]string{"name": "Acme", "email": "acme@example.invalid"},
			"added": []string{"src/a.txt"}, "removed": []string{}, "modified": []string{"src/file001.txt", "src/file002.txt"},
		}
	}
	payload, err := json.Marshal(map[string]any{
		"ref": "refs/heads/main", "before": strings.Repeat("0", 40), "after": head, "created": false, "deleted": false, "forced": false,
		"repository": map[string]any{"id": id, "full_name": repository, "description": strings.Repeat("d", 2000)},
		"commits":    commits, "head_commit": commits[9],
	})
	s.payload = payload
	return err
}

func (s *sender) size() int { return len(s.payload) }

// result is what became of deliveries.
type result struct {
	took         []time.Duration
	acknowledged []string
	refused      int
}

// send sends so many deliveries and returns when each has its answer.
func (s *sender) send(ctx context.Context, count, clients int) (result, error) {
	mac := hmac.New(sha256.New, []byte(s.hook.Secret))
	mac.Write(s.payload)
	signature := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	jobs := make(chan string)
	var mu sync.Mutex
	var all result
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for id := range jobs {
				begun := time.Now()
				err := s.deliver(ctx, id, signature)
				mu.Lock()
				if err == nil {
					all.acknowledged, all.took = append(all.acknowledged, id), append(all.took, time.Since(begun))
				} else {
					all.refused++
				}
				mu.Unlock()
			}
		})
	}
	for range count {
		jobs <- uuid.NewString()
	}
	close(jobs)
	group.Wait()
	return all, ctx.Err()
}

func (s *sender) deliver(ctx context.Context, id, signature string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.hook.URL, bytes.NewReader(s.payload))
	if err != nil {
		return err
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": id, "X-Hub-Signature-256": signature,
	} {
		request.Header.Set(name, value)
	}
	answer, err := s.client.Do(request)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("answered %d", answer.StatusCode)
	}
	return errors.Join(err, answer.Body.Close())
}

// decided waits until no delivery waits for its outcome, and returns how long that
// took.
func (s *sender) decided(ctx context.Context) (time.Duration, error) {
	begun := time.Now()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		open, err := s.count(ctx, "state=received")
		if err != nil || open == 0 {
			return time.Since(begun), err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-ticker.C:
		}
	}
}

// count counts the first rows of the ledger that the filter lets through.
func (s *sender) count(ctx context.Context, filter string) (int, error) {
	page, err := s.page(ctx, filter+"&limit=1")
	return len(page.Items), err
}

func (s *sender) page(ctx context.Context, query string) (v1.Page[v1.Delivery], error) {
	var page v1.Page[v1.Delivery]
	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		s.lab.Client.URL+"/api/paas/applications/"+app+"/github/deliveries?"+query, http.NoBody)
	if err != nil {
		return page, err
	}
	request.Header.Set("Authorization", "Bearer "+s.lab.Client.Token)
	answer, err := s.client.Do(request)
	if err != nil {
		return page, err
	}
	err = json.NewDecoder(answer.Body).Decode(&page)
	return page, errors.Join(err, answer.Body.Close())
}

// killed sends deliveries while Sky is killed again and again, and looks for those
// that were acknowledged.
func (s *sender) killed(ctx context.Context, given load) error {
	var acknowledged []string
	for range given.kills {
		sending := make(chan result, 1)
		go func() {
			sent, _ := s.send(ctx, given.deliveries/given.kills, given.clients) // refusals are what a kill makes
			sending <- sent
		}()
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := s.lab.Kill(); err != nil {
			return err
		}
		acknowledged = append(acknowledged, (<-sending).acknowledged...)
	}
	kept := map[string]bool{}
	for cursor := ""; ; {
		page, err := s.page(ctx, "limit=200&cursor="+cursor)
		if err != nil {
			return err
		}
		for _, row := range page.Items {
			kept[row.Delivery] = true
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	lost := 0
	for _, id := range acknowledged {
		if !kept[id] {
			lost++
		}
	}
	fmt.Printf("  %d kills: %d acknowledged, %d of them lost\n", given.kills, len(acknowledged), lost)
	if lost > 0 {
		return fmt.Errorf("%d acknowledged deliveries are lost", lost)
	}
	return nil
}

// cpuOf is the processor time that a process used (proc(5), fields 14 and 15 of
// stat).
func cpuOf(pid int) time.Duration {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	const tick = 10 * time.Millisecond
	return time.Duration(user+system) * tick
}
