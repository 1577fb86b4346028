# Multi-stage image: build with the tool script, run as a user without rights. Untested: it was written without a Docker engine.
FROM debian:12-slim AS build
WORKDIR /src
COPY . .
RUN ./build.sh package

FROM debian:12-slim
COPY --from=build /src/dist/portolan_*.deb /opt/
RUN apt-get update \
    && apt-get install -y --no-install-recommends /opt/portolan_*.deb \
    && rm -rf /opt/portolan_*.deb /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/portolan --create-home portolan \
    && install -d -o portolan -g portolan -m 0750 /etc/portolan /plugins
USER portolan
# A folder of .so files that is mounted here is loaded next to the shipped plugins; it must belong to this user or to root.
VOLUME ["/plugins", "/var/lib/portolan"]
ENV HOST=0.0.0.0 PORT=8000 PORTOLAN_SERVER__DATA_DIR=/var/lib/portolan PORTOLAN_PLUGINS__DIRS=/usr/lib/portolan/plugins,/plugins
EXPOSE 8000
STOPSIGNAL SIGTERM
# 0.0.0.0 is refused without a key: pass ROUTER_API_KEY, or a configuration with auth.keys.
ENTRYPOINT ["portolan"]
CMD ["serve"]
