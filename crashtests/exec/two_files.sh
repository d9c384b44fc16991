# Two files that belong together, one after the other: no sync makes that atomic.
set -e
for name in a b; do
    echo 2 > $name.tmp
    sync $name.tmp
    mv $name.tmp $name
    sync .
done
