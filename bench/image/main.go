// Command image measures the bytes that a deployment moves to nodes: an app of a
// large image on three of them, and then a release that differs in a small file.
//
//	go run ./bench/image -sky bin/sky
//
// The nodes are machines of a test lab: network namespaces with an engine each, which
// have no image at first. What comes to a node is counted at its cable, requests and
// the agent's link included. It needs root.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/skypanel/sky/api/v1"
	"github.com/skypanel/sky/bench/internal/lab"
	"github.com/skypanel/sky/internal/testenv"
)

func main() { lab.Main("image", run) }

var names = []string{"one", "two", "three"}

func run(ctx context.Context) (err error) {
	sky := flag.String("sky", "bin/sky", "the sky program")
	image := flag.Int("image", 200, "megabytes of the image that stay")
	change := flag.Int("change", 1, "megabytes that change")
	flag.Parse()
	machines, err := testenv.OpenLab()
	if err != nil {
		return err
	}
	defer machines.Remove()
	l, err := lab.OpenServer(ctx, *sky, machines.Address+":8080")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := join(ctx, l, machines, *sky); err != nil {
		return err
	}
	app, err := newApp(ctx, l, *image, *change)
	if err != nil {
		return err
	}
	return measure(ctx, l, machines, app, *change)
}

// join makes the machines nodes. Their agents end with them.
func join(ctx context.Context, l *lab.Lab, machines *testenv.Lab, sky string) error {
	for _, name := range names {
		machine, err := machines.Add(name)
		if err != nil {
			return err
		}
		token, err := l.Client.AddNode(ctx, v1.NewNode{Name: name})
		if err != nil {
			return err
		}
		agent := machine.Command(sky, "agent", "--server", l.Client.URL, "--join", token.Token, "--data-dir", filepath.Join(l.Dir, name), "--log-level", "error")
		agent.Stderr = os.Stderr
		if err := agent.Start(); err != nil {
			return err
		}
	}
	return online(ctx, l)
}

// online blocks until all nodes are.
func online(ctx context.Context, l *lab.Lab) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		nodes, err := l.Client.Nodes(ctx)
		if err != nil {
			return err
		}
		count := 0
		for _, node := range nodes {
			if node.State == "online" {
				count++
			}
		}
		if count == len(names) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

const dockerfile = `FROM sky-stack/python-run:3.11
RUN ["python3", "-c", "import os; f = open('/blob', 'wb'); [f.write(os.urandom(1 << 20)) for _ in range(%d)]"]
COPY change /change
EXPOSE 9000
CMD ["python3", "-u", "-c", "import os, http.server as h; h.ThreadingHTTPServer(('', int(os.environ['PORT'])), h.SimpleHTTPRequestHandler).serve_forever()"]
`

// newApp makes an app of an image of so many random megabytes, and of others that
// change.
func newApp(ctx context.Context, l *lab.Lab, image, change int) (*lab.App, error) {
	template := filepath.Join(l.Dir, "template")
	if err := os.MkdirAll(template, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(template, "Dockerfile"), fmt.Appendf(nil, dockerfile, image), 0o600); err != nil {
		return nil, err
	}
	app, err := l.NewApp(ctx, "bench-image", template)
	if err != nil {
		return nil, err
	}
	return app, write(app, change)
}

// write changes the file that changes.
func write(app *lab.App, megabytes int) error {
	content := make([]byte, megabytes<<20)
	_, _ = rand.Read(content) // never fails, by its documentation
	return os.WriteFile(filepath.Join(app.Work, "change"), content, 0o600)
}

func measure(ctx context.Context, l *lab.Lab, machines *testenv.Lab, app *lab.App, change int) error {
	fmt.Printf("%-34s %10s %10s %10s %10s\n", "megabytes", "one", "two", "three", "registry")
	deploy := func(text string) func() error {
		return func() error {
			if err := app.Commit(ctx, text); err != nil {
				return err
			}
			_, err := app.Push(ctx, nil)
			return err
		}
	}
	if err := moved("first deployment, on one node", l, machines, deploy("First")); err != nil {
		return err
	}
	if err := moved("an instance on each", l, machines, func() error {
		if _, err := l.Client.ChangeAppPlan(ctx, app.Name, "standard"); err != nil {
			return err
		}
		_, err := l.Client.Scale(ctx, app.Name, map[string]int{"web": len(names)})
		return err
	}); err != nil {
		return err
	}
	for round := range 3 {
		if err := write(app, change); err != nil {
			return err
		}
		if err := moved(fmt.Sprintf("release with %d MB changed, %d", change, round+1), l, machines, deploy("Change")); err != nil {
			return err
		}
	}
	return moved("restart", l, machines, func() error {
		_, err := l.Client.Operate(ctx, app.Name, "restart")
		return err
	})
}

// moved shows what an act brings to each machine, and to the registry's disk.
func moved(what string, l *lab.Lab, machines *testenv.Lab, act func() error) error {
	before, err := counts(l, machines)
	if err != nil {
		return err
	}
	if err := act(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	after, err := counts(l, machines)
	if err != nil {
		return err
	}
	fmt.Printf("%-34s", what)
	for i := range after {
		fmt.Printf(" %10.2f", float64(after[i]-before[i])/(1<<20))
	}
	fmt.Println()
	return nil
}

// counts are the bytes that came to each machine, and those that the registry has.
func counts(l *lab.Lab, machines *testenv.Lab) ([]int64, error) {
	var all []int64
	for _, name := range names {
		received, err := machines.Machine(name).Received()
		if err != nil {
			return nil, err
		}
		all = append(all, received)
	}
	kept := int64(0)
	err := filepath.WalkDir(filepath.Join(l.Dir, "data", "registry"), func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			kept += info.Size()
		}
		return err
	})
	return append(all, kept), err
}
