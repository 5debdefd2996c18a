#!/usr/bin/env bash
# Builds the images of deploy/images without a registry or a container engine's daemon, and runs them as the chart would:
# not as root, nothing writable but /run, no shell. The base is made of Debian's packages and npm's, under the name of the
# official one. As root on Linux, with buildah, mmdebstrap, curl, go or helm, and `npm ci` done:
#   test/tools/images.sh [FOLDER]    # FOLDER keeps base and images for the next time; default: a new one in /tmp
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(realpath -m "${1:-$(mktemp -d /tmp/myelin-images.XXXXXX)}")
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
images() { buildah --root "$work/store" --runroot "$work/runroot" "$@"; }
base=$(sed -n 's/^ARG NODE=//p' deploy/images/myelin.Dockerfile)
version=$(sed -n 's/^ARG MYELIN=myelin://p' deploy/images/myelin-haproxy.Dockerfile)
node=test/tools/node/node_modules/node-linux-$(node -p process.arch)/bin/node

if [ "${INSIDE:-}" = "" ]; then
  mkdir -p "$work"
  if ! images inspect --type image "$base" >"$work/base.json" 2>&1; then
    [ -x "$node" ] || npm ci --prefix test/tools/node
    mmdebstrap --variant=apt --include=ca-certificates,libatomic1 trixie "$work/debian.tar"
    (cd "$work" && npm pack --silent npm@11 && tar xzf npm-11.*.tgz)
    container=$(images from scratch)
    images add "$container" "$work/debian.tar" /
    images copy "$container" "$node" /usr/local/bin/node
    images copy "$container" "$work/package" /usr/local/lib/node_modules/npm
    # Certificates that this machine trusts, for the way to the registry.
    images copy "$container" /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
    images config --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt "$container"
    images run "$container" -- ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
    images run "$container" -- node -e "process.exit('$base'.includes(process.version.slice(1)) ? 0 : 1)"
    images commit --quiet "$container" "$base"
    images rm "$container"
  fi
  for name in myelin myelin-haproxy; do
    file=deploy/images/$name.Dockerfile
    images bud --pull=never --format docker --build-arg "MYELIN=localhost/myelin:$version" \
      --ignorefile "$file.dockerignore" --file "$file" --tag "localhost/$name:$version" .
  done
  trap 'images rm --all >/dev/null' EXIT
  # Myelin with HAProxy in it; beside another HAProxy, with and without one of its own to check files; that HAProxy.
  for role in one:myelin-haproxy checking:myelin-haproxy trusting:myelin haproxy:myelin-haproxy; do
    container=$(images from --pull=never "localhost/${role#*:}:$version")
    ln -sfn "$(images mount "$container")" "$work/${role%:*}"
  done
  # The configs that pods would find.
  for shape in deployment sidecar; do
    mkdir -p "$work/$shape"
    node test/tools/print-config.ts "$shape" >"$work/$shape/myelin.yaml"
  done
  env INSIDE=1 unshare --net --mount --pid --fork --kill-child --mount-proc "$0" "$work"
  exit
fi

ip link set lo up
ip address add 192.0.2.1/24 dev lo
mount --make-rprivate /
for role in one checking trusting haproxy; do
  root=$(realpath "$work/$role")
  mount --bind "$root" "$root"
  mkdir -p "$root/etc/myelin" "$root/run/haproxy"
  for shell in sh bash dash; do mount --bind /dev/null "$(realpath "$root/bin/$shell")" 2>/dev/null || true; done
  mount -t tmpfs -o mode=0755 none "$root/dev"
  for device in null zero urandom; do touch "$root/dev/$device" && mount --bind "/dev/$device" "$root/dev/$device"; done
  mount -t proc proc "$root/proc"
  for folder in etc/myelin run/myelin run/haproxy; do mount -t tmpfs -o uid=10001,gid=10001,mode=0750 none "$root/$folder"; done
  mount -o remount,bind,ro "$root"
done

