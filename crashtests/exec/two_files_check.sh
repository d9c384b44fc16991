cmp a b
