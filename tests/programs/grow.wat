;; Exits with the number of MiB by which its memory could grow.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (local $grown i32)
    (loop $again
      (if (i32.ne (memory.grow (i32.const 16)) (i32.const -1)) (then
        (local.set $grown (i32.add (local.get $grown) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $grown) (i32.const 100))))))
    (call $proc_exit (local.get $grown))))
