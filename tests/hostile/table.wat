;; A table grows to thousands of millions of entries.
;; options: --memory=16MiB
;; exits: 0
(table $many 0 funcref)
(func (export "_start")
  (if (i32.ne (table.grow $many (ref.null func) (i32.const 0x7fffffff)) (i32.const -1)) (then (unreachable))))
