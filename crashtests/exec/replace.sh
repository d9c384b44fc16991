# Replaces the file conf by a new one, by rename. With the word "sync" the content is synced
# first, with "promise" the program also says so when it is done, with "directory" it syncs the
# names before that.
set -e
echo new > conf.tmp
for word; do
    [ "$word" != sync ] || sync conf.tmp
done
mv conf.tmp conf
for word; do
    [ "$word" != directory ] || sync .
    [ "$word" != promise ] || echo saved
done
