package buildpipeline

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"math/big"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/skypanel/sky/buildpacks"
	"github.com/stretchr/testify/require"
)

// TestLayersKeepNothing builds an app of each language with a variable that its
// build may read, with a private certificate authority and with a .git directory,
// and reads all layers and the history of the image: none of these is there, nor
// what compiles.
func TestLayersKeepNothing(t *testing.T) {
	if raceDetector {
		t.Skip("BuildKit races with itself; scripts/test.sh runs this without the detector")
	}
	for _, name := range []string{"node-npm", "python-flask", "go-embed", "php-composer", "static-build"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			authority := b.addAuthority(t)
			secret := "pl4nted/" + b.app.String() + "+&=?"
			archive, err := txtar.ParseFile("testdata/apps/" + name + ".txtar")
			require.NoError(t, err)
			app := readApp(t, archive)
			result, err := b.Build(t.Context(), Job{
				App: b.models().Name, AppID: b.app, Number: 7, Commit: "c0ffee", Log: b.log, Runtimes: everyStack(),
				Files: withGit(t, app.files), Options: app.options,
				Variables: map[string]string{"PLANTED": secret}, VariablesHash: b.app.String(),
			})
			require.NoError(t, err, "%s", strings.Join(b.log.detail, "\n"))
			require.Contains(t, result.Dockerfile, "id="+buildpacks.VariablesSecret, "the build can read the variable")
			require.Contains(t, result.Dockerfile, "id="+buildpacks.CASecret, "the build trusts the authority")
			require.Empty(t, b.traces(t, result.Image, append(forms(secret), authority)))
			b.checkOwner(t, result)
		})
	}
}

// TestBuildsReadVariables: a variable reaches the commands of a build as it was
// set, whatever is in it.
func TestBuildsReadVariables(t *testing.T) {
	if raceDetector {
		t.Skip("BuildKit races with itself; scripts/test.sh runs this without the detector")
	}
	b := newBench(t)
	odd := "it's \"odd\" $HOME `id` \\\nand has two lines\n"
	result, err := b.Build(t.Context(), Job{
		App: b.models().Name, AppID: b.app, Number: 1, Commit: "c0ffee", Log: b.log, Runtimes: everyStack(),
		Files:     commit(map[string]string{"Staticfile": "root: out\n"}),
		Options:   Options{BuildCommand: `mkdir out && printf %s "$ODD" > out/index.html && echo "$PLAIN" > out/plain.txt`},
		Variables: map[string]string{"ODD": odd, "PLAIN": "plain"}, VariablesHash: b.app.String(),
	})
	require.NoError(t, err, "%s", strings.Join(b.log.detail, "\n"))
	site := b.serve(t, result, nil)
	site.get(t, expectedAnswer{path: "/", text: odd, status: http.StatusOK})
	site.get(t, expectedAnswer{path: "/plain.txt", text: "plain", status: http.StatusOK})
	require.NotContains(t, strings.Join(b.log.said, "\n"), buildpacks.VariablesSecret, "the pusher sees the command alone")
}

// TestTracesAreFound holds what looks into layers to Dockerfiles that leave
// something there, of which later layers delete some.
func TestTracesAreFound(t *testing.T) {
	b := newBench(t)
	secret := "pl4nted/" + b.app.String() + "+&=?"
	for name, test := range map[string]struct{ step, want string }{
		"plain":    {"RUN --mount=type=secret,id=PLANTED cp /run/secrets/PLANTED /tmp/x && rm -f /y", "tmp/x holds " + secret},
		"deleted":  {"RUN --mount=type=secret,id=PLANTED base64 -w0 /run/secrets/PLANTED > /x\nRUN rm /x", "x holds " + forms(secret)[1]},
		"history":  {"ENV LEFT='" + secret + "'", "configuration holds " + secret},
		".git":     {"RUN mkdir -p /app/.git && touch /app/.git/HEAD", "app/.git/HEAD is there"},
		"compiler": {"RUN touch /usr/bin/x86_64-linux-gnu-gcc-12 && rm /usr/bin/x86_64-linux-gnu-gcc-12\nRUN touch /usr/bin/gcc", "usr/bin/gcc is there"},
	} {
		t.Run(name, func(t *testing.T) {
			b.number++
			result, err := b.Build(t.Context(), Job{
				App: b.models().Name, AppID: b.app, Number: b.number, Log: b.log, Runtimes: ownDockerfiles,
				Files:     commit(map[string]string{"Dockerfile": "FROM " + testBase + "\nARG " + buildpacks.VariablesHash + "\n" + test.step + "\n"}),
				Variables: map[string]string{"PLANTED": secret}, VariablesHash: b.app.String(),
			})
			require.NoError(t, err)
			require.Contains(t, b.traces(t, result.Image, forms(secret)), test.want)
		})
	}
}

