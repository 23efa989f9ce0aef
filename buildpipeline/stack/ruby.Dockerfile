# Ruby as Debian builds it, with the libraries that common native gems link to.
ARG VERSION
FROM sky-stack/base:bookworm AS run
RUN apt-get update && apt-get install -y --no-install-recommends \
      ruby bundler libpq5 libsqlite3-0 libmariadb3 libyaml-0-2 libxml2 libxslt1.1 libffi8 libgmp10 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

FROM sky-stack/toolchain:bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
      ruby ruby-dev bundler libyaml-dev libxml2-dev libxslt1-dev libgmp-dev \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
