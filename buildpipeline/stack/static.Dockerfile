# A small web server for files, and what compresses them beforehand.
ARG VERSION
FROM sky-stack/base:bookworm AS run
RUN apt-get update && apt-get install -y --no-install-recommends nginx-light libnginx-mod-http-brotli-static brotli \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/www/html

FROM run AS build
