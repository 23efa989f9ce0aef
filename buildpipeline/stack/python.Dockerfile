# Python as Debian builds it.
ARG VERSION
FROM sky-stack/base:bookworm AS run
RUN apt-get update && apt-get install -y --no-install-recommends python3 libpq5 libsqlite3-0 libmariadb3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* && ln -sf python3 /usr/bin/python

FROM sky-stack/toolchain:bookworm AS build
RUN ln -sf python3 /usr/bin/python
