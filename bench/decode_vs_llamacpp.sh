#!/bin/sh
# Decoding beside llama.cpp: the same random weights, in turn, on the same machine; medians of several
# rounds and their ratios, for the three shapes of docs/benchmarks.md.
#   bench/decode_vs_llamacpp.sh
# Environment: BUILD (build/release), THREADS (2), ROUNDS (5), NEW_TOKENS (64), SHAPES ("quickstart
# mid large"), WIDTHS ("1 16 64 256"), WEIGHTS (f32; or int8, beside llama.cpp's q8_0), WORK
# ($BUILD/decode_vs_llamacpp, for the models).
# On a busy machine llama.cpp's threads, which spin, wait for one another: THREADS=1 and the ratio of
# processor time are what can be compared then.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build/release}
THREADS=${THREADS:-2}
ROUNDS=${ROUNDS:-5}
NEW_TOKENS=${NEW_TOKENS:-64}
SHAPES=${SHAPES:-quickstart mid large}
WIDTHS=${WIDTHS:-1 16 64 256}
WEIGHTS=${WEIGHTS:-f32}
case $WEIGHTS in
  f32) theirs_type=f32 ;;
  int8) theirs_type=q8_0 ;;
  *) echo "unknown weights $WEIGHTS" >&2; exit 2 ;;
esac
WORK=${WORK:-$BUILD/decode_vs_llamacpp}

libraries=$(bench/llamacpp/install.sh "$BUILD/llamacpp")
mkdir -p "$WORK"

make_model() {  # name hidden layers heads kv_heads head_dim experts top_k expert_ff
  [ -e "$WORK/$1.$theirs_type.gguf" ] && return
  [ -e "$WORK/$1" ] || "$BUILD/bin/ponder" init --out "$WORK/$1" --set model.hidden_size="$2" \
    --set model.num_hidden_layers="$3" --set model.num_attention_heads="$4" \
    --set model.num_key_value_heads="$5" --set model.head_dim="$6" --set model.num_experts="$7" \
    --set model.num_experts_per_tok="$8" --set model.moe_intermediate_size="$9"
  "$BUILD/bin/ponder" export --model "$WORK/$1" --format gguf --dtype "$theirs_type" \
    --out "$WORK/$1.$theirs_type.gguf"
}

for shape in $SHAPES; do
  case $shape in
    quickstart) make_model quickstart 128 4 4 2 32 8 2 256 ;;
    mid) make_model mid 512 8 8 4 64 16 2 512 ;;
    large) make_model large 1024 12 16 4 64 32 4 512 ;;
    *) echo "unknown shape $shape" >&2; exit 2 ;;
  esac
  ours=$WORK/$shape.ours
  theirs=$WORK/$shape.theirs
  : > "$ours"
  : > "$theirs"
  round=0
  while [ "$round" -lt "$ROUNDS" ]; do
    for width in $WIDTHS; do
      "$BUILD/bin/bench_decode" --model "$WORK/$shape" --threads "$THREADS" \
        --new-tokens "$NEW_TOKENS" --weights "$WEIGHTS" --width "$width" >> "$ours"
      # shellcheck disable=SC2086
      "$BUILD/bin/llamacpp_peer" rate "$libraries" "$WORK/$shape.$theirs_type.gguf" "$THREADS" "$NEW_TOKENS" \
        "$width" >> "$theirs"
    done
    round=$((round + 1))
  done
  python3 - "$shape, $WEIGHTS" "$ours" "$theirs" "$WIDTHS" <<'PYTHON'
import json, statistics, sys

shape, ours, theirs, widths = sys.argv[1:]
read = lambda path: [json.loads(line) for line in open(path)]
ours, theirs = read(ours), read(theirs)
for width in map(int, widths.split()):
    def median(lines, key):
        return statistics.median(l[key] for l in lines if l["width"] == width)
    row = {"shape": shape, "width": width}
    row["tokens_per_s"] = median(ours, "tokens_per_s")
    row["llamacpp_tokens_per_s"] = median(theirs, "tokens_per_s")
    row["ratio"] = round(row["tokens_per_s"] / row["llamacpp_tokens_per_s"], 2)
    row["cpu_ratio"] = round(median(theirs, "cpu_us_per_token") / median(ours, "cpu_us_per_token"), 2)
    row["share_of_fma_peak"] = median(ours, "share_of_fma_peak")
    if width == 1:
        row["share_of_read_bandwidth"] = median(ours, "share_of_read_bandwidth")
    print(json.dumps(row), flush=True)
PYTHON
done
