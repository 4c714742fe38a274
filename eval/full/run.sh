#!/usr/bin/env bash
# The paper's networks at full size: trains them, evaluates Tables 1, 3 and 4, and reports, stage by stage.
#
#   eval/full/run.sh next --state DIR --train cifar10_train.npz --test cifar10_test.npz   the next stage, or a part of it
#   eval/full/run.sh all --state DIR ...                                                  that, until nothing is left
#   eval/full/run.sh status --state DIR                                                   what is done, what is left
#
# The first call keeps its options in DIR/settings, and a later one needs --state alone. Options, with their defaults:
#
#   --state DIR        the folder for everything: settings, networks, adversarial examples, tables, logs
#   --train, --test    CIFAR-10 as .npz files with images, labels and class_names
#   --wheels DIR       make a virtual environment in --state from these wheels first (`pip wheel --wheel-dir DIR .`)
#   --python PYTHON    else the Python that has the project's dependencies: python3
#   --recipe NAME      fast; paper is the original's 200 epochs; or a TOML file
#   --seeds N          of the evaluation: 3
#   --batch-size N     images per batch of the evaluation: 500; does not change the results
#   --minutes N        how long one call may take: 8 (of this call alone, not kept)
#   --arch NAME, --width N, --epochs N, --train-limit N, --limit N
#                      for a small trial: resnet50, and all of the recipe's epochs, training images and test images
#
# A stage that runs out of time is the next stage again, and goes on where it was: after its last epoch, or its last block
# of 256 examples under one attack. One of these must fit into a call, with the time to start. Exit codes:
#
#   0 a stage is finished    10 its time is up, call again    20 nothing is left    2 a mistake in the options
#   1 two calls in a row made no progress                     otherwise that of the stage that failed; its log is named
#
# Needs bash 4, coreutils and flock; no network. Data or wheels that have moved: correct their line in DIR/settings.
set -euo pipefail

self=$(realpath "${BASH_SOURCE[0]}")
readonly self root=${self%/eval/full/run.sh}
readonly time_up=10 nothing_left=20
readonly names=(train test wheels python recipe seeds batch-size arch width epochs train-limit limit)
readonly stages=(environment measure train-mixup table1-mixup train-iat table1 table3 table4 weights report)
declare -A settings=([python]=python3 [recipe]=fast [seeds]=3 [batch-size]=500 [arch]=resnet50)
declare -A given=()
minutes=8

fail() { # CODE MESSAGE: one line on stderr, and the end
  printf 'run.sh: %s\n' "$2" >&2
  exit "$1"
}

# ---- settings

