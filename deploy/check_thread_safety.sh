#!/usr/bin/env bash
# clang's thread-safety analysis, as an error, over every source that has a mutex or an annotation (GCC ignores them).
# Needs the generated headers of build/release.
set -euo pipefail
cd "$(dirname "$0")/.."
sources=$(for source in $(git ls-files '*.cc' | grep -vE '^(tests|bench|cmake|moe)/'); do
  header="${source%.cc}.h"
  [ -f "$header" ] || header=$source
  grep -lE 'Mutex|GUARDED_BY' "$source" "$header" | head -n 1 | grep -q . && echo "$source" || true
done)
# shellcheck disable=SC2086
printf '%s\n' $sources | xargs -P 2 -n 1 clang++ -std=gnu++17 -fsyntax-only -Wno-everything -Wthread-safety -Werror=thread-safety \
  -I. -Ibuild/release -isystem /usr/include/torch/csrc/api/include \
  -isystem /usr/lib/x86_64-linux-gnu/openmpi/include
echo "thread-safety analysis: $(printf '%s\n' $sources | wc -l) sources, clean"
