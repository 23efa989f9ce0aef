package buildpacks

import (
	"strings"

	"github.com/skypanel/sky/models"
)

func detectStatic(src source) (*Plan, error) {
	evidence := src.first("Staticfile", "index.html", "public/index.html", "dist/index.html")
	if evidence == "" {
		return nil, nil
	}
	root := "."
	if dir, name, ok := strings.Cut(evidence, "/"); ok && name == "index.html" {
		root = dir
	}
	return &Plan{
		Language: "Static site", Reasons: []string{evidence}, Port: defaultPort,
		Need:      &Requirement{Type: "static"},
		Render:    func(images Images) string { return renderStatic(images, root) },
		Processes: models.Processes{models.WebProcess: {"nginx", "-c", staticConfigPath}},
	}, nil
}

const staticConfigPath = "/etc/sky/nginx.conf"

// staticConfig makes nginx serve files without root's rights: everything that
// it writes is in /tmp. It listens on defaultPort, which the plan announces.
const staticConfig = `daemon off;
pid /tmp/nginx.pid;
error_log /dev/stderr warn;
worker_processes 1;
events { worker_connections 1024; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log off;
  sendfile on;
  gzip on;
  gzip_types text/css text/plain application/javascript application/json image/svg+xml;
  client_body_temp_path /tmp/nginx-body;
  proxy_temp_path /tmp/nginx-proxy;
  fastcgi_temp_path /tmp/nginx-fastcgi;
  uwsgi_temp_path /tmp/nginx-uwsgi;
  scgi_temp_path /tmp/nginx-scgi;
  server {
    listen 8080;
    root /app;
    index index.html;
    absolute_redirect off;
    error_page 404 /404.html;
    location ~ /\.(?!well-known) { return 404; }
    location / { try_files $uri $uri.html $uri/ =404; }
  }
}
`

func renderStatic(images Images, root string) string {
	file := render(images)
	file.line("FROM %s", images.Run)
	file.line("COPY <<'EOF' %s\n%sEOF", staticConfigPath, staticConfig)
	file.line("WORKDIR /app")
	file.line("COPY %s ./", root)
	return file.last()
}
