package main

import (
	"fmt"
	"hash/fnv"
	"io/fs"
	"strings"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/skypanel/sky/models"
)

// app is a file of apps/: a repository, the Dockerfiles of Sky's peers, and
// lines of its comment that say how it is measured:
//
//	stack: TYPE VERSION   what it is built on
//	swap: OLD => NEW      texts that change with a dependency
//
// In its files, @line@ is the line that changes, and @dependency@ a word of the
// manifest, so that no cache knows it.
type app struct {
	name    string
	stack   models.Runtime
	files   map[string]string
	peers   map[string]string // Dockerfiles
	swaps   []string          // old and new in turn
	depends bool              // there is a dependency to change
}

const peerPrefix = "peers/"

func readApp(name string, text []byte) app {
	archive := txtar.Parse(text)
	a := app{name: name, files: map[string]string{}, peers: map[string]string{}}
	for line := range strings.Lines(string(archive.Comment)) {
		word, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch word {
		case "stack":
			a.stack.Type, a.stack.Version, _ = strings.Cut(value, " ")
			a.stack.Active, a.stack.Default = true, true
			a.stack.BuildImage = fmt.Sprintf("sky-stack/%s-build:%s", a.stack.Type, a.stack.Version)
			a.stack.RunImage = fmt.Sprintf("sky-stack/%s-run:%s", a.stack.Type, a.stack.Version)
		case "swap":
			before, after, _ := strings.Cut(value, " => ")
			a.swaps = append(a.swaps, before, after)
			a.depends = true
		}
	}
	for _, file := range archive.Files {
		if peer, ok := strings.CutPrefix(file.Name, peerPrefix); ok {
			a.peers[peer] = string(file.Data)
		} else {
			a.files[file.Name] = string(file.Data)
		}
	}
	return a
}

// commit is the repository at some moment.
type commit struct {
	line, dependency string
	swapped          bool
}

// word was never there before.
func word() string { return fmt.Sprintf("at %d", time.Now().UnixNano()) }

// at returns the repository's files.
func (a app) at(c commit) map[string]string {
	pairs := []string{"@line@", c.line, "@dependency@", c.dependency}
	if c.swapped {
		pairs = append(pairs, a.swaps...)
	}
	replacer := strings.NewReplacer(pairs...)
	files := map[string]string{}
	for name, text := range a.files {
		files[name] = replacer.Replace(text)
	}
	return files
}

// show shows files as package gitserver does: their times hash their contents.
func show(files map[string]string) fs.FS {
	shown := fstest.MapFS{}
	for name, text := range files {
		hash := fnv.New64a()
		_, _ = hash.Write([]byte(text)) // into memory: it cannot fail
		at := time.Date(1980, 1, 1, 0, 0, 0, int(hash.Sum64()%uint64(time.Second)), time.UTC)
		shown[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644, ModTime: at}
	}
	return shown
}
