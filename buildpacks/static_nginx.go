package buildpacks

import (
	"fmt"
	"slices"
	"strings"
)

// config is the server's configuration. It needs no right of root's: everything
// that nginx writes is in /tmp. $sky_path is the path that was asked for, which
// no rewrite changes.
func (s *staticSite) config() string {
	return staticHead + s.maps() + staticServer + s.serverRules() + s.locations() + "  }\n}\n"
}

const staticHead = `include /etc/nginx/modules-enabled/*.conf;
daemon off;
pid /tmp/nginx.pid;
error_log stderr warn;
worker_processes 1;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  types { application/javascript mjs; application/manifest+json webmanifest; }
  default_type application/octet-stream;
  charset utf-8;
  charset_types text/html text/css text/plain text/xml application/javascript application/json application/manifest+json;
  access_log off;
  server_tokens off;
  sendfile on;
  gzip_static on;
  gzip_vary on;
  brotli_static on;
  variables_hash_max_size 8192;
  client_body_temp_path /tmp/nginx-body;
  proxy_temp_path /tmp/nginx-proxy;
  fastcgi_temp_path /tmp/nginx-fastcgi;
  uwsgi_temp_path /tmp/nginx-uwsgi;
  scgi_temp_path /tmp/nginx-scgi;
  geo $sky_dollar { default "$"; }
`

const staticServer = `  server {
    listen SKY_PORT;
    root /app;
    absolute_redirect off;
    uninitialized_variable_warn off;
    error_page 404 $sky_missing;
    add_header Cache-Control $sky_cache;
`

// Names of assets that change with their contents may be kept for ever: a hash
// of hexadecimal digits anywhere, and where a bundler made the site, the hashes
// and directories that bundlers use. All else is asked for again, with its ETag.
const (
	forever   = "public, max-age=31536000, immutable"
	assetKind = `\.(?:js|mjs|css|woff2?|ttf|png|jpe?g|gif|svg|webp|avif|ico|wasm|map|mp4|webm)$`
	// hexHash holds a digit, lest it be a word.
	hexHash    = `[.-](?=[a-f]*\d)[0-9a-f]{8,}(?:\.\w+)?` + assetKind
	bundleHash = `^/(?:_next/static|_nuxt|_astro|_app/immutable)/|^/assets/.*[.-](?=[\w-]*[A-Z0-9])[\w-]{8}` + assetKind
)

// maps say which headers and which page for missing files a path gets.
func (s *staticSite) maps() string {
	var text strings.Builder
	text.WriteString("  map $sky_path $sky_missing {\n    default /404.html;\n")
	for _, rule := range s.redirects {
		if rule.status == 404 {
			fmt.Fprintf(&text, "    %s %s;\n", quote("~"+rule.pattern), quote(rule.to))
		}
	}
	text.WriteString("  }\n  map $sky_path $sky_cache {\n    default no-cache;\n")
	for _, rule := range s.headers {
		if strings.EqualFold(rule.name, "Cache-Control") {
			fmt.Fprintf(&text, "    %s \"\";\n", quote("~"+rule.pattern))
		}
	}
	fmt.Fprintf(&text, "    %s %q;\n", quote("~"+hexHash), forever)
	if s.built {
		fmt.Fprintf(&text, "    %s %q;\n", quote("~"+bundleHash), forever)
	}
	text.WriteString("  }\n")
	for number, rule := range s.headers {
		if !rule.detach {
			text.WriteString(s.headerMap(number, rule))
		}
	}
	return text.String()
}

// headerMap gives the paths of a rule its value, but those to which a later rule
// denies it.
func (s *staticSite) headerMap(number int, rule headerRule) string {
	var text strings.Builder
	fmt.Fprintf(&text, "  map $sky_path $sky_header_%d {\n    default \"\";\n", number)
	for _, later := range s.headers[number:] {
		if later.detach && strings.EqualFold(later.name, rule.name) {
			fmt.Fprintf(&text, "    %s \"\";\n", quote("~"+later.pattern))
		}
	}
	value := strings.ReplaceAll(rule.value, "$", "${sky_dollar}")
	fmt.Fprintf(&text, "    %s %s;\n  }\n", quote("~"+rule.pattern), quote(value))
	return text.String()
}

