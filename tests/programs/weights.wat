;; Writes the content of the file that its argument 1 names, byte by byte with work between them, and
;; then tries to create a file beside it: its exit code is what came of that.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "created")
  (func $ok (param $error i32) (if (local.get $error) (then (unreachable))))
  (func $length (param $text i32) (result i32)
    (local $end i32)
    (local.set $end (local.get $text))
    (loop $again
      (if (i32.load8_u (local.get $end)) (then
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $again))))
    (i32.sub (local.get $end) (local.get $text)))
  (func $work
    (local $i i32)
    (loop $again
      (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))
  (func (export "_start")
    (local $name i32) (local $file i32)
    (call $ok (call $args_sizes_get (i32.const 32) (i32.const 36)))
    (call $ok (call $args_get (i32.const 64) (i32.const 1024)))
    (local.set $name (i32.load (i32.const 68)))
    ;; Descriptor 3 is the directory of the data: there is no other.
    (call $ok (call $path_open (i32.const 3) (i32.const 0) (local.get $name) (call $length (local.get $name))
      (i32.const 0) (i64.const 0x2) (i64.const 0) (i32.const 0) (i32.const 40)))
    (local.set $file (i32.load (i32.const 40)))
    (i32.store (i32.const 0) (i32.const 48))
    (loop $copy
      (call $work)
      (i32.store (i32.const 4) (i32.const 1))
      (call $ok (call $fd_read (local.get $file) (i32.const 0) (i32.const 1) (i32.const 8)))
      (if (i32.load (i32.const 8)) (then
        (call $ok (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (br $copy))))
    (call $proc_exit (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 7)
      (i32.const 1) (i64.const 0x40) (i64.const 0) (i32.const 0) (i32.const 40)))))
