package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPublicURL(t *testing.T) {
	for given, wanted := range map[string]string{
		"": "http://sky.test:8080", "https://sky.example.com": "https://sky.example.com", "https://sky.example.com/": "https://sky.example.com",
		"http://10.0.0.1:8080": "http://10.0.0.1:8080", "https://[::1]:8443": "https://[::1]:8443",
	} {
		c := &serverConfig{http: "0.0.0.0:8080", domain: "sky.test", publicURL: given}
		require.NoError(t, c.checkPublicURL(), given)
		require.Equal(t, wanted, c.publicURL)
	}
	for _, wrong := range []string{
		"sky.example.com", "ftp://sky.example.com", "https://", "https://me@sky.example.com", "https://sky.example.com/path",
		"https://sky.example.com?x", "https://sky.example.com#x", "javascript:alert(1)", "//sky.example.com", "https://a b",
	} {
		c := &serverConfig{publicURL: wrong}
		require.ErrorContains(t, c.checkPublicURL(), "is not an address", wrong)
	}
}

func TestBuildAllow(t *testing.T) {
	for networks, valid := range map[string]bool{"10.0.0.0/8": true, "10.1.2.3": true, "all": true, "mirror": false, "10.0.0.0/99": false} {
		c := &serverConfig{http: "127.0.0.1:1", ssh: "127.0.0.1:2", ingress: "127.0.0.1:3", domain: "x", builds: 1, catchUpEvery: time.Minute, dataDir: t.TempDir(), buildAllow: []string{networks}}
		require.Equal(t, valid, c.check() == nil, networks)
	}
}

func TestRuntime(t *testing.T) {
	for name, valid := range map[string]bool{"": true, "docker": true, "swarm": true, "Swarm": false, "podman": false} {
		c := &serverConfig{http: "127.0.0.1:1", ssh: "127.0.0.1:2", ingress: "127.0.0.1:3", domain: "x", builds: 1, catchUpEvery: time.Minute, dataDir: t.TempDir(), runtime: name}
		require.Equal(t, valid, c.check() == nil, name)
	}
}

func TestTrustedProxies(t *testing.T) {
	for networks, valid := range map[string]bool{"10.0.0.0/8": true, "192.0.2.1": true, "fd00::/8": true, "proxy": false, "10.0.0.0/99": false} {
		c := &serverConfig{http: "127.0.0.1:1", ssh: "127.0.0.1:2", ingress: "127.0.0.1:3", domain: "x", builds: 1, catchUpEvery: time.Minute, dataDir: t.TempDir(), proxies: []string{networks}}
		require.Equal(t, valid, c.check() == nil, networks)
	}
}
