package platform

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skypanel/sky/internal/narrative"
	"github.com/skypanel/sky/models"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

const (
	patience = 30 * time.Second
	tick     = time.Millisecond
)

func TestTokens(t *testing.T) {
	s := newStage(t)
	text := newToken()
	require.True(t, wellFormed(text))
	require.True(t, strings.HasPrefix(text, "sky_pat_"))
	for name, wrong := range map[string]string{
		"empty": "", "prefix only": tokenPrefix, "short": tokenPrefix + "abc", "unknown but well-formed": text,
		"typo": text[:20] + "0" + text[21:], "another prefix": "ghp_" + text[len(tokenPrefix):], "with a space": text + " ",
	} {
		_, err := s.ActorByToken(t.Context(), wrong)
		require.True(t, models.IsCode(err, models.Unauthorized), name)
	}
	expired := time.Now().Add(-time.Minute).UTC()
	for expires, valid := range map[*time.Time]bool{nil: true, &expired: false} {
		text := newToken()
		row := models.Token{ID: models.NewID(), UserID: s.actor.UserID, Name: "t", Hash: hashToken(text), Scopes: models.AllScopes(), ExpiresAt: expires}
		require.NoError(t, s.Store.CreateToken(t.Context(), &row))
		_, err := s.ActorByToken(t.Context(), text)
		require.Equal(t, valid, err == nil)
	}
}

func TestEnsureAdmin(t *testing.T) {
	s := newStage(t)
	file := filepath.Join(s.dir, "admin-token")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	before, err := ReadTokenFile(file)
	require.NoError(t, err)
	require.NoError(t, s.EnsureAdmin(t.Context(), file))
	after, err := ReadTokenFile(file)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.True(t, s.actor.Admin)
}

// publicKey writes a key as ssh-keygen does.
func publicKey(t *testing.T, key any) string {
	t.Helper()
	wrapped, err := ssh.NewPublicKey(key)
	require.NoError(t, err)
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(wrapped)))
}

func TestKeys(t *testing.T) {
	s := newStage(t)
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	good := publicKey(t, edwards)
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)

	key, err := s.AddKey(t.Context(), s.actor, "", good+" me@\x1b[31mlaptop")
	require.NoError(t, err)
	require.Equal(t, "me@·[31mlaptop", key.Name)
	require.Equal(t, good, key.PublicKey)
	_, err = s.AddKey(t.Context(), s.actor, "again", good)
	require.True(t, models.IsCode(err, models.Conflict))
	for _, accepted := range []string{publicKey(t, &strong.PublicKey), "# mine\n\n" + publicKey(t, &curve.PublicKey) + "\r\n"} {
		_, err = s.AddKey(t.Context(), s.actor, "", accepted)
		require.NoError(t, err)
	}
	actor, err := s.ActorByKey(t.Context(), key.Fingerprint)
	require.NoError(t, err)
	require.Equal(t, "key "+key.Fingerprint, actor.Via)

	const dss = "ssh-dss AAAAB3NzaC1kc3MAAAAJAQAAAAAAAAABAAAACQEAAAAAAAAAAQAAAAkBAAAAAAAAAAEAAAAJAQAAAAAAAAAB"
	for name, text := range map[string]string{
		"that is a private key":                 "-----BEGIN OPENSSH PRIVATE KEY-----\nx",
		"a key with options is not accepted":    `command="rm" ` + good,
		"one key at a time":                     good + "\n" + good,
		"an RSA key of 1024 bits is too weak":   publicKey(t, &weak.PublicKey),
		"that is not an SSH public key":         "ssh-ed25519 AAAA",
		"the text is too long for a public key": good + strings.Repeat(" ", maxKeyText),
		"that is not an SSH public key (dss)":   dss,
	} {
		_, err := s.AddKey(t.Context(), s.actor, "", text)
		require.True(t, models.IsCode(err, models.Invalid), "%s: %v", name, err)
		require.Contains(t, err.Error(), strings.TrimSuffix(name, " (dss)"))
		require.Equal(t, "public_key", models.AsError(err).Field)
	}
	require.NoError(t, s.RemoveKey(t.Context(), s.actor, key.Name))
	_, err = s.ActorByKey(t.Context(), key.Fingerprint)
	require.True(t, models.IsCode(err, models.Unauthorized))
}

