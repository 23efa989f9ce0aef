package platform

import (
	"encoding/base64"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretsAreHiddenInEveryForm(t *testing.T) {
	const secret = "p@ss word/42+x"
	config := map[string]string{
		"DATABASE_URL": "postgres://shop:" + secret + "@db/shop", "PASSWORD": secret, "NODE_ENV": "production",
		"PIN": "4711x", "PIN_UNFLAGGED": "0815x", "PORTS": "3000.8080", "CERT": "-----BEGIN-----\nMIIBszCCAVmg\n-----END-----",
	}
	r := newRedactor(config, []string{"PIN"})
	for text, want := range map[string]string{
		"login " + secret + " refused":                        "login [PASSWORD] refused",
		base64.StdEncoding.EncodeToString([]byte(secret)):     "[PASSWORD]",
		base64.RawURLEncoding.EncodeToString([]byte(secret)):  "[PASSWORD]",
		"https://x/?p=" + url.QueryEscape(secret) + "&q=1":    "https://x/?p=[PASSWORD]&q=1",
		"https://x/" + url.PathEscape(secret):                 "https://x/[PASSWORD]",
		"at postgres://shop:" + secret + "@db/shop":           "at [DATABASE_URL]",
		"building for production on 3000.8080 with pin 4711x": "building for production on 3000.8080 with pin [PIN]",
		"0815x is short": "0815x is short",
		"MIIBszCCAVmg":   "[CERT]",
	} {
		require.Equal(t, want, r.Clean(text))
	}
	require.Equal(t, secret, (*redactor)(nil).Clean(secret))
}