# within ROLE ARGUMENT…: as the image's user, without a way to more rights.
within() {
  local root
  root=$(realpath "$work/$1")
  shift
  exec setpriv --no-new-privs chroot --userspec=10001:10001 "$root" env TMPDIR=/run/myelin "$@"
}
# until_ok WHAT COMMAND…: waits for ten seconds at most.
until_ok() {
  local what=$1
  shift
  for _ in $(seq 200); do
    if "$@" >/dev/null 2>&1; then
      echo "✔ $what"
      return
    fi
    sleep 0.05
  done
  echo "✖ $what" && tail "$work"/*.log && exit 1
}
answers() { [ "$(curl --silent --max-time 1 http://127.0.0.1:8080/)" = "$1" ]; }
ready() { curl --silent --fail --max-time 1 http://127.0.0.1:8406/readyz; }
ended() { ! kill -0 "$1"; }
# serve ROLE PORT: the only endpoint from now on.
serve() {
  local file
  file=$(realpath "$work/$1")/etc/myelin/services
  printf 'services: { web: ["192.0.2.1:%s"] }\n' "$2" >"$file.next"
  mv "$file.next" "$file.yaml"
}
for port in 9001 9002 9003; do
  node -e "require('http').createServer((_, answer) => answer.end('$port')).listen($port, '192.0.2.1')" &
done
until_ok 'the backends answer' curl --silent --fail http://192.0.2.1:9003/

for role in one trusting; do
  if (within "$role" touch /opt/x) 2>/dev/null; then echo '✖ the root can be written to' && exit 1; fi
  if (within "$role" sh -c true) 2>/dev/null; then echo '✖ there is a shell' && exit 1; fi
done

# run_myelin ROLE
run_myelin() {
  (within "$1" myelin run --config /etc/myelin/myelin.yaml) >>"$work/$1.log" 2>&1 &
  myelin=$!
}
# worker ROLE: the PID of the HAProxy that serves, as Myelin knows it.
worker() { (within "$1" myelin status --json) | node -p 'JSON.parse(require("fs").readFileSync(0)).haproxy.pid'; }

echo '— one container'
rm -f "$work"/*.log
cp "$work/deployment/myelin.yaml" "$(realpath "$work/one")/etc/myelin/"
serve one 9001
(within one myelin check --config /etc/myelin/myelin.yaml)
run_myelin one
until_ok 'it is ready' ready
until_ok 'HAProxy answers' answers 9001
serve one 9002
until_ok 'a change arrives' answers 9002
kill -TERM "$myelin"
wait "$myelin"
if answers 9002; then echo '✖ HAProxy still answers' && exit 1; fi
echo '✔ HAProxy ends with Myelin'

for role in checking trusting; do
  echo "— sidecar: $role"
  shared=$(realpath "$work/$role")/run/haproxy
  mount --bind "$shared" "$(realpath "$work/haproxy")/run/haproxy"
  cp "$work/sidecar/myelin.yaml" "$(realpath "$work/$role")/etc/myelin/"
  serve "$role" 9001
  (within "$role" myelin run --config /etc/myelin/myelin.yaml --once --no-apply) >"$work/first.log" 2>&1
  [ -s "$shared/haproxy.cfg" ]
  echo '✔ the first config is there'
  run_myelin "$role"
  (within haproxy haproxy -W -db -S /run/haproxy/master.sock,mode,600,level,admin -f /run/haproxy/haproxy.cfg) \
    >"$work/haproxy.log" 2>&1 &
  haproxy=$!
  until_ok 'it is ready' ready
  until_ok 'HAProxy answers' answers 9001
  serve "$role" 9002
  until_ok 'a change arrives' answers 9002
  before=$(worker "$role")
  kill -KILL "$myelin"
  wait "$myelin" || true
  answers 9002
  echo '✔ HAProxy outlives Myelin'
  serve "$role" 9003
  run_myelin "$role"
  until_ok 'Myelin comes back' ready
  until_ok 'and goes on' answers 9003
  [ "$(worker "$role")" = "$before" ]
  echo '✔ without a reload'
  kill -USR1 "$haproxy"
  until_ok 'HAProxy leaves when told' ended "$haproxy"
  kill -TERM "$myelin"
  wait "$myelin"
done
echo 'all is well'
