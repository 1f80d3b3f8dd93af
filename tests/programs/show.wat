;; Writes its arguments and its environment, each entry followed by a zero byte.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $ok (param $error i32) (if (local.get $error) (then (unreachable))))
  (func $write
    ;; The texts lie at 4096, their length at 4.
    (i32.store (i32.const 0) (i32.const 4096))
    (call $ok (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    (call $ok (call $args_sizes_get (i32.const 16) (i32.const 4)))
    (call $ok (call $args_get (i32.const 1024) (i32.const 4096)))
    (call $write)
    (call $ok (call $environ_sizes_get (i32.const 16) (i32.const 4)))
    (call $ok (call $environ_get (i32.const 1024) (i32.const 4096)))
    (call $write)))
