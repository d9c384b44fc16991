# conf is the old one or the new one, and the new one when the program has said that it is saved.
content=$(cat conf) || exit 1
if grep -q saved "$POWERCUT_STDOUT"; then
    [ "$content" = new ] || { echo "saved, but conf is '$content'"; exit 2; }
fi
[ "$content" = old ] || [ "$content" = new ] || { echo "conf is '$content'"; exit 1; }
