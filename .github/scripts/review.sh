#!/usr/bin/env bash
# Reproduces BASE and what is checked out over one DVC cache and writes what a reviewer wants to
# know into OUT: comment.md, logs, the page with its figures.
#
#   .github/scripts/review.sh BASE [OUT]      for example: .github/scripts/review.sh origin/main
#
# Exit code 1 if the gate of params.yaml (section review) stops the change, or it does not run.
# The same here and on GitHub; nothing is committed to a branch, nothing is sent anywhere.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD
base=$(git rev-parse --verify --quiet "$1^{commit}") || { echo "error: no revision $1" >&2; exit 1; }
out=${2:-build/review}
case $out in /*) ;; *) out=$here/$out ;; esac
export DVC_NO_ANALYTICS=1 FSR_FER_DEVICE=${FSR_FER_DEVICE:-cpu}

if [ -e "$out" ] && [ ! -e "$out/.review" ]; then
  echo "error: $out is there and was not made by this script; remove it or name another" >&2
  exit 1
fi
rm -rf "$out"
mkdir -p "$out"
touch "$out/.review"
scratch=$(mktemp -d)
clean() {
  git worktree remove --force "$scratch/base" 2>/dev/null || true
  git update-ref -d refs/review/base
  rm -rf "$scratch"
}
trap clean EXIT

# The numbers committed at BASE may come from another machine, so it is reproduced here. Stages that
# the change leaves alone then come from the cache for the head, and differ in nothing. Its own code
# reads its params: the installed package is the head's.
cache=$(dvc cache dir)
reproduce_base() {
  cd "$scratch/base" && dvc config --local cache.dir "$cache" || return
  # Imported faces; those of another profile may be missing. DVC brings all else when it runs.
  find data/raw -name '*.dvc' -exec dvc checkout --quiet {} + >"$out/base.log" 2>&1
  PYTHONPATH="$scratch/base/src" fsr-fer repro >>"$out/base.log" 2>&1 && git add --all &&
    git -c core.hooksPath=/dev/null -c user.name=review -c user.email=review@localhost \
      -c commit.gpgsign=false commit --quiet --allow-empty --message "$(git log -1 --format=%s), reproduced"
}
git -c core.hooksPath=/dev/null worktree add --quiet --detach "$scratch/base" "$base"
(reproduce_base) ||
  printf '> The base itself does not run; the numbers committed there are compared instead.\n\n' >"$out/comment.md"
git update-ref refs/review/base "$(git -C "$scratch/base" rev-parse HEAD)" # a name to read instead of a number

if ! fsr-fer repro >"$out/head.log" 2>&1; then
  {
    printf '### The pipeline does not run with this change\n\n```\n'
    grep -v '^ *$' "$out/head.log" | tail -n 25 | sed 's/```/'"'''"'/g' || true
    printf '```\n'
  } >"$out/comment.md"
  echo "error: the pipeline does not run with this change; see $out/head.log" >&2
  exit 1
fi
code=0
fsr-fer diff review/base --md --fail-below >"$scratch/diff.md" 2>"$out/gate.log" || code=$?
if [ ! -s "$scratch/diff.md" ]; then
  printf '### The results cannot be compared\n\n%s\n' "$(tail -n 1 "$out/gate.log")" >"$scratch/diff.md"
fi
{
  cat "$scratch/diff.md"
  for kind in metrics params; do
    printf '\n<details><summary><code>dvc %s diff</code></summary>\n\n' "$kind"
    dvc "$kind" diff --md review/base || true
    printf '\n</details>\n'
  done
} >>"$out/comment.md"
profile=$(python -c 'import json; print(json.load(open("settings.json"))["profile"])')
cp -r "data/$profile/report" "$out/"
cat "$out/gate.log" >&2
exit "$code"
