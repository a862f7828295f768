# syntax=docker/dockerfile:1
# docker build --tag mxm-secretsd .                               the daemon, for the backends that need no program
# docker build --tag mxm-secretsd:gopass --target gopass .        with gopass and gpg as well
ARG NODE_IMAGE=node:24-bookworm-slim
ARG GO_IMAGE=golang:1.26-bookworm

# What is built, and then the dependencies anew: those of the lock file, without what only developers need.
FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY bundle bundle
COPY src src
COPY man man
COPY schema schema
RUN --mount=type=cache,target=/root/.npm npm run --silent build \
  && npm ci --ignore-scripts --no-audit --no-fund --omit=dev
COPY LICENSE ./
# The modes of a clone are those of whoever made it: the user of the image may read all of it.
RUN mkdir -p /opt/mxm-secretsd \
  && mv package.json LICENSE schema dist node_modules /opt/mxm-secretsd \
  && chmod -R u+rwX,go+rX,go-w /opt/mxm-secretsd

# The gopass of gopasspw, at the versions that the project is tested with.
FROM ${GO_IMAGE} AS gopass-build
WORKDIR /src
COPY .ci/gopass/go.mod .ci/gopass/go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
  CGO_ENABLED=0 go build -trimpath -o /out/gopass github.com/gopasspw/gopass

FROM ${NODE_IMAGE} AS runtime
# tini is process 1, so that what a killed program leaves behind is reaped, with or without `docker run --init`.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends tini \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb \
  && groupadd --gid 10001 mxm-secretsd \
  && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --home-dir /var/lib/mxm-secretsd \
    --shell /usr/sbin/nologin mxm-secretsd \
  && install -d -o 10001 -g 10001 -m 0750 /run/mxm-secretsd \
  && install -d -o 10001 -g 10001 -m 0700 /var/lib/mxm-secretsd \
  && ln -s /opt/mxm-secretsd/dist/main.js /usr/local/bin/mxm-secretsd
COPY --from=build /opt/mxm-secretsd /opt/mxm-secretsd
ENV HOME=/var/lib/mxm-secretsd \
  MXM_SECRETSD_SOCKET=/run/mxm-secretsd/secrets.sock
LABEL org.opencontainers.image.title="mxm-secretsd" \
  org.opencontainers.image.description="Local HTTP sidecar daemon that hands co-located services their secrets over a Unix socket" \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.licenses="MIT"
WORKDIR /
# By number, so that Kubernetes can tell that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["mxm-secretsd", "health"]
ENTRYPOINT ["/usr/bin/tini", "-s", "--", "mxm-secretsd"]
CMD ["serve", "--launch", "/etc/mxm-secretsd/launch.yaml"]

# The store and the keyring are the home of the daemon's user: a volume.
FROM runtime AS gopass
USER root
RUN apt-get update \
  && apt-get install --yes --no-install-recommends gpg gpg-agent \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
COPY --from=gopass-build /out/gopass /usr/local/bin/gopass
USER 10001:10001

# What is built without --target.
FROM runtime AS mxm-secretsd
