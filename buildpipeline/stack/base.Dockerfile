# The floor of every stack image, where a Debian image can be pulled. Offline it
# is bootstrapped from Debian packages instead; see bootstrap.go.
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates tzdata \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
