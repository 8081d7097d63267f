#!/bin/sh
# Recipes of reinforcement learning on the quickstart task, one run after the other: a table of what
# each learned, and the learning curves as a picture.
#   bench/recipes.sh                                  # dapo gspo cispo vapo, seed 1
#   RECIPES="dapo vapo" SEEDS="1 2 3" bench/recipes.sh
#   RECIPES="vapo vapo-no-pretraining vapo-no-decoupled vapo-no-length vapo-no-nll" \
#     CONFIG=configs/long_answers.yaml bench/recipes.sh      # what each part of VAPO is worth
# With and without adaptation, from one warm start, on prompts more than half of which are easy:
#   build/release/bin/ponder run --config configs/mixed.yaml --out WARM --set rl.steps=1
#   EASY='sum3:1500,puzzle.takuzu@1:2500,puzzle.countdown@1:2500,code@3-4:8000'
#   RECIPES="mixed mixed-adapt" CONFIG=configs/mixed.yaml SEEDS="1 2 3" EXTRA="--model WARM/models/sft \
#     --set rl.steps=60 --set data.task.mixture=$EASY" bench/recipes.sh
# Environment: BUILD (build/release), CONFIG (configs/quickstart.yaml), WORK ($BUILD/recipes), EXTRA
# (more arguments of ponder run, e.g. "--set rl.steps=20"). A run that is there already is not run
# again; one that was cut off goes on.
set -eu
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build/release}
CONFIG=${CONFIG:-configs/quickstart.yaml}
RECIPES=${RECIPES:-dapo gspo cispo vapo}
SEEDS=${SEEDS:-1}
WORK=${WORK:-$BUILD/recipes}
EXTRA=${EXTRA:-}
mkdir -p "$WORK"

# What a recipe changes. VAPO's alpha is for thoughts of thousands of tokens; 0.5 for these.
settings() {
  vapo="--set rl.algorithm=vapo --set rl.gae_length_alpha=0.5"
  case $1 in
    vapo) echo "$vapo" ;;
    vapo-no-pretraining) echo "$vapo --set rl.value.pretrain_steps=0" ;;
    # The critic's targets with the policy's lambda.
    vapo-no-decoupled) echo "$vapo --set rl.value.lambda=0.95" ;;
    vapo-no-length) echo "--set rl.algorithm=vapo --set rl.gae_length_alpha=0 --set rl.gae_lambda=0.95" ;;
    vapo-no-nll) echo "$vapo --set rl.positive_nll_coef=0" ;;
    mixed) echo "--set data.adapt.on=false" ;;
    mixed-adapt) echo "--set data.adapt.on=true" ;;
    *) echo "--set rl.algorithm=$1" ;;
  esac
}

runs=
for seed in $SEEDS; do
  for recipe in $RECIPES; do
    run=$WORK/$recipe-$seed
    if [ ! -e "$run/summary.json" ]; then
      if [ -e "$run/config.yaml" ]; then
        "$BUILD/bin/ponder" run --resume "$run" > "$run.log" 2>&1
      else
        # shellcheck disable=SC2046,SC2086
        "$BUILD/bin/ponder" run --config "$CONFIG" --out "$run" --set seed="$seed" \
          $(settings "$recipe") $EXTRA > "$run.log" 2>&1
      fi
    fi
    runs="$runs $recipe=$run"
  done
done
# shellcheck disable=SC2086
"$BUILD/bin/bench_learning_curves" "$WORK/curves.svg" $runs | tee "$WORK/table.md"
echo "$WORK/curves.svg"
