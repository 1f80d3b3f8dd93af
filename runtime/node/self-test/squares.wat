;; Writes the squares of the numbers below 1000 to its memory, one after the other. Without
;; names, so that `squares.wasm` has nothing but the program.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (local i32)
    (loop
      (i32.store
        (i32.mul (local.get 0) (i32.const 4))
        (i32.mul (local.get 0) (local.get 0)))
      (br_if 0 (i32.lt_u
        (local.tee 0 (i32.add (local.get 0) (i32.const 1)))
        (i32.const 1000))))))
