#!/usr/bin/env bash
# Builds the libFuzzer targets of tests/fuzz with clang, AddressSanitizer and UndefinedBehaviorSanitizer, and runs each for
# SECONDS from seeds of tests/data. One line a target; a finding fails, and the input that made it stays in build/fuzz/findings.
#
#   deploy/run_fuzz.sh [SECONDS [TARGET ...]]      # targets: config, safetensors, ...; default: all, 10 s each
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-10}
shift || true
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for source in tests/fuzz/*_fuzz.cc; do
    name=$(basename "$source" _fuzz.cc)
    targets+=("$name")
  done
fi

cmake --preset fuzz >/dev/null
cmake --build build/fuzz -j "$(nproc)" --target "${targets[@]/%/_fuzz}"
seeds=build/fuzz/seeds
findings=build/fuzz/findings
rm -rf "$seeds"
mkdir -p "$findings"
python3 tests/fuzz/make_seeds.py "$seeds"

# Protocol buffers and others come without the sanitizer: their vectors look overrun where they are not.
export ASAN_OPTIONS=detect_container_overflow=0
fuzz() {
  local target=$1 log=build/fuzz/$1.log status=0
  "build/fuzz/tests/${target}_fuzz" "$seeds/$target" -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=3000 \
    -print_final_stats=1 -artifact_prefix="$findings/$target-" >"$log" 2>&1 || status=$?
  local runs
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  if [ $status -eq 0 ]; then
    printf '%-16s %10s executions, no finding\n' "$target" "$runs"
    return
  fi
  printf '%-16s FAILED; the end of %s:\n' "$target" "$log"
  tail -n 40 "$log"
  return 1
}
export -f fuzz
export seconds seeds findings
printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'fuzz {}'
