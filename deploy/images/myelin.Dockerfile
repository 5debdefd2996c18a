# Myelin without HAProxy, for a pod or project where HAProxy of any branch has a container of its own (`haproxy.control: master`).
#   docker build --file deploy/images/myelin.Dockerfile --tag myelin:0.1.0 .
# To build the same bytes again, give the digest of the base as well: --build-arg NODE=…@sha256:…
ARG NODE=docker.io/library/node:24.21.0-trixie-slim

FROM ${NODE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.types.json README.md CHANGELOG.md LICENSE ./
COPY test/tools test/tools
COPY docs docs
COPY templates templates
COPY src src
COPY watchers watchers
RUN npm run build

FROM ${NODE}
COPY --from=build /build/package.json /build/LICENSE /opt/myelin/
COPY --from=build /build/templates /opt/myelin/templates
COPY --from=build /build/dist /opt/myelin/dist
# Nothing is installed here any more: no npm, yarn or corepack for whoever gets in. The shell stays for apt-get in images on
# top of this one; Myelin needs none.
RUN rm -rf /usr/local/lib/node_modules /usr/local/include/node /opt/yarn* \
    /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg \
 && ln -s /opt/myelin/dist/src/cli.js /usr/local/bin/myelin \
 && install -d -o 10001 -g 10001 -m 0750 /run/myelin
# `myelin check` writes a file for HAProxy to read, and no other folder can be written to.
ENV NODE_ENV=production TMPDIR=/run/myelin
VOLUME /run/myelin
WORKDIR /
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM
# Kubernetes asks /healthz and /readyz itself and ignores this; elsewhere a check would start a Node each time.
HEALTHCHECK NONE
ENTRYPOINT ["myelin"]
CMD ["run"]
