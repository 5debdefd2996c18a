# Myelin and Debian's HAProxy in one container (`haproxy.control: process`, `onExit: stop`), on top of Myelin's image.
#   docker build --file deploy/images/myelin-haproxy.Dockerfile --tag myelin-haproxy:0.1.0 .
ARG MYELIN=myelin:0.1.0

FROM ${MYELIN}
USER 0:0
# The branch is fixed; its latest fixes come with each build. The certificates are for `@system-ca`.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends 'haproxy=3.0.*' ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log
# As in the base: whoever replaces this image has to see it here.
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK NONE
ENTRYPOINT ["myelin"]
CMD ["run"]
