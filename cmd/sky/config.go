package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/skypanel/sky/agent"
	"github.com/skypanel/sky/buildpipeline"
	"github.com/skypanel/sky/gitserver"
	"github.com/skypanel/sky/gitserver/packfile"
	"github.com/skypanel/sky/models/store"
	"github.com/spf13/pflag"
)

// serverConfig is how `sky up` and `sky server` run. Flags set it, and behind
// them the SKY_… environment.
type serverConfig struct {
	dataDir     string
	http        string
	ssh         string
	ingress     string
	domain      string
	publicURL   string
	publicSSH   string
	tlsCert     string // a file, or ownCertificate
	tlsKey      string
	agentCA     string
	proxies     []string
	apiRate     int
	databaseURL string
	replica     string // where other control planes of the database reach this one; empty is alone
	runtime     string // of this machine's agent, under sky up
	dockerHost  string
	metrics     string // where Prometheus asks; empty is nowhere
	peer        string // where other nodes reach this one; empty is nowhere
	extraCA     string
	builds      int
	// buildsPerOrg is how many of them one organisation has; 0 is all.
	buildsPerOrg int
	buildAllow   []string
	minFreeMB    int64
	maxPushMB    int64
	// catchUpEvery is how often GitHub is asked whether a push was missed.
	catchUpEvery time.Duration
	logLevel     string
}

func (c *serverConfig) bind(flags *pflag.FlagSet) {
	flags.StringVar(&c.dataDir, "data-dir", defaultDataDir(), "where Sky keeps everything")
	flags.StringVar(&c.http, "http", "127.0.0.1:8080", "address of the API")
	flags.StringVar(&c.ssh, "ssh", "127.0.0.1:2222", "address of the git server")
	flags.StringVar(&c.ingress, "ingress", "127.0.0.1:8000", "address at which apps answer")
	flags.StringVar(&c.domain, "domain", "localhost", "apps answer at APP.<domain>")
	flags.StringVar(&c.publicURL, "public-url", "", "where people reach the API, such as https://sky.example.com; empty derives it from --http")
	flags.StringVar(&c.tlsCert, "tls-cert", "", "PEM file of the API's certificate, or self for one by this installation's own authority; empty speaks no TLS")
	flags.StringVar(&c.tlsKey, "tls-key", "", "PEM file of the certificate's key")
	flags.StringVar(&c.agentCA, "agent-ca", "", "PEM file of the authority by which nodes know the certificate of --public-url, where it is a private one")
	flags.StringVar(&c.publicSSH, "public-ssh", "", "where people reach the git server, such as sky.example.com:22; empty derives it from --ssh")
	flags.StringSliceVar(&c.proxies, "trusted-proxies", nil, "networks of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8")
	flags.IntVar(&c.apiRate, "api-rate", 600, "requests per minute that each token and session has; 0 is without a limit")
	flags.StringVar(&c.databaseURL, "database-url", os.Getenv("DATABASE_URL"), "PostgreSQL; empty uses SQLite in the data directory")
	flags.StringVar(&c.replica, "replica", "", "address at which other control planes of the same PostgreSQL database and data directory reach this one, such as 10.0.0.5:7444; empty where it is the only one")
	flags.StringVar(&c.runtime, "runtime", agent.RuntimeDocker, runtimeUsage+"; for sky up")
	flags.StringVar(&c.dockerHost, "docker-host", "", "Docker's address; empty as the docker command finds it")
	flags.StringVar(&c.peer, "peer", "", "address at which other nodes reach this machine's instances, over TLS, such as :7443; empty where this is the only one")
	flags.StringVar(&c.metrics, "metrics", "", "address at which Prometheus reads /metrics, without credentials: keep it private, such as 127.0.0.1:9100; empty shows nothing")
	flags.StringVar(&c.extraCA, "extra-ca", "", "PEM file of certificate authorities that builds trust too")
	flags.IntVar(&c.builds, "builds", 2, "how many builds run at once on this machine, while no node is a builder; 0 leaves all to builders")
	flags.IntVar(&c.buildsPerOrg, "builds-per-org", 0, "how many builds of one organisation run at once; 0 is as many as there are places")
	flags.StringSliceVar(&c.buildAllow, "build-allow", nil, "private networks that builds may reach, such as 10.1.0.0/16; an address alone may be this machine's; all lifts every bound")
	flags.Int64Var(&c.minFreeMB, "min-free-mb", 512, "refuse pushes, and end builds, when the disk has less free space")
	flags.Int64Var(&c.maxPushMB, "max-push-mb", 2048, "refuse pushes that send more")
	flags.DurationVar(&c.catchUpEvery, "github-catch-up", 5*time.Minute, "how often GitHub is asked whether a push was missed")
	flags.StringVar(&c.logLevel, "log-level", "info", "debug, info, warn or error")
}

func defaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/sky"
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "sky-data"
	}
	return filepath.Join(home, ".local", "share", "sky")
}

