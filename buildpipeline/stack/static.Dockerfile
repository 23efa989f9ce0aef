# A small web server for files.
ARG VERSION
FROM sky-stack/base:bookworm AS run
RUN apt-get update && apt-get install -y --no-install-recommends nginx-light \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/www/html

FROM run AS build
