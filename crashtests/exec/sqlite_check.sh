# The database is sound, and every row that was said is in it.
[ "$(sqlite3 db 'PRAGMA integrity_check')" = ok ] || { echo "not sound"; exit 1; }
said=$(grep -c '^row' "$POWERCUT_STDOUT")
rows=$(sqlite3 db 'SELECT count(*) FROM t')
[ "$rows" -ge "$said" ] || { echo "$said rows were said, $rows are there"; exit 2; }