func TestVault(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "master.json")
	_, err := OpenVault(path, true)
	require.ErrorContains(t, err, "restore it from your backup")
	vault, err := OpenVault(path, false)
	require.NoError(t, err)
	app, other := models.NewID(), models.NewID()
	sealed, err := vault.seal(ofApp(app, "env A"), []byte("secret"))
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "secret")

	reopened, err := OpenVault(path, true)
	require.NoError(t, err)
	plain, err := reopened.open(ofApp(app, "env A"), sealed)
	require.NoError(t, err)
	require.Equal(t, "secret", string(plain))

	changed := append([]byte{}, sealed...)
	changed[len(changed)-1]++
	for name, open := range map[string]func() ([]byte, error){
		"another variable": func() ([]byte, error) { return vault.open(ofApp(app, "env B"), sealed) },
		"another app":      func() ([]byte, error) { return vault.open(ofApp(other, "env A"), sealed) },
		"changed":          func() ([]byte, error) { return vault.open(ofApp(app, "env A"), changed) },
		"cut":              func() ([]byte, error) { return vault.open(ofApp(app, "env A"), sealed[:10]) },
		"empty":            func() ([]byte, error) { return vault.open(ofApp(app, "env A"), nil) },
	} {
		_, err := open()
		require.Error(t, err, name)
	}
}

// TestRotatedKeys: a fresh master key seals everything anew while configs change;
// agents' credentials hold until the former key is dropped a day later.
func TestRotatedKeys(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	_, err := s.push(t, 1)
	require.NoError(t, err)
	set := func(key, value string) {
		_, err := s.ChangeConfig(ctx, s.actor, s.live(t), ConfigChange{Set: map[string]string{key: value}}, silent{})
		require.NoError(t, err)
	}
	set("A", "1")
	node, err := s.EnsureNode(ctx, "local")
	require.NoError(t, err)
	credential, err := s.AgentToken(node.ID)
	require.NoError(t, err)
	former := *s.Vault.ring.Load()
	elsewhere, err := OpenVault(s.Vault.path, true) // another process with the same ring
	require.NoError(t, err)

	var changing sync.WaitGroup
	changing.Go(func() {
		for i := range 5 {
			set("B", strconv.Itoa(i))
		}
	})
	rotation, err := s.RotateKeys(ctx, s.actor)
	require.NoError(t, err)
	require.NotZero(t, rotation.Resealed)
	changing.Wait()
	config, err := s.Config(ctx, s.actor, s.live(t), true)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": "1", "B": "4"}, config)
	_, err = s.AuthenticateAgent(ctx, "Bearer "+credential)
	require.NoError(t, err, "a credential that the former key signed")
	rows, err := s.Store.EnvVars(ctx, s.app.ID)
	require.NoError(t, err)
	for _, row := range rows {
		require.True(t, s.Vault.isCurrent(row.Value))
		_, err := elsewhere.open(ofApp(s.app.ID, "env "+row.Key), row.Value)
		require.NoError(t, err, "the other process learns of the key")
	}

	require.NoError(t, s.dropKeys(ctx, now()))
	require.Len(t, s.Vault.keys(), 2)
	require.NoError(t, s.dropKeys(ctx, now().Add(AgentTokenLife+2*time.Hour)))
	require.Len(t, s.Vault.keys(), 1)
	require.NotEqual(t, former[0].ID, s.Vault.keys()[0].ID)
	_, err = s.AuthenticateAgent(ctx, "Bearer "+credential)
	require.True(t, models.IsCode(err, models.Unauthorized))
	releases, err := s.Releases(ctx, s.live(t), models.PageRequest{})
	require.NoError(t, err)
	for _, release := range releases.Items {
		_, err := s.configOf(release.Release)
		require.NoError(t, err)
	}
}

