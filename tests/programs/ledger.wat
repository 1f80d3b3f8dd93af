;; Writes 1000 numbered lines to its output and to a file in scratch, with work between them;
;; then copies the file to standard error.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $file (mut i32) (i32.const -1))
  (data (i32.const 16) "ledger")
  (data (i32.const 32) "entry 0000\n")
  (func $ok (param $error i32) (if (local.get $error) (then (unreachable))))
  (func $write (param $fd i32) (param $from i32) (param $length i32)
    (local $done i32)
    (loop $again
      (i32.store (i32.const 0) (local.get $from))
      (i32.store (i32.const 4) (local.get $length))
      (call $ok (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $done (i32.load (i32.const 8)))
      (local.set $from (i32.add (local.get $from) (local.get $done)))
      (br_if $again (local.tee $length (i32.sub (local.get $length) (local.get $done))))))
  (func $digit (param $place i32) (param $number i32)
    (i32.store8 (local.get $place) (i32.add (i32.const 48) (i32.rem_u (local.get $number) (i32.const 10)))))
  (func $work
    (local $i i32)
    (loop $again
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 200000)))))
  (func $entry (param $number i32)
    (call $work)
    (call $digit (i32.const 41) (local.get $number))
    (call $digit (i32.const 40) (i32.div_u (local.get $number) (i32.const 10)))
    (call $digit (i32.const 39) (i32.div_u (local.get $number) (i32.const 100)))
    (call $digit (i32.const 38) (i32.div_u (local.get $number) (i32.const 1000)))
    (call $write (global.get $file) (i32.const 32) (i32.const 11))
    (call $write (i32.const 1) (i32.const 32) (i32.const 11)))
  (func (export "_start")
    (local $number i32) (local $length i32)
    ;; CREAT, for reading, writing and seeking
    (call $ok (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 6) (i32.const 1)
      (i64.const 0x46) (i64.const 0) (i32.const 0) (i32.const 8)))
    (global.set $file (i32.load (i32.const 8)))
    (loop $again
      (call $entry (local.get $number))
      (br_if $again (i32.lt_u (local.tee $number (i32.add (local.get $number) (i32.const 1))) (i32.const 1000))))
    (call $ok (call $fd_seek (global.get $file) (i64.const 0) (i32.const 0) (i32.const 8)))
    (loop $copy
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 1000))
      (call $ok (call $fd_read (global.get $file) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (local.tee $length (i32.load (i32.const 8))) (then
        (call $write (i32.const 2) (i32.const 1024) (local.get $length))
        (br $copy))))))