// serverRules are what every request meets first. A decoded path with control
// characters could end a header, and a directory's page needs the last slash for
// its links.
func (s *staticSite) serverRules() string {
	var text strings.Builder
	for number, rule := range s.headers {
		if !rule.detach && !isContentType(rule) {
			fmt.Fprintf(&text, "    add_header %s $sky_header_%d always;\n", rule.name, number)
		}
	}
	text.WriteString(`    if ($sky_path = "") { set $sky_path $uri; }
    if ($uri ~ "[[:cntrl:]]") { return 400; }
`)
	for _, rule := range s.redirects {
		if rule.force {
			text.WriteString("    " + rule.directive("last") + "\n")
		}
	}
	text.WriteString("    if (-f $document_root$uri/index.html) { rewrite ^(.*[^/])$ $1/ permanent; }\n")
	return text.String()
}

const tryFiles = "try_files $uri $uri/index.html $uri.html @rules;"

// locations serve the files; @rules are for paths that no file has.
func (s *staticSite) locations() string {
	var text strings.Builder
	text.WriteString("    location ~ /\\.(?!well-known(?:/|$)) { return 404; }\n")
	for _, rule := range s.headers {
		if isContentType(rule) && !rule.detach {
			fmt.Fprintf(&text, "    location ~ %s { types { } default_type %s; %s }\n", quote(rule.pattern), quote(rule.value), tryFiles)
		}
	}
	fmt.Fprintf(&text, "    location = /404.html { try_files $uri =404; }\n    location / { %s }\n    location @rules {\n", tryFiles)
	for _, rule := range s.redirects {
		if !rule.force {
			text.WriteString("      " + rule.directive("break") + "\n")
		}
	}
	if s.spa { // a missing asset is missing: a page in its place breaks the app strangely
		fmt.Fprintf(&text, "      if ($uri ~ %s) { return 404; }\n      rewrite ^ /index.html break;\n", quote(assetKind))
	}
	text.WriteString("      try_files $uri $uri/index.html $uri.html =404;\n    }\n")
	return text.String()
}

func isContentType(rule headerRule) bool { return strings.EqualFold(rule.name, "Content-Type") }

// directive writes a rule as nginx's. flag ends an internal rewrite: "last" where
// locations follow, "break" in one. rewrite encodes what it captured; return does
// not, and serves the statuses that rewrite does not know.
func (r redirect) directive(flag string) string {
	switch r.status {
	case 200:
		return fmt.Sprintf("rewrite %s %s %s;", quote(r.pattern), quote(r.to), flag)
	case 301:
		return fmt.Sprintf("rewrite %s %s permanent;", quote(r.pattern), quote(r.to))
	case 302:
		return fmt.Sprintf("rewrite %s %s redirect;", quote(r.pattern), quote(r.to))
	case 404:
		return fmt.Sprintf("if ($uri ~ %s) { return 404; }", quote(r.pattern))
	default:
		query := "$is_args$args"
		if strings.Contains(r.to, "?") {
			query = ""
		}
		return fmt.Sprintf("if ($uri ~ %s) { return %d %s; }", quote(r.pattern), r.status, quote(strings.TrimSuffix(r.to, "?")+query))
	}
}

var nginxEscapes = []string{`\`, `\\`, `"`, `\"`}

// quote writes text as one word of nginx's configuration.
func quote(text string) string {
	text = strings.NewReplacer(nginxEscapes...).Replace(text)
	return `"` + strings.Join(slices.DeleteFunc(strings.SplitAfter(text, ""), isControl), "") + `"`
}

func isControl(letter string) bool { return letter < " " || letter == "\x7f" }
