# A commit. The arguments are options of git (-c name=value). Says which commit it made.
set -e
echo two > a
git "$@" add a
git "$@" commit -qm second
git rev-parse HEAD
