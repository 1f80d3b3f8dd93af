;; Writes 40 lines, "tick 00" to "tick 39", and sleeps a quarter of a second before each.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "tick 00\n")
  (func $say
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 8))
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable))))
  (func $sleep
    ;; The subscription at 64: a relative time of the monotonic clock.
    (i32.store (i32.const 80) (i32.const 1))
    (i64.store (i32.const 88) (i64.const 250000000))
    (if (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 40)) (then (unreachable))))
  (func (export "_start")
    (local $tick i32)
    (loop $next
      (call $sleep)
      (i32.store8 (i32.const 21) (i32.add (i32.const 48) (i32.div_u (local.get $tick) (i32.const 10))))
      (i32.store8 (i32.const 22) (i32.add (i32.const 48) (i32.rem_u (local.get $tick) (i32.const 10))))
      (call $say)
      (local.set $tick (i32.add (local.get $tick) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $tick) (i32.const 40))))))