func TestDamagedKeyRings(t *testing.T) {
	for _, text := range []string{"", "[]", "{", `[{"id":"00","key":"AA=="}]`, `[{"id":"00000000","key":""}]`, "null"} {
		path := filepath.Join(t.TempDir(), "master.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		_, err := OpenVault(path, false)
		require.ErrorContains(t, err, "is damaged", "%q", text)
	}
}

func TestLanesKeepOrder(t *testing.T) {
	l := newLanes(t.Context())
	app, other := models.NewID(), models.NewID()
	release := make(chan struct{})
	var order []int
	enter := func(number int) *work {
		w := &work{run: func(context.Context) error {
			<-release
			order = append(order, number)
			return nil
		}}
		l.enter(app, w)
		return w
	}
	last := []*work{enter(1), enter(2), enter(3)}[2]
	require.NoError(t, l.do(t.Context(), other, func(context.Context) error { return nil }), "apps do not wait for one another")
	close(release)
	<-last.done
	l.wait()
	require.Equal(t, []int{1, 2, 3}, order)
	require.Empty(t, l.byApp, "an idle lane takes no room")
}

func TestLanesKeepOnlyTheNewestPush(t *testing.T) {
	l := newLanes(t.Context())
	app := models.NewID()
	release := make(chan struct{})
	push := func() *work {
		id := models.NewID()
		return &work{build: &id, run: func(context.Context) error { <-release; return nil }}
	}
	running, waiting, newest := push(), push(), push()
	_, busy := l.enter(app, running)
	require.False(t, busy)
	l.enter(app, waiting)
	config := &work{run: func(context.Context) error { return nil }}
	l.enter(app, config)
	displaced, busy := l.enter(app, newest)
	require.True(t, busy)
	require.Equal(t, []*work{waiting}, displaced)
	<-waiting.done
	require.ErrorIs(t, waiting.err, errSuperseded)
	close(release)
	<-newest.done
	require.NoError(t, newest.err)
	require.NoError(t, config.err, "only pushes supersede one another")
}

func TestLaneWorkGoesOnWithoutItsCaller(t *testing.T) {
	l := newLanes(t.Context())
	app := models.NewID()
	ctx, leave := context.WithCancel(t.Context())
	begun, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	returned := make(chan error, 1)
	go func() {
		returned <- l.do(ctx, app, func(ctx context.Context) error {
			close(begun)
			<-release
			ended <- ctx.Err()
			return nil
		})
	}()
	<-begun
	leave()
	require.ErrorIs(t, <-returned, context.Canceled)
	close(release)
	require.NoError(t, <-ended)
}

func TestLanesDrop(t *testing.T) {
	l := newLanes(t.Context())
	app := models.NewID()
	release := make(chan struct{})
	running := &work{run: func(context.Context) error { <-release; return nil }}
	waiting := &work{run: func(context.Context) error { t.Error("ran"); return nil }}
	l.enter(app, running)
	l.enter(app, waiting)
	require.False(t, l.drop(app, running, errCancelled))
	require.True(t, l.drop(app, waiting, errCancelled))
	require.False(t, l.drop(models.NewID(), waiting, errCancelled))
	<-waiting.done
	require.ErrorIs(t, waiting.err, errCancelled)
	close(release)
	l.wait()
}

func TestCheckConfig(t *testing.T) {
	for name, test := range map[string]struct {
		set   map[string]string
		unset []string
		code  models.Code
		field string
	}{
		"fine":            {map[string]string{"A_1": "x\ny", "_b": strings.Repeat("x", maxEnvValue)}, []string{"OLD"}, "", ""},
		"PORT":            {map[string]string{"PORT": "1"}, nil, models.Invalid, "PORT"},
		"SKY_":            {nil, []string{"SKY_RELEASE"}, models.Invalid, "SKY_RELEASE"},
		"digit first":     {map[string]string{"1A": ""}, nil, models.Invalid, "key"},
		"equals":          {map[string]string{"A=B": ""}, nil, models.Invalid, "key"},
		"newline":         {map[string]string{"A\n": ""}, nil, models.Invalid, "key"},
		"too long":        {map[string]string{"A": strings.Repeat("x", maxEnvValue+1)}, nil, models.TooLarge, "A"},
		"NUL":             {map[string]string{"A": "\x00"}, nil, models.Invalid, "A"},
		"unset of a word": {nil, []string{""}, models.Invalid, "key"},
	} {
		err := ConfigChange{Set: test.set, Unset: test.unset}.check()
		if test.code == "" {
			require.NoError(t, err, name)
			continue
		}
		require.True(t, models.IsCode(err, test.code), "%s: %v", name, err)
		require.Equal(t, test.field, models.AsError(err).Field, name)
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain – ünï 漢 🙂":    "plain – ünï 漢 🙂",
		"\x1b[31mred\x1b[0m": "·[31mred·[0m",
		"a\tb":               "a b",
		"\r\nover":           "··over",
		"\u009b2J":           "·2J",
		"\x7f":               "·",
		"abc\u202egpj.exe":   "abc·gpj.exe",
		"\u2066x\u2069":      "·x·",
		"bad \xff\xfe utf-8": "bad · utf-8",
	} {
		require.Equal(t, want, narrative.Clean(text))
	}
}

func TestReadOptions(t *testing.T) {
	require.Equal(t, pushOptions{}, readOptions([]string{"ci.skip", "", "merge_request.create"}))
	require.Equal(t, pushOptions{noDeploy: true, clearCache: true, branch: "a=b"},
		readOptions([]string{"no-deploy", "clear-cache=yes", "branch=x", "branch=a=b"}))
}

func TestSplit(t *testing.T) {
	main := &models.RefUpdate{Name: "refs/heads/main", New: oid(1)}
	side := &models.RefUpdate{Name: "refs/heads/side", New: oid(1)}
	refused := &models.RefUpdate{Name: "refs/heads/main", New: oid(1), Err: models.Errorf(models.Invalid, "no")}
	deleted := &models.RefUpdate{Name: "refs/heads/main", New: models.ZeroObject}
	for name, test := range map[string]struct {
		updates []*models.RefUpdate
		deploy  *models.RefUpdate
		others  []*models.RefUpdate
	}{
		"deploys":       {[]*models.RefUpdate{side, main}, main, []*models.RefUpdate{side}},
		"another":       {[]*models.RefUpdate{side}, nil, []*models.RefUpdate{side}},
		"refused":       {[]*models.RefUpdate{refused}, nil, []*models.RefUpdate{refused}},
		"deletes":       {[]*models.RefUpdate{deleted}, nil, []*models.RefUpdate{deleted}},
		"a tag of main": {[]*models.RefUpdate{{Name: "refs/tags/main", New: oid(1)}}, nil, nil},
	} {
		deploy, others := split(&models.Push{App: models.App{DeployBranch: "main"}, Updates: test.updates})
		require.Same(t, test.deploy, deploy, name)
		if test.others != nil {
			require.Equal(t, test.others, others, name)
		}
	}
}

func TestConfigIsSealedPerRow(t *testing.T) {
	s := newStage(t)
	_, err := s.ChangeConfig(t.Context(), s.actor, s.app, ConfigChange{Set: map[string]string{"A": "1", "B": "2"}}, silent{})
	require.NoError(t, err)
	vars, err := s.Store.EnvVars(t.Context(), s.app.ID)
	require.NoError(t, err)
	vars[0].Value, vars[1].Value = vars[1].Value, vars[0].Value
	require.NoError(t, s.Store.ChangeEnv(t.Context(), s.app.ID, vars, nil))
	_, err = s.Config(t.Context(), s.actor, s.app, true)
	require.ErrorContains(t, err, "it was changed or moved")
}