// addAuthority has b's builds trust a certificate of the test's own beside those
// that they trust already, and returns a line of it.
func (b *bench) addAuthority(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), IsCA: true, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	if b.extraCA == nil { // the mount hides the image's own
		b.extraCA = []byte(b.run(t, testBase, "cat", "/etc/ssl/certs/ca-certificates.crt"))
	}
	b.extraCA = slices.Concat(b.extraCA, []byte("\n"), text)
	return strings.Split(string(text), "\n")[1]
}

// withGit adds what `git init` leaves in a directory.
func withGit(t *testing.T, files fs.FS) fs.FS {
	shown, ok := files.(fstest.MapFS)
	require.True(t, ok)
	shown[".git/HEAD"] = &fstest.MapFile{Data: []byte("ref: refs/heads/main\n"), Mode: 0o644}
	return shown
}

// forms are the ways in which programs write a secret down.
func forms(secret string) []string {
	return []string{
		secret, base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret)),
		url.QueryEscape(secret), url.PathEscape(secret),
	}
}

// compilers are programs that no image needs in order to run an app.
var compilers = []string{"gcc", "g++", "cc", "c++", "clang", "cpp", "cc1", "ld", "as", "make", "go", "rustc", "cargo", "javac", "composer", "gcc-12"}

// traces lists what the image's layers and configuration hold of words, of .git
// and of compilers.
func (b *bench) traces(t *testing.T, image string, words []string) []string {
	saved, err := b.docker.ImageSave(t.Context(), []string{image})
	require.NoError(t, err)
	defer func() { require.NoError(t, saved.Close()) }()
	var found []string
	layers := 0
	eachFile(t, saved, func(name string, content io.Reader) {
		data, err := io.ReadAll(content)
		require.NoError(t, err)
		unpacked := unpack(t, data)
		if unpacked == nil {
			found = append(found, holds("configuration", data, words)...)
			return
		}
		layers++
		eachFile(t, unpacked, func(name string, content io.Reader) {
			if segments := strings.Split(name, "/"); slices.Contains(segments, ".git") {
				found = append(found, name+" is there")
			}
			if strings.HasSuffix(path.Dir(name), "bin") && slices.Contains(compilers, path.Base(name)) {
				found = append(found, name+" is there")
			}
			data, err := io.ReadAll(content)
			require.NoError(t, err)
			found = append(found, holds(name, data, words)...)
		})
	})
	require.Positive(t, layers)
	return found
}

func holds(name string, data []byte, words []string) (found []string) {
	for _, word := range words {
		if bytes.Contains(data, []byte(word)) || bytes.Contains(data, jsonText(word)) {
			found = append(found, name+" holds "+word)
		}
	}
	return found
}

// jsonText is word as JSON has it, without the quotes.
func jsonText(word string) []byte {
	text, _ := json.Marshal(word) // a string: it cannot fail
	return bytes.Trim(text, `"`)
}

// eachFile visits what an archive holds: a file's contents, a link's target.
func eachFile(t *testing.T, archive io.Reader, visit func(name string, content io.Reader)) {
	reader := tar.NewReader(archive)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(t, err)
		switch header.Typeflag {
		case tar.TypeReg:
			visit(header.Name, reader)
		case tar.TypeSymlink, tar.TypeLink:
			visit(header.Name, strings.NewReader(header.Linkname))
		}
	}
}

// unpack returns the archive that data is, compressed or not, or nil.
func unpack(t *testing.T, data []byte) io.Reader {
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		reader, err := gzip.NewReader(bytes.NewReader(data))
		require.NoError(t, err)
		return reader
	}
	const magic = 257 // where a tar header has the word
	if len(data) > magic+5 && string(data[magic:magic+5]) == "ustar" {
		return bytes.NewReader(data)
	}
	return nil
}

// checkOwner reads who runs the image, and what made it.
func (b *bench) checkOwner(t *testing.T, result Result) {
	info, err := b.docker.ImageInspect(t.Context(), result.Image)
	require.NoError(t, err)
	require.Equal(t, "10001:10001", info.Config.User)
	require.Equal(t, "uid=10001 gid=10001 groups=10001\n", b.run(t, result.Image, "/bin/sh", "-c", "exec id"))
	for label, value := range map[string]string{
		LabelApp: b.models().Name, "sky.build": "7", "sky.commit": "c0ffee", "sky.version": "v1.2.3-test",
	} {
		require.Equal(t, value, info.Config.Labels[label], label)
	}
}
