package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// writeHistory writes a fast-import stream that is the same every time: files
// in a tree three levels deep, each commit editing a few lines of a few of them.
func writeHistory(w io.Writer, commits int) error {
	out := bufio.NewWriter(w)
	random := rand.New(rand.NewPCG(1, 2))
	files := map[string][]string{}
	for i := range commits {
		fmt.Fprintf(out, "commit refs/heads/main\nmark :%d\ncommitter t <t@example.invalid> %d +0000\n", i+1, 1_600_000_000+i*60)
		message := fmt.Sprintf("change %d\n", i)
		fmt.Fprintf(out, "data %d\n%s", len(message), message)
		if i > 0 {
			fmt.Fprintf(out, "from :%d\n", i)
		}
		for range 2 {
			path := fmt.Sprintf("src/area%d/part%d/file%d.go", random.IntN(12), random.IntN(8), random.IntN(10))
			files[path] = edit(random, files[path])
			text := strings.Join(files[path], "\n") + "\n"
			fmt.Fprintf(out, "M 100644 inline %s\ndata %d\n%s\n", path, len(text), text)
		}
	}
	fmt.Fprint(out, "done\n")
	return out.Flush()
}

// edit changes some lines of a file, or begins one.
func edit(random *rand.Rand, lines []string) []string {
	if lines == nil {
		for range 60 + random.IntN(240) {
			lines = append(lines, sentence(random))
		}
	}
	lines = append([]string(nil), lines...)
	for range 1 + random.IntN(5) {
		lines[random.IntN(len(lines))] = sentence(random)
	}
	return append(lines, sentence(random))
}

func sentence(random *rand.Rand) string {
	words := []string{"func", "return", "if", "err", "nil", "range", "value", "request", "build", "release", "node", "for", "string", "context", "error"}
	line := make([]string, 3+random.IntN(8))
	for i := range line {
		line[i] = words[random.IntN(len(words))]
		if random.IntN(4) == 0 {
			line[i] += fmt.Sprint(random.IntN(1000))
		}
	}
	return strings.Join(line, " ")
}

// makeSource builds the repository and packs it, so that the client has no
// deltas to search for.
func (b *bench) makeSource(ctx context.Context) error {
	if _, err := b.git(ctx, b.dir, "init", "-q", "--bare", b.source()); err != nil {
		return err
	}
	cmd := b.command(ctx, b.source(), "fast-import", "--quiet", "--done")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := writeHistory(in, b.commits); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	if err := in.Close(); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("import history: %w", err)
	}
	_, err = b.git(ctx, b.source(), "repack", "-adfq", "--window=10", "--depth=50")
	return err
}
