#!/bin/sh
# The main job from start to end, in a throw-away repository with a home
# folder of its own: nothing of yours is read or changed. Needs Go and git.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
run() { echo; echo "\$ $*"; "$@"; }

go build -C "$root" -o "$work/bin/leafseal" ./cmd/leafseal
export HOME="$work/home" PATH="$work/bin:$PATH"
unset XDG_CONFIG_HOME XDG_STATE_HOME LEAFSEAL_IDENTITY LEAFSEAL_IDENTITY_FILE
mkdir -p "$HOME" "$work/repo"
cd "$work/repo"
git init -q .

run leafseal init --name alice
printf 'db:\n  host: localhost # the comment stays with it\n  password: hunter2\n' > secrets.yaml
run leafseal encrypt secrets.yaml
run cat secrets.yaml
printf 'correct horse' | run leafseal set secrets.yaml db.password -
run leafseal get secrets.yaml db.password
run leafseal exec secrets.yaml -- sh -c 'echo "the program sees: $DB_PASSWORD"'
run leafseal status
git add -A
git -c user.name=alice -c user.email=alice@example.org commit -qm 'add secrets'
if git grep -q -e 'correct horse' HEAD; then echo "plain text in git!"; exit 1; fi
echo
echo "git holds ciphertext only; leafseal decrypt brings back every byte:"
run leafseal decrypt secrets.yaml
