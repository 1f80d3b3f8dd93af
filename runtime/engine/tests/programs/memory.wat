;; Two memories that grow, bulk operations, and a data segment that is dropped.
(module
  (memory (export "memory") 1 10)
  (memory $second 1)
  (data (i32.const 100) "active")
  (data $passive "passive data")
  (func (export "_start")
    (local $i i32)
    (memory.init $passive (i32.const 4000) (i32.const 0) (i32.const 12))
    (data.drop $passive)
    (loop $again
      (drop (memory.grow $second (i32.const 1)))
      (if (i32.rem_u (local.get $i) (i32.const 3)) (then (drop (memory.grow (i32.const 1)))))
      (i32.store $second (i32.mul (local.get $i) (i32.const 65536)) (memory.size))
      (memory.copy (i32.add (i32.const 5000) (i32.mul (local.get $i) (i32.const 16))) (i32.const 4000) (i32.const 12))
      (memory.fill (i32.add (i32.const 9000) (local.get $i)) (local.get $i) (i32.const 3))
      ;; the active segment is overwritten with zeros, which must stay zeros
      (memory.fill (i32.const 100) (i32.const 0) (i32.const 6))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 12))))
    (i32.store (i32.const 0) (memory.size))
    (i32.store (i32.const 4) (memory.size $second))))
