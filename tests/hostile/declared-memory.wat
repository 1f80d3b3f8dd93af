;; A memory has 16 TiB from the beginning.
;; exits: 65 78 79
(memory $large i64 0x10000000)
(func (export "_start")
  )