read_options() { # OPTIONS: fills `given`, `state` and `minutes`
  local name value
  while (($#)); do
    (($# > 1)) || fail 2 "$1 lacks its value; the head of $self lists the options"
    name=${1#--} value=$2
    case $1 in
      --state) state=$(realpath -m -- "$value") ;;
      --minutes)
        [[ $value =~ ^[0-9]*\.?[0-9]+$ ]] || fail 2 "--minutes must be a number, found '$value'"
        minutes=$value
        ;;
      --train | --test)
        [[ -f $value && $value == *.npz ]] || fail 2 "$1 must name an .npz file, found '$value'"
        given[$name]=$(realpath -- "$value")
        ;;
      --wheels)
        [[ -d $value ]] || fail 2 "--wheels must name a folder, found '$value'"
        given[$name]=$(realpath -- "$value")
        ;;
      --seeds | --batch-size | --width | --epochs | --train-limit | --limit)
        [[ $value =~ ^[1-9][0-9]*$ ]] || fail 2 "$1 must be a positive integer, found '$value'"
        given[$name]=$value
        ;;
      --python | --recipe | --arch)
        [[ $value != */* ]] || value=$(realpath --no-symlinks -- "$value") # a virtual environment's python is a link
        given[$name]=$value
        ;;
      *) fail 2 "'$1' is no option; the head of $self lists them" ;;
    esac
    shift 2
  done
  [[ -n ${state:-} ]] || fail 2 "--state is missing: name the folder for everything"
}

settle() { # makes the settings of a new folder, or reads those of an old one, which `given` must not contradict
  local name value
  if [[ ! -f $state/settings ]]; then
    [[ -n ${given[train]:-} && -n ${given[test]:-} ]] ||
      fail 2 "$state holds no settings yet: name the data with --train FILE.npz and --test FILE.npz"
    mkdir -p "$state"
    for name in "${names[@]}"; do
      printf '%s=%s\n' "$name" "${given[$name]:-${settings[$name]:-}}"
    done >"$state/settings.new"
    mv "$state/settings.new" "$state/settings"
  fi
  while IFS='=' read -r name value; do
    settings[$name]=$value
  done <"$state/settings"
  for name in "${!given[@]}"; do
    [[ ${given[$name]} == "${settings[$name]:-}" ]] || fail 2 "--$name ${given[$name]} contradicts \
'${settings[$name]:-}' in $state/settings; leave it out, or begin in another --state"
  done
}

# ---- stages

option() { # NAME [SETTING]: `--NAME VALUE`, a word a line, where there is such a setting
  local value=${settings[${2:-$1}]:-}
  [[ -z $value ]] || printf '%s\n' "--$1" "$value"
}

become_python() { # ARGUMENTS: ends this script; runs this checkout's code, whatever version of it is installed
  local python=${settings[python]}
  [[ -z ${settings[wheels]} ]] || python=$state/venv/bin/python
  export PYTHONPATH=$root/src${PYTHONPATH:+:$PYTHONPATH} TORCHINDUCTOR_CACHE_DIR=$state/compiled
  exec "$python" "$@"
}

make_environment() {
  "${settings[python]}" -m venv --clear venv
  venv/bin/python -m pip install --no-index --find-links "${settings[wheels]}" art-counteract
  become_python -m counteract models # wheels that do not fit each other show here
}

measure() {
  local options
  mapfile -t options < <(option arch && option width && option recipe && option batch-size)
  become_python "$root/eval/benchmarks/throughput.py" "${options[@]}" --out throughput.json
}

train() { # METHOD
  local options
  mapfile -t options < <(option arch && option width && option recipe && option epochs && option limit train-limit)
  [[ ! -f $1/checkpoint.pt && ! -f $1/checkpoint.previous.pt ]] || options+=(--resume)
  become_python -m counteract train --method "$1" "${data[@]}" "${options[@]}" --out "$1"
}

evaluate() { # TABLE METHOD...: on the networks of these methods; what is in the table's folder already stays
  local method options table=$1
  mapfile -t options < <(option seeds && option limit && option batch-size)
  for method in "${@:2}"; do
    options+=(--model "$method=$method/model.safetensors")
  done
  become_python -m counteract evaluate "$table" --dataset "${data[3]}" --pool "${data[1]}" "${options[@]}" \
    --cache examples --out "$table"
}

do_stage() { # STAGE: all of it, or what is left of it
  # Links, and paths from here: what is recorded does not depend on where things are.
  mkdir -p "$state/data"
  cd "$state"
  ln -sfn "${settings[train]}" "${settings[test]}" data/
  readonly data=(--dataset "data/${settings[train]##*/}" --test "data/${settings[test]##*/}")
  case $1 in
    environment) make_environment ;;
    measure) measure ;;
    train-mixup) train mixup ;;
    table1-mixup) evaluate table1 mixup ;;
    train-iat) train iat ;;
    table1) evaluate table1 mixup iat ;;
    table3) evaluate table3 mixup ;;
    table4) evaluate table4 mixup iat ;;
    weights) become_python "$root/eval/full/weights.py" weights mixup/model.safetensors iat/model.safetensors ;;
    report) become_python "$root/eval/full/summary.py" . ;;
    *) fail 2 "'$1' is no stage; they are ${stages[*]}" ;;
  esac
}

# ---- where the run stands: DIR/stages.csv has a line for each call, with stage, start, seconds, exit code and gain

is_done() { # STAGE
  [[ $1 == environment && -z ${settings[wheels]} ]] || grep -qs "^$1,.*,0,[-0-9]*$" "$state/stages.csv"
}

find_next() { # prints the first stage that is not done, or nothing
  local stage
  for stage in "${stages[@]}"; do
    is_done "$stage" || { echo "$stage" && break; }
  done
}

