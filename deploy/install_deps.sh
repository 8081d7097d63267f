#!/usr/bin/env bash
# Installs from Debian what the build needs and is not there yet; a second call finds nothing to do and takes no time.
set -euo pipefail
packages=(g++ cmake ninja-build ccache pkg-config clang libtorch-dev libgrpc++-dev libgrpc-dev protobuf-compiler protobuf-compiler-grpc
  libprotobuf-dev libabsl-dev libopenmpi-dev openmpi-bin libgtest-dev libgmock-dev libbenchmark-dev libyaml-cpp-dev
  nlohmann-json3-dev libcli11-dev libspdlog-dev libsqlite3-dev sqlite3 zlib1g-dev libisal-dev
  libflint-dev libflint-arb-dev libseccomp-dev python3-minimal python3 bubblewrap
  libcpp-httplib-dev openssl python3-grpcio python3-protobuf
  libpcre2-dev libicu-dev)
missing=()
for package in "${packages[@]}"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing: ${missing[*]}"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}"
