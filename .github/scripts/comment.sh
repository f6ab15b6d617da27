#!/usr/bin/env bash
# Puts the review that another workflow left in FOLDER into one comment of its pull request.
#
#   REPOSITORY=owner/name HEAD_SHA=... comment.sh FOLDER
#
# FOLDER was written by code of the pull request: everything in it is taken as text from a stranger.
# HEAD_SHA comes from GitHub: the number in FOLDER counts only if it is the pull request of that
# commit. A later push makes the number stale, and its own run comments.
set -euo pipefail
folder=$1
marker='<!-- fsr-fer review -->'

for name in number comment.md; do
  if [ ! -f "$folder/$name" ] || [ -L "$folder/$name" ]; then
    echo "error: the review has no $name" >&2
    exit 1
  fi
done
number=$(head -c 20 "$folder/number" | tr -d '\n')
if ! [[ $number =~ ^[1-9][0-9]{0,8}$ ]]; then
  echo "error: the review names no pull request" >&2
  exit 1
fi
head=$(gh api "repos/$REPOSITORY/pulls/$number" --jq .head.sha)
if [ "$head" != "$HEAD_SHA" ]; then
  echo "pull request $number is not, or no longer, at $HEAD_SHA: no comment"
  exit 0
fi

# GitHub takes 65,536 characters. The cut may split one, which iconv drops and complains of.
# Mentions would send mail in our name: a zero-width space stops them.
body=$(mktemp)
trap 'rm -f "$body"' EXIT
{
  printf '%s\n' "$marker"
  head -c 60000 "$folder/comment.md" | { iconv -c -f utf-8 -t utf-8 2>/dev/null || true; } |
    tr -d '\000' | sed 's/@/@\xe2\x80\x8b/g'
  printf '\n\n<sub>%s</sub>\n' "Base and head reproduced in one job; figures are in the run's artifact. ${HEAD_SHA:0:7}"
} >"$body"

own=$(gh api --paginate "repos/$REPOSITORY/issues/$number/comments" \
  --jq ".[] | select(.user.login == \"github-actions[bot]\" and (.body | startswith(\"$marker\"))) | .id" |
  head -n 1)
method=POST path=issues/$number/comments
if [ -n "$own" ]; then
  method=PATCH path=issues/comments/$own
fi
jq -Rs '{body: .}' "$body" | gh api --method "$method" "repos/$REPOSITORY/$path" --input - --silent