count_pieces() { # prints a number that grows with every epoch, and with every block of examples made or judged
  { cat "$state"/*/metrics.csv "$state"/*/journal*.jsonl && find "$state/examples" -name '*.safetensors'; } 2>/dev/null |
    wc -l || true
}

count_blocks() { # RUN.JSON: prints how many lines a finished journal has: one for each cell and block
  awk '/"key":/ { cells++ } /^ "blocks":/ { inside = 1 } inside && /^  \]/ { blocks++ } END { print cells * blocks }' "$1"
}

describe_part() { # STAGE: prints how far it has come, if it has begun
  local log=$state/logs/$1.log table=$state/${1%-mixup}
  [[ -f $log ]] || return 0
  case $1 in
    train-*) grep -o '^epoch *[0-9]*/[0-9]*' "$log" | tail -n 1 || true ;;
    table*)
      [[ ! -f $table/run.json ]] ||
        printf '%d of %d blocks\n' "$(cat "$table"/journal*.jsonl | wc -l)" "$(count_blocks "$table/run.json")"
      ;;
  esac
}

print_status() {
  local next stage
  next=$(find_next)
  for stage in "${stages[@]}"; do
    if [[ $stage == environment && -z ${settings[wheels]} ]]; then
      continue
    elif is_done "$stage"; then
      printf 'done   %-13s %s\n' "$stage" \
        "$(awk -F, -v stage="$stage" '$1 == stage { n++; s += $3 } END { print s " s, calls: " n }' "$state/stages.csv")"
    elif [[ $stage == "$next" ]]; then
      printf 'next   %-13s %s\n' "$stage" "$(describe_part "$stage")"
    else
      printf 'to do  %s\n' "$stage"
    fi
  done
}

run_next() { # does the next stage for as long as it may take, and exits
  local stage log before began code=0 gained previous child
  # What the stage starts inherits the lock: while anything is left of a call that was killed, no other begins.
  exec 9>"$state/lock"
  flock --timeout 5 9 || fail 2 "another call is at work in $state; wait for it"
  stage=$(find_next)
  [[ -n $stage ]] || fail "$nothing_left" "nothing is left; $state/SUMMARY.md says what was measured"
  log=$state/logs/$stage.log before=$(count_pieces) began=$(date -u +%Y-%m-%dT%H:%M:%SZ) SECONDS=0
  mkdir -p "$state/logs"
  echo "$stage: for at most $minutes minutes, log in $log"
  timeout --kill-after=30 "${minutes}m" "$BASH" "$self" do "$stage" --state "$state" >>"$log" 2>&1 &
  child=$!
  trap 'kill "$child" || true; wait "$child" || true; exit 130' INT TERM
  wait "$child" || code=$?
  gained=$(($(count_pieces) - before))
  previous=$(tail -n 1 "$state/stages.csv" 2>/dev/null || true)
  printf '%s,%s,%d,%d,%d\n' "$stage" "$began" "$SECONDS" "$code" "$gained" >>"$state/stages.csv"
  case $code in
    0) echo "$stage: done after $SECONDS s" ;;
    124)
      ((gained)) || [[ $previous != "$stage,"*,124,0 ]] ||
        fail 1 "$stage made no progress in two calls of $minutes minutes; give it more --minutes (log: $log)"
      echo "$stage: time is up after $SECONDS s; call again"
      exit "$time_up"
      ;;
    *)
      tail -n 3 "$log" >&2
      fail "$code" "$stage failed with exit code $code; its log is $log"
      ;;
  esac
}

run_all() {
  local code=0
  while ((code == 0 || code == time_up)); do
    code=0
    "$BASH" "$self" next --state "$state" --minutes "$minutes" || code=$?
  done
  ((code == nothing_left)) || exit "$code"
}

readonly command=${1:-}
case $command in
  next | all | status) read_options "${@:2}" ;;
  do) read_options "${@:3}" ;; # what `next` runs under its time limit
  *) fail 2 "the command must be next, all or status, found '$command'; the head of $self says more" ;;
esac
settle
case $command in
  next) run_next ;;
  all) run_all ;;
  status) print_status ;;
  do) do_stage "$2" ;;
esac; exit # read together with the above: the file may be replaced while a stage runs
