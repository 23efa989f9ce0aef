package lab

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/skypanel/sky/api/v1"
)

// App is an application with a working copy to push from.
type App struct {
	Name string
	Work string
	lab  *Lab
}

// NewApp makes an app from a directory of examples/.
func (l *Lab) NewApp(ctx context.Context, name, example string) (*App, error) {
	app := &App{Name: name, Work: filepath.Join(l.Dir, "work", name), lab: l}
	if err := os.CopyFS(app.Work, os.DirFS(example)); err != nil {
		return nil, fmt.Errorf("copy %s: %w", example, err)
	}
	made, err := l.Client.CreateApp(ctx, v1.NewApp{Name: name})
	if err != nil {
		return nil, err
	}
	l.apps = append(l.apps, name)
	for _, arguments := range [][]string{{"init", "-q", "-b", "main"}, {"remote", "add", "sky", made.GitURL}} {
		if _, err := app.git(ctx, arguments...); err != nil {
			return nil, err
		}
	}
	return app, nil
}

// Replace writes the file with old text replaced by new text.
func Replace(path, before, after string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Contains(text, []byte(before)) {
		return fmt.Errorf("%s does not hold %q", path, before)
	}
	return os.WriteFile(path, bytes.Replace(text, []byte(before), []byte(after), 1), 0o644)
}

// Commit commits everything.
func (a *App) Commit(ctx context.Context, message string) error {
	if _, err := a.git(ctx, "add", "-A"); err != nil {
		return err
	}
	_, err := a.git(ctx, "commit", "-q", "-m", message)
	return err
}

// Line is what a pusher read, and how long after the push began.
type Line struct {
	After time.Duration
	Text  string
}

// Push pushes to main and returns what the terminal showed; seen, if any, is
// called with each line as it comes.
func (a *App) Push(ctx context.Context, seen func(Line)) ([]Line, error) {
	command := a.command(ctx, "push", "sky", "main")
	output, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	started := time.Now()
	if err := command.Start(); err != nil {
		return nil, err
	}
	var lines []Line
	scanner := bufio.NewScanner(output)
	for scanner.Scan() {
		text := strings.TrimSpace(strings.TrimPrefix(scanner.Text(), "remote:"))
		line := Line{time.Since(started), text}
		lines = append(lines, line)
		if seen != nil {
			seen(line)
		}
	}
	if err := command.Wait(); err != nil {
		return lines, fmt.Errorf("git push: %w\n%s", err, told(lines))
	}
	return lines, nil
}

func told(lines []Line) string {
	var text strings.Builder
	for _, line := range lines {
		fmt.Fprintln(&text, line.Text)
	}
	return text.String()
}

func (a *App) git(ctx context.Context, arguments ...string) (string, error) {
	out, err := a.command(ctx, arguments...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", arguments[0], err, out)
	}
	return string(out), nil
}

func (a *App) command(ctx context.Context, arguments ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, "git", arguments...)
	command.Dir = a.Work
	command.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@example.invalid",
		"GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@example.invalid",
		"GIT_SSH_COMMAND=ssh -i "+a.lab.key()+" -o IdentitiesOnly=yes -o IdentityAgent=none "+
			"-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR")
	return command
}

// Request asks the app's root through the ingress.
func (a *App) Request(ctx context.Context) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.lab.Ingress+"/", nil)
	if err == nil {
		request.Host = a.Name + ".localhost"
	}
	return request, err
}

// Await asks a hundred times a second until the answer holds text, and returns
// when that was.
func Await(ctx context.Context, ask func(context.Context) (*http.Request, error), text string) (time.Time, error) {
	const pause = 10 * time.Millisecond
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		request, err := ask(ctx)
		if err != nil {
			return time.Time{}, err
		}
		if answer, err := client.Do(request); err == nil {
			body, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if bytes.Contains(body, []byte(text)) {
				return time.Now(), nil
			}
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("wait for %q: %w", text, ctx.Err())
		case <-ticker.C:
		}
	}
}
