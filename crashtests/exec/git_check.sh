# Nothing is broken, and every commit that the program reported exists and is on the branch. With
# the word "sound" the latter is not asked.
git fsck --full --strict > ../fsck.$$ 2>&1 || { head -3 ../fsck.$$; rm ../fsck.$$; exit 1; }
rm ../fsck.$$
[ "$1" != sound ] || exit 0
while read -r commit; do
    git merge-base --is-ancestor "$commit" HEAD || { echo "commit $commit is gone"; exit 2; }
done < "$POWERCUT_STDOUT"
