#!/usr/bin/env bash
# Audits the defences of the live field on one network, one after the other, as docs/counterattacks.md shows them.
#
#   eval/field_audits.sh NETWORK OUT cifar10_test.npz cifar10_train.npz [OPTION...]
#
# OUT gets a .json file for each defence, and runs/ with what it was made from. What is there is not made again, and an
# audit that was stopped goes on.
# OPTIONs go to `counteract audit`: --device cuda, say.
set -euo pipefail

readonly network=$1 out=$2 test=$3 train=$4 options=("${@:5}")
readonly defences=(
  undefended
  counteraction
  counteraction-untargeted
  hedge
  anti-adversary
  test-time-counterattack
  'test-time-counterattack(tau=1e6)'
  'energy-descent(eps=5/7, eps_step=5/14, steps=5)'
  'energy-descent(eps=5.0, eps_step=2.5, steps=5)'
  augmentation-ensemble
  'total-variation(weight=0.02)'
  'total-variation(weight=0.1)'
)

for defence in "${defences[@]}"; do
  name=${defence//[^A-Za-z0-9]/-}
  name=${name%-} code=0
  [[ ! -f $out/$name.json ]] || continue
  counteract audit --model "$network" --defence "$defence" --dataset "$test" --pool "$train" --eps 8/255 --limit 100 \
    --preset quick --precision bf16 --draws 3 --out "$out/runs/$name" "${options[@]}" || code=$? # which is a verdict
  [[ -f $out/runs/$name/audit.json ]] || exit "$code"
  cp "$out/runs/$name/audit.json" "$out/$name.json"
done
