# OpenJDK as Debian builds it: a JDK with Gradle to build, a runtime without
# desktop libraries to run. Maven is its project's own, from Maven Central: what
# Debian has chooses plugins that are too old for most builds.
ARG VERSION
FROM sky-stack/base:bookworm AS run
ARG VERSION
RUN mkdir -p /usr/share/man/man1 && apt-get update && apt-get install -y --no-install-recommends \
      "openjdk-${VERSION}-jre-headless" ca-certificates-java \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

FROM run AS build
ARG VERSION
RUN apt-get update && apt-get install -y --no-install-recommends \
      "openjdk-${VERSION}-jdk-headless" gradle git curl unzip \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && ln -s "/usr/lib/jvm/java-${VERSION}-openjdk-$(dpkg --print-architecture)" /usr/lib/jvm/sky
ENV JAVA_HOME=/usr/lib/jvm/sky
ARG MAVEN=3.9.9
RUN cd /tmp && curl -fsSLO "https://repo.maven.apache.org/maven2/org/apache/maven/apache-maven/${MAVEN}/apache-maven-${MAVEN}-bin.tar.gz" \
 && echo "a555254d6b53d267965a3404ecb14e53c3827c09c3b94b5678835887ab404556bfaf78dcfe03ba76fa2508649dca8531c74bca4d5846513522404d48e8c4ac8b  apache-maven-${MAVEN}-bin.tar.gz" \
  | sha512sum -c - && mkdir /opt/maven && tar -xzf apache-maven-*-bin.tar.gz -C /opt/maven --strip-components=1 && rm apache-maven-* \
 && ln -s /opt/maven/bin/mvn /usr/local/bin/mvn
