#!/bin/sh
# Installs llama.cpp, prebuilt, from npm into FOLDER (once) and prints the folder of its libraries.
#   bench/llamacpp/install.sh FOLDER
set -eu
folder=$1
version=3.22.1
libraries=$folder/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64
if [ ! -e "$libraries/libggml-base.so" ]; then
  command -v npm >/dev/null || { echo "npm is not installed" >&2; exit 1; }
  mkdir -p "$folder"
  [ -e "$folder/package.json" ] || echo '{"private": true}' > "$folder/package.json"
  timeout 300 npm install --prefix "$folder" --no-audit --no-fund --loglevel=error \
    "@node-llama-cpp/linux-x64@$version" >&2
fi
echo "$libraries"
