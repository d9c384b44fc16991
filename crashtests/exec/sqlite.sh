# Rows, one transaction each; says each when it is committed.
sqlite3 db "PRAGMA synchronous=$1; INSERT INTO t VALUES(1); SELECT 'row 1';
            INSERT INTO t VALUES(2); SELECT 'row 2';"
