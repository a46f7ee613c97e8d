#!/bin/sh
# What TLS costs beside nginx, in one run:
#
#   sh bench/tls.sh [rounds] [seconds]     default: 3 rounds of 3 s
#
# Handshakes: CPU of the server process for one, by openssl s_time, each on a connection of
# its own. Batches: CPU per million events with TLS less the CPU without it, from wrk over
# kept connections; nginx reads the whole body and passes it to bench/floor, so that both
# its ways read alike. One worker each, on core 0; clients and the floor on core 1. TLS 1.3,
# AES-128-GCM, X25519.
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-3} seconds=${2:-3}
dir=$(mktemp -d)
chmod 755 "$dir"
trap 'kill $floor $server $nginx 2>/dev/null; rm -rf "$dir"' EXIT
floor='' server='' nginx=''

sh conf/setup.sh test
[ -x build/bench/floor ] || cmake -S . -B build -G Ninja -DSLUICE_TESTS=ON >/dev/null
ninja -C build >/dev/null
build/bench/gen 400 200 >"$dir/batch"

cert() { # name, options of the key
  name=$1
  shift
  openssl req -x509 "$@" -nodes -keyout "$dir/$name.key" -out "$dir/$name.pem" -days 30 \
    -subj "/CN=$name" 2>/dev/null
}
cert ec -newkey ec -pkeyopt ec_paramgen_curve:P-256
cert rsa -newkey rsa:2048

listener() {
  echo "listen \"127.0.0.1:$1\" { tls = { cert = \"$dir/$2.pem\", key = \"$dir/$2.key\" } }"
}
{ cat bench/policy.lua; listener 18291 ec; listener 18391 rsa; } >"$dir/policy.lua"
cat >"$dir/nginx.conf" <<END
worker_processes 1;
daemon off;
pid $dir/nginx.pid;
error_log $dir/error.log warn;
events { worker_connections 1000; }
http {
  access_log off;
  keepalive_requests 100000000;
  client_max_body_size 16m;
  client_body_buffer_size 256k;
  client_body_temp_path $dir/t1; proxy_temp_path $dir/t2; fastcgi_temp_path $dir/t3;
  uwsgi_temp_path $dir/t4; scgi_temp_path $dir/t5;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
  ssl_ecdh_curve X25519:P-256;
  ssl_session_timeout 1h;
  upstream floor { server 127.0.0.1:18190; keepalive 64; }
  server {
    listen 127.0.0.1:18192;
    listen 127.0.0.1:18292 ssl;
    ssl_certificate $dir/ec.pem; ssl_certificate_key $dir/ec.key;
    location / { proxy_pass http://floor; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
  server {
    listen 127.0.0.1:18392 ssl;
    ssl_certificate $dir/rsa.pem; ssl_certificate_key $dir/rsa.key;
    location / { return 202; }
  }
}
END

taskset -c 1 build/bench/floor 18190 & floor=$!
taskset -c 0 build/sluice run --listen 127.0.0.1:18191 --admin 127.0.0.1:0 --data "$dir/data" "$dir/policy.lua" \
  2>"$dir/log" & server=$!
taskset -c 0 nginx -e "$dir/error.log" -c "$dir/nginx.conf" & nginx=$!
until grep -q event=ready "$dir/log" && [ -s "$dir/nginx.pid" ]; do sleep 0.1; done
worker=$(pgrep -P "$nginx" | head -1)

cpu() { awk '{ print ($14 + $15) / 100 }' "/proc/$1/stat"; }

handshakes() { # name, pid, port, options of s_time
  before=$(cpu "$2")
  taskset -c 1 openssl s_time -connect "127.0.0.1:$3" -time "$seconds" $4 >"$dir/out" 2>&1
  after=$(cpu "$2")
  n=$(sed -n 's/^\([0-9]*\) connections in [0-9]* real.*/\1/p' "$dir/out" | tail -1)
  echo "$1 $before $after $n" | awk '{ printf "%s %.1f %d\n", $1, ($3 - $2) * 1e6 / $4, $4 / ($3 - $2) }' |
    tee -a "$dir/results"
}

batches() { # name, pid, URL
  before=$(cpu "$2")
  taskset -c 1 wrk -t1 -c32 "-d${seconds}s" -s bench/wrk.lua "$3/v1/events/batch" -- "$dir/batch" >"$dir/out"
  after=$(cpu "$2")
  grep -q "Non-2xx" "$dir/out" && { echo "$1: not all 2xx" >&2; exit 1; }
  n=$(awk '/requests in/ { print $1 }' "$dir/out")
  echo "$1 $before $after $n" | awk '{ printf "%s %.4f\n", $1, ($3 - $2) * 1e6 / ($4 * 200) }' | tee -a "$dir/results"
}

for i in $(seq "$rounds"); do
  for who in "sluice $server 1" "nginx $worker 2"; do
    set -- $who
    handshakes "$1-ecdsa" "$2" "1829$3" "-new -tls1_3"
    handshakes "$1-rsa" "$2" "1839$3" "-new -tls1_3"
    handshakes "$1-ecdsa-1.2" "$2" "1829$3" "-new -tls1_2"
    handshakes "$1-resumed-1.2" "$2" "1829$3" "-reuse -tls1_2"
    batches "$1-plain" "$2" "http://127.0.0.1:1819$3"
    batches "$1-tls" "$2" "https://127.0.0.1:1829$3"
  done
done

median() { grep "^$1 " "$dir/results" | sort -k2 -n | awk '{ l[NR] = $2 } END { print l[int((NR + 1) / 2)] }'; }
echo
echo "machine: $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2), commit $(git rev-parse --short HEAD)"
echo "| | sluice | nginx | sluice ÷ nginx |"
echo "|---|---|---|---|"
for kind in ecdsa rsa ecdsa-1.2 resumed-1.2; do
  echo "$kind $(median sluice-$kind) $(median nginx-$kind)" | awk '{
    printf "| handshake, %s: µs of CPU (a second and core) | %.0f (%.0f) | %.0f (%.0f) | %.2f |\n",
      $1, $2, 1e6 / $2, $3, 1e6 / $3, $2 / $3 }'
done
echo "$(median sluice-plain) $(median sluice-tls) $(median nginx-plain) $(median nginx-tls)" | awk '{
  printf "| batches, CPU s a million events: without TLS, with | %.4f, %.4f | %.4f, %.4f | |\n", $1, $2, $3, $4
  printf "| the share of TLS | %.4f | %.4f | %.2f |\n", $2 - $1, $4 - $3, ($2 - $1) / ($4 - $3) }'
