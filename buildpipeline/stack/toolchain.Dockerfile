# What compiling needs in any language. Never part of what runs.
FROM sky-stack/base:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends \
      build-essential git curl unzip xz-utils pkg-config python3 python3-dev python3-pip python3-venv \
      libpq-dev libsqlite3-dev libssl-dev libffi-dev zlib1g-dev default-libmysqlclient-dev \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
