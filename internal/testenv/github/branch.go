package github

import (
	"net/http"
	"strings"
)

// broken is the answer where git failed us.
func broken(err error) answer { return fail(http.StatusInternalServerError, err.Error()) }

// listBranches answers GET /repos/{owner}/{repo}/branches.
func (h *Host) listBranches(c *call) answer {
	refs, err := h.git.refs(c.repo.dir, "refs/heads/")
	if err != nil {
		return broken(err)
	}
	found := []object{}
	for _, ref := range refs {
		name := strings.TrimPrefix(ref.name, "refs/heads/")
		if c.URL.Query().Get("protected") == "true" {
			break
		}
		found = append(found, object{
			"name": name, "protected": false,
			"commit": object{"sha": ref.sha, "url": h.repoAPI(c.repo) + "/commits/" + ref.sha},
		})
	}
	return c.list(found)
}

// getBranch answers GET /repos/{owner}/{repo}/branches/{branch}.
func (h *Host) getBranch(c *call) answer {
	name := c.PathValue("branch")
	sha, err := h.git.run(c.repo.dir, nil, "rev-parse", "--verify", "--quiet", "refs/heads/"+name+"^{commit}")
	if err != nil {
		return fail(http.StatusNotFound, "Branch not found")
	}
	commit, err := h.git.commit(c.repo.dir, sha, nil)
	if err != nil {
		return broken(err)
	}
	self := h.repoAPI(c.repo) + "/branches/" + name
	return ok(object{
		"name": name, "commit": h.commitShape(c.repo, commit), "protected": false, "protection_url": self + "/protection",
		"_links": object{"self": self, "html": h.repoURL(c.repo) + "/tree/" + name},
		"protection": object{
			"enabled": false, "required_status_checks": object{"enforcement_level": "off", "contexts": []string{}, "checks": []string{}},
		},
	})
}

// matchingRefs answers GET /repos/{owner}/{repo}/git/matching-refs/{ref}.
func (h *Host) matchingRefs(c *call) answer {
	refs, err := h.git.refs(c.repo.dir, "refs/"+c.PathValue("ref"))
	if err != nil {
		return broken(err)
	}
	found := []object{}
	for _, ref := range refs {
		kind, err := h.git.run(c.repo.dir, nil, "cat-file", "-t", ref.sha)
		if err != nil {
			return broken(err)
		}
		found = append(found, object{
			"ref": ref.name, "node_id": nodeID("Ref", c.repo.ID), "url": h.repoAPI(c.repo) + "/git/" + ref.name,
			"object": object{"sha": ref.sha, "type": kind, "url": h.repoAPI(c.repo) + "/git/" + kind + "s/" + ref.sha},
		})
	}
	return c.list(found)
}

// getCommit answers GET /repos/{owner}/{repo}/commits/{ref}.
func (h *Host) getCommit(c *call) answer {
	sha := h.git.resolve(c.repo.dir, c.PathValue("ref"))
	if sha == "" {
		return fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.PathValue("ref"))
	}
	if c.Header.Get("Accept") == "application/vnd.github.v3.sha" {
		return answer{status: http.StatusOK, body: plain(sha)}
	}
	commit, err := h.git.commit(c.repo.dir, sha, nil)
	if err != nil {
		return broken(err)
	}
	return ok(h.commitShape(c.repo, commit))
}
