;; Appends lines to a file that it keeps open, with work between them; then copies the file
;; to its output.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $file (mut i32) (i32.const -1))
  (data (i32.const 16) "journal")
  (data (i32.const 32) "entry 0\n")
  (func $ok (param $error i32) (if (local.get $error) (then (unreachable))))
  (func $write (param $fd i32) (param $from i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $from))
    (i32.store (i32.const 4) (local.get $length))
    (call $ok (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $read (result i32)
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 16))
    (call $ok (call $fd_read (global.get $file) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.load (i32.const 8)))
  (func $open
    ;; CREAT, for reading, writing and seeking
    (call $ok (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 7) (i32.const 1)
      (i64.const 0x46) (i64.const 0) (i32.const 0) (i32.const 8)))
    (global.set $file (i32.load (i32.const 8))))
  (func $work
    (local $i i32)
    (loop $again
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))
  (func $append (param $entry i32)
    (call $work)
    (i32.store8 (i32.const 38) (i32.add (i32.const 48) (local.get $entry)))
    (call $write (global.get $file) (i32.const 32) (i32.const 8)))
  (func (export "_start")
    (local $entry i32) (local $length i32)
    (call $open)
    (loop $again
      (call $append (local.get $entry))
      (br_if $again (i32.lt_u (local.tee $entry (i32.add (local.get $entry) (i32.const 1))) (i32.const 10))))
    (call $ok (call $fd_seek (global.get $file) (i64.const 0) (i32.const 0) (i32.const 8)))
    (loop $copy
      (if (local.tee $length (call $read)) (then
        (call $write (i32.const 1) (i32.const 1024) (local.get $length))
        (br $copy))))))
