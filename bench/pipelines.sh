#!/bin/sh
# The two classic pipelines on a generated task, command by command, with what each stage is worth on
# held-out prompts: SFT, reward model, rejection sampling, PPO under that reward model, alone (as LLaMA
# 2 Chat's) and with a check of the answer besides (a hybrid reward); SFT, DPO. Prints the evaluations.
#   bench/pipelines.sh
# Environment: BUILD (build/release), WORK ($BUILD/pipelines), SEED (1). A stage that is there already
# is not run again.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build/release}
WORK=${WORK:-$BUILD/pipelines}
SEED=${SEED:-1}
PATH=$BUILD/bin:$PATH
CONFIG=configs/quickstart.yaml
mkdir -p "$WORK"

say() { echo "$*" >&2; }
# stage NAME COMMAND...: runs it unless NAME's folder or file is there; what it says goes to NAME.log.
stage() {
  name=$1
  shift
  [ -e "$WORK/$name.done" ] && return
  say "$name: $*"
  "$@" > "$WORK/$name.log" 2>&1
  touch "$WORK/$name.done"
}
evaluate() {
  stage "eval-$1" ponder eval --model "$2" --prompts "$WORK/data/eval.jsonl" --samples 4 --threads 2
  echo "== $1" && cat "$WORK/eval-$1.log"
}

stage data ponder data make --task sum3 --train 8000 --eval 256 --seed "$SEED" --preferences --out "$WORK/data"
# The reward is the reward model's score; a check, where there is one, adds whether the answer is right.
sed 's/"kind":"math"/"kind":"reward"/; s/"gold":"[^"]*",//' "$WORK/data/train.jsonl" > "$WORK/liked.jsonl"
sed 's/"kind":"math"/"kind":"reward"/; s/"gold":\("[^"]*"\)/"check":{"kind":"math","gold":\1}/' \
  "$WORK/data/train.jsonl" > "$WORK/liked_and_checked.jsonl"

stage init ponder init --config $CONFIG --out "$WORK/init"
stage sft ponder sft --config $CONFIG --model "$WORK/init" --data "$WORK/data/dialogues.jsonl" --out "$WORK/sft" \
  --set seed="$SEED"
stage rm ponder rm --config $CONFIG --model "$WORK/sft/models/final" --data "$WORK/data/preferences.jsonl" \
  --out "$WORK/rm" --set seed="$SEED" --set sft.steps=300 --set sft.lr=1e-3 --set sft.target_loss=0
stage reject ponder reject --model "$WORK/sft/models/final" --prompts "$WORK/data/train.jsonl" --samples 4 \
  --threads 2 --seed "$SEED" --out "$WORK/correct.jsonl"
stage sft_on_correct ponder sft --config $CONFIG --model "$WORK/sft/models/final" --data "$WORK/correct.jsonl" \
  --out "$WORK/sft_on_correct" --set seed="$SEED" --set sft.steps=200 --set sft.lr=1e-3 --set sft.target_loss=0
ppo() {  # stage and file of prompts
  stage "$1" ponder run --config $CONFIG --model "$WORK/sft_on_correct/models/final" --out "$WORK/$1" \
    --set data.prompts="$WORK/$2" --set verifier.reward_model="$WORK/rm/models/final" \
    --set rl.algorithm=ppo --set rl.value.model="$WORK/rm/models/final" --set rl.reward.normalise=standardise \
    --set rl.kl_coef=0.05 --set rl.kl_in=reward --set rl.kl_estimator=k1 --set rl.steps=100 --set seed="$SEED"
}
ppo ppo liked.jsonl
ppo ppo_checked liked_and_checked.jsonl
stage dpo ponder dpo --config $CONFIG --model "$WORK/sft/models/final" --data "$WORK/data/preferences.jsonl" \
  --out "$WORK/dpo" --beta 0.1 --set seed="$SEED" --set sft.steps=200 --set sft.lr=1e-5 --set sft.min_lr=1e-6 \
  --set sft.target_loss=0

evaluate sft "$WORK/sft/models/final"
evaluate sft_on_correct "$WORK/sft_on_correct/models/final"
evaluate ppo "$WORK/ppo/models/final"
evaluate ppo_checked "$WORK/ppo_checked/models/final"
evaluate dpo "$WORK/dpo/models/final"
