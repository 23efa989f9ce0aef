# OpenJDK as Debian builds it: a JDK with Maven and Gradle to build, a runtime
# without desktop libraries to run. Debian's cacerts package makes the keystore.
ARG VERSION
FROM sky-stack/base:bookworm AS run
ARG VERSION
RUN mkdir -p /usr/share/man/man1 && apt-get update && apt-get install -y --no-install-recommends \
      "openjdk-${VERSION}-jre-headless" ca-certificates-java \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

FROM run AS build
ARG VERSION
RUN apt-get update && apt-get install -y --no-install-recommends \
      "openjdk-${VERSION}-jdk-headless" maven gradle git curl unzip \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && ln -s "/usr/lib/jvm/java-${VERSION}-openjdk-$(dpkg --print-architecture)" /usr/lib/jvm/sky
ENV JAVA_HOME=/usr/lib/jvm/sky
