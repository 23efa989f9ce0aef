package github

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// made is a commit as git tells of it.
type made struct {
	sha, tree, message string
	parents            []string
	name, email        string
	at                 time.Time
	added              []string
	removed            []string
	modified           []string
}

// most is how many commits GitHub tells of in one payload.
const most = 2048

// log lists commits, oldest first, as git's revision arguments choose them.
func (g *git) log(repo string, env []string, revisions ...string) ([]made, error) {
	args := append([]string{"rev-list", "--reverse", fmt.Sprintf("--max-count=%d", most)}, revisions...)
	listed, err := g.run(repo, env, args...)
	if err != nil {
		return nil, err
	}
	var commits []made
	for _, sha := range strings.Fields(listed) {
		one, err := g.commit(repo, sha, env)
		if err != nil {
			return nil, err
		}
		commits = append(commits, *one)
	}
	return commits, nil
}

// commit reads one commit and the names of the files it changed.
func (g *git) commit(repo, sha string, env []string) (*made, error) {
	const format = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%B%x00"
	shown, err := g.run(repo, env, "show", "--no-renames", "--name-status", "-z", "--first-parent", "--diff-merges=first-parent", format, sha)
	if err != nil {
		return nil, err
	}
	fields := strings.Split(shown, "\x00")
	if len(fields) < 7 {
		return nil, fmt.Errorf("git show %s: unexpected answer", sha)
	}
	at, err := time.Parse(time.RFC3339, fields[5])
	if err != nil {
		return nil, fmt.Errorf("git show %s: %w", sha, err)
	}
	one := &made{
		sha: fields[0], tree: fields[1], parents: strings.Fields(fields[2]), name: fields[3], email: fields[4], at: at,
		message: strings.TrimRight(fields[6], "\n"),
	}
	one.changed(fields[7:])
	return one, nil
}

// changed reads pairs of a status and a path.
func (m *made) changed(fields []string) {
	fields = slices.DeleteFunc(fields, func(f string) bool { return strings.TrimSpace(f) == "" })
	for i := 0; i+1 < len(fields); i += 2 {
		switch path := fields[i+1]; strings.TrimSpace(fields[i]) {
		case "A":
			m.added = append(m.added, path)
		case "D":
			m.removed = append(m.removed, path)
		default:
			m.modified = append(m.modified, path)
		}
	}
}

// difference counts the files and lines that differ.
func (g *git) difference(repo, revisions string) (files, added, deleted int, err error) {
	listed, err := g.run(repo, nil, "diff", "--numstat", revisions)
	if err != nil {
		return 0, 0, 0, err
	}
	for line := range strings.Lines(listed) {
		var more, less int
		// A binary file has dashes for its lines, which count as none.
		_, _ = fmt.Sscan(line, &more, &less)
		files, added, deleted = files+1, added+more, deleted+less
	}
	return files, added, deleted, nil
}

// commitShape is a commit as the REST API shows it.
func (h *Host) commitShape(r *repository, m *made) object {
	url := h.repoAPI(r) + "/commits/" + m.sha
	who := object{"name": m.name, "email": m.email, "date": m.at}
	parents := []object{}
	for _, parent := range m.parents {
		parents = append(parents, object{"sha": parent, "url": h.repoAPI(r) + "/commits/" + parent, "html_url": h.repoURL(r) + "/commit/" + parent})
	}
	author := h.userShape(h.account(m.name))
	shape := object{
		"sha": m.sha, "node_id": nodeID("Commit", r.ID), "url": url, "html_url": h.repoURL(r) + "/commit/" + m.sha,
		"comments_url": url + "/comments", "parents": parents, "author": nil, "committer": nil,
		"commit": object{
			"author": who, "committer": who, "message": m.message, "comment_count": 0,
			"url":          h.repoAPI(r) + "/git/commits/" + m.sha,
			"tree":         object{"sha": m.tree, "url": h.repoAPI(r) + "/git/trees/" + m.tree},
			"verification": object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil},
		},
	}
	if author != nil {
		shape.add(object{"author": author, "committer": author})
	}
	return shape
}

// pushedShape is a commit as a push's payload shows it.
func (h *Host) pushedShape(r *repository, m *made) object {
	who := object{"name": m.name, "email": m.email, "username": m.name}
	return object{
		"id": m.sha, "tree_id": m.tree, "distinct": true, "message": m.message, "timestamp": m.at.Format(time.RFC3339),
		"url": h.repoURL(r) + "/commit/" + m.sha, "author": who, "committer": who,
		"added": append([]string{}, m.added...), "removed": append([]string{}, m.removed...), "modified": append([]string{}, m.modified...),
	}
}
