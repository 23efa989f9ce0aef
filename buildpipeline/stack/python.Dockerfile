# Python as Debian builds it: 3.11 is bookworm's own, 3.13 is trixie's, with the
# libraries that it needs.
ARG VERSION
FROM sky-stack/base:bookworm AS run
ARG VERSION
RUN if test "$VERSION" = 3.13; then release=trixie; else release=bookworm; fi \
 && echo "deb http://deb.debian.org/debian trixie main" > /etc/apt/sources.list.d/trixie.list \
 && printf 'Package: *\nPin: release n=trixie\nPin-Priority: 100\n' > /etc/apt/preferences.d/trixie \
 && apt-get update && apt-get install -y --no-install-recommends -t "$release" "python$VERSION" libpq5 libsqlite3-0 libmariadb3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /etc/apt/sources.list.d/trixie.list /etc/apt/preferences.d/trixie \
 && ln -sf "python$VERSION" /usr/bin/python3 && ln -sf python3 /usr/bin/python

FROM sky-stack/toolchain:bookworm AS build
ARG VERSION
RUN if test "$VERSION" = 3.13; then \
      echo "deb http://deb.debian.org/debian trixie main" > /etc/apt/sources.list.d/trixie.list \
   && printf 'Package: *\nPin: release n=trixie\nPin-Priority: 100\n' > /etc/apt/preferences.d/trixie \
   && apt-get update && apt-get install -y --no-install-recommends -t trixie build-essential pkg-config \
      python3.13-dev python3.13-venv python3-pip-whl libpq-dev libsqlite3-dev libssl-dev libffi-dev zlib1g-dev default-libmysqlclient-dev \
   && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /etc/apt/sources.list.d/trixie.list /etc/apt/preferences.d/trixie \
   && ln -sf python3.13 /usr/bin/python3; fi \
 && ln -sf python3 /usr/bin/python
