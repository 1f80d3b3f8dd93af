;; Computes, and does what WebAssembly forbids, two calls deep.
(module
  (memory (export "memory") 1)
  (func $load_beyond_the_end (result i32) (i32.load (i32.const 0x10000)))
  (func $careless
    (local $i i32)
    (loop $again
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
    (drop (call $load_beyond_the_end)))
  (func (export "_start") (call $careless)))
