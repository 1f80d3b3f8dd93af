;; Ten lines from inside a loop, with work between them, and an exit code.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\07\00\00\00")
  (data (i32.const 16) "line 0\n")
  (func $work (result i32)
    (local $i i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (i32.rotl (local.get $sum) (i32.const 5)) (local.get $i)))
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
    (local.get $sum))
  (func (export "_start")
    (local $line i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call $work)))
      (i32.store8 (i32.const 21) (i32.add (i32.const 48) (local.get $line)))
      (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable)))
      (br_if $again (i32.lt_u (local.tee $line (i32.add (local.get $line) (i32.const 1))) (i32.const 10))))
    (call $proc_exit (i32.and (local.get $sum) (i32.const 63)))))
