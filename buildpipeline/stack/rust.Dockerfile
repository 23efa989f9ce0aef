# Rust as Debian builds it for its browsers, which is kept recent. What runs
# needs no more than the base.
ARG VERSION
FROM sky-stack/toolchain:bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends rustc-web cargo-web clang libclang-dev cmake protobuf-compiler \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

FROM sky-stack/base:bookworm AS run
RUN apt-get update && apt-get install -y --no-install-recommends libssl3 libpq5 libsqlite3-0 libmariadb3 libgcc-s1 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
