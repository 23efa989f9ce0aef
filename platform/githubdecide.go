package platform

import (
	"fmt"
	"slices"

	"github.com/moby/patternmatcher"
	"github.com/skypanel/sky/github"
	"github.com/skypanel/sky/models"
)

// candidate is the head of a linked ref, and what there is to know about it.
type candidate struct {
	Commit  string
	Message string
	// Decided says that it was decided on before; Live and Running that it is what
	// is live, and stays so, or what the newest build under way makes live.
	Decided bool
	Live    string // the Release's name
	Running int    // the Build's number
	Auto    bool
	Paths   []string
	Changed []string // since what is live, and what is about to be
}

// judgement is what is to become of it: OutcomeDeployed, or why not.
type judgement struct {
	Outcome models.Outcome
	Reason  string
	Build   *models.ID // that was made of it, if one was
}

// judge decides whether a commit is deployed. It is a function of what it is
// given.
func judge(c candidate) judgement {
	commit := short(c.Commit)
	switch {
	case c.Live != "":
		return judgement{Outcome: models.OutcomeDuplicate, Reason: fmt.Sprintf("%s is live already, as %s", commit, c.Live)}
	case c.Running != 0:
		return judgement{Outcome: models.OutcomeDuplicate, Reason: fmt.Sprintf("build #%d is on %s already", c.Running, commit)}
	case c.Decided:
		return judgement{Outcome: models.OutcomeDuplicate, Reason: fmt.Sprintf("%s was decided on before", commit)}
	case !c.Auto:
		return judgement{Outcome: models.OutcomeOff, Reason: "automatic deployment is off; sky github deploy does it by hand"}
	case github.SkipsDeployment(c.Message):
		return judgement{Outcome: models.OutcomeSkipped, Reason: "the message of " + commit + " asks for no deployment"}
	case !touches(c.Paths, c.Changed):
		return judgement{Outcome: models.OutcomeFiltered, Reason: fmt.Sprintf("none of %d changed files is let through by the path filters", len(c.Changed))}
	}
	return judgement{Outcome: models.OutcomeDeployed, Reason: ""}
}

// touches reports whether any of the changed files is let through by the
// patterns. Without patterns all are; where the patterns only take files out, the
// others are.
func touches(patterns, changed []string) bool {
	if len(patterns) == 0 || len(changed) >= maxChanged { // there are more than are listed
		return true
	}
	if !slices.ContainsFunc(patterns, func(pattern string) bool { return pattern[0] != '!' }) {
		patterns = append([]string{"**"}, patterns...)
	}
	matcher, err := patternmatcher.New(patterns)
	if err != nil {
		return true // checkPaths has refused it; rather deploy than not
	}
	return slices.ContainsFunc(changed, func(path string) bool {
		matched, err := matcher.MatchesOrParentMatches(path)
		return matched || err != nil
	})
}

// settle says what becomes of the deliveries of pushes to a ref, once its head is
// judged: the one that brought the head has the head's outcome, and so has the
// newest where none did and the head is news; the others are superseded.
func settle(pushes []models.WebhookDelivery, head string, verdict judgement) []models.WebhookDelivery {
	chosen := len(pushes) - 1
	if verdict.Outcome == models.OutcomeDuplicate {
		chosen = -1
	}
	for i, push := range pushes {
		if push.Commit == head {
			chosen = i
		}
	}
	settled := slices.Clone(pushes)
	for i := range settled {
		settled[i].Outcome, settled[i].Reason = models.OutcomeSuperseded, "the branch has moved on to "+short(head)
		switch {
		case i == chosen:
			settled[i].Outcome, settled[i].Reason = verdict.Outcome, verdict.Reason
		case settled[i].Commit == head:
			settled[i].Outcome, settled[i].Reason = models.OutcomeDuplicate, short(head)+" came in another delivery too"
		}
		if i == chosen && settled[i].Commit != head && settled[i].Commit != "" && settled[i].Reason == "" {
			settled[i].Reason = fmt.Sprintf("%s by now", short(head))
		}
	}
	return settled
}
