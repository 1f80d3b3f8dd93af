;; A table has thousands of millions of entries from the beginning.
;; options: --memory=16MiB
;; exits: 65 78
(table 4000000000 funcref)
(func (export "_start")
  )