// check says what is wrong with the configuration, all of it at once.
func (c *serverConfig) check() error {
	var errs []error
	for _, address := range []struct{ flag, value string }{{"http", c.http}, {"ssh", c.ssh}, {"ingress", c.ingress}} {
		if _, _, err := net.SplitHostPort(address.value); err != nil {
			errs = append(errs, usagef("--%s %q is not an address such as 127.0.0.1:8080", address.flag, address.value))
		}
	}
	errs = append(errs, checkRuntime(c.runtime), c.checkReplica(), c.checkPublicSSH(), c.checkTLS())
	if c.domain == "" || strings.ContainsAny(c.domain, "/: *") {
		errs = append(errs, usagef("--domain %q is not a domain name", c.domain))
	}
	if err := c.checkPublicURL(); err != nil {
		errs = append(errs, err)
	}
	for _, network := range c.proxies {
		if _, _, err := net.ParseCIDR(network); err != nil && net.ParseIP(network) == nil {
			errs = append(errs, usagef("--trusted-proxies %q is not a network such as 10.0.0.0/8", network))
		}
	}
	if _, err := buildpipeline.ParseReach(c.buildAllow); err != nil {
		errs = append(errs, usagef("--build-allow: %s; write networks as 10.1.0.0/16 or 10.1.2.3, or all", err))
	}
	if c.builds < 0 {
		errs = append(errs, usagef("--builds must be 0 or more"))
	}
	if c.catchUpEvery < time.Second {
		errs = append(errs, usagef("--github-catch-up must be at least 1s"))
	}
	if c.buildsPerOrg < 0 {
		errs = append(errs, usagef("--builds-per-org must be 0 or more"))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return os.MkdirAll(c.dataDir, 0o700)
}

// checkReplica says why this cannot be one of several control planes.
func (c *serverConfig) checkReplica() error {
	if c.replica == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.replica)
	if ip := net.ParseIP(host); err != nil || host == "" || (ip != nil && ip.IsUnspecified()) || len(c.replica) > store.MaxAddress {
		return usagef("--replica %q is not an address that others can reach, such as 10.0.0.5:7444, of at most %d characters", c.replica, store.MaxAddress)
	}
	if c.databaseURL == "" {
		return usagef("--replica needs --database-url: only PostgreSQL serves several control planes")
	}
	return nil
}

// checkPublicURL derives the public URL where there is none, and says what is
// wrong with the one that there is.
func (c *serverConfig) checkPublicURL() error {
	if c.publicURL == "" {
		scheme := "http"
		if c.tlsCert != "" {
			scheme = "https"
		}
		c.publicURL = scheme + "://" + reachable(c.http, c.domain)
		return nil
	}
	address, err := url.Parse(c.publicURL)
	wrong := err != nil || address.Hostname() == "" || address.User != nil || address.RawQuery != "" || address.Fragment != "" ||
		strings.Trim(address.Path, "/") != "" || (address.Scheme != "http" && address.Scheme != "https")
	if wrong {
		return usagef("--public-url %q is not an address such as https://sky.example.com", c.publicURL)
	}
	c.publicURL = address.Scheme + "://" + address.Host
	return nil
}

// checkPublicSSH derives the public address where there is none, and says what is
// wrong with the one that there is.
func (c *serverConfig) checkPublicSSH() error {
	if c.publicSSH == "" {
		c.publicSSH = reachable(c.ssh, c.domain)
	}
	if host, port, err := net.SplitHostPort(c.publicSSH); err != nil || host == "" || port == "" {
		return usagef("--public-ssh %q is not an address such as sky.example.com:22", c.publicSSH)
	}
	return nil
}

// readCA reads the extra certificate authorities, or nil.
func (c *serverConfig) readCA() ([]byte, error) { return readCertificates("extra-ca", c.extraCA) }

// readCertificates reads a flag's file, or nil where it names none.
func readCertificates(flag, path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	if !strings.Contains(string(text), "BEGIN CERTIFICATE") {
		return nil, usagef("--%s %s holds no PEM certificate", flag, path)
	}
	return text, nil
}

// gitLimits are what one push, or one fetch, may cost.
func (c *serverConfig) gitLimits() gitserver.Limits {
	return gitserver.Limits{Pack: packfile.Limits{Bytes: c.maxPushMB << 20}}
}

// dialPatience bounds one request to another server.
const dialPatience = 30 * time.Second

// trusting returns a client that trusts extra certificate authorities beside the
// system's. It follows no redirect to another host: a token would go there.
func trusting(extra []byte) (*http.Client, error) {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("the system's certificates: %w", err)
	}
	pool.AppendCertsFromPEM(extra)
	return &http.Client{
		Transport: transportOf(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}), Timeout: dialPatience,
		CheckRedirect: func(request *http.Request, via []*http.Request) error {
			if len(via) > 5 || request.URL.Host != via[0].URL.Host || request.URL.Scheme != via[0].URL.Scheme {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}, nil
}

// reachable is address as a person may use it: an unspecified host becomes the
// domain.
func reachable(address, domain string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = domain
	}
	return net.JoinHostPort(host, port)
}

// local is address as this machine reaches it.
func local(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
