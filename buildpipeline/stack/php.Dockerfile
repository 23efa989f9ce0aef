# PHP as Debian builds it, inside Apache, whose .htaccess PHP's frameworks rely on.
ARG VERSION
FROM sky-stack/base:bookworm AS run
RUN apt-get update && apt-get install -y --no-install-recommends \
      apache2 libapache2-mod-php8.2 php8.2-cli php8.2-mbstring php8.2-xml php8.2-curl php8.2-zip php8.2-pgsql \
      php8.2-mysql php8.2-sqlite3 php8.2-intl php8.2-gd php8.2-bcmath php8.2-opcache php8.2-redis php8.2-soap \
      php8.2-gmp php8.2-apcu php8.2-bz2 php8.2-ldap php8.2-memcached php8.2-mongodb php8.2-amqp \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* && a2enmod rewrite headers expires deflate remoteip

FROM run AS build
RUN apt-get update && apt-get install -y --no-install-recommends composer git unzip \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
