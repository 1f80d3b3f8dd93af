;; Floods what its argument names until that is refused, and exits with the error number:
;; 1 standard output, 2 standard error, f a file of its scratch directory, d directories there.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory"
    (func $path_create_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\10\00\00\00\04\00\00")
  (data (i32.const 16) "f")
  (data (i32.const 32) "d0000000")
  (func $write (param $fd i32)
    (local $error i32)
    (loop $again
      (br_if $again (i32.eqz (local.tee $error
        (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))))
    (call $proc_exit (local.get $error)))
  (func $open (result i32)
    ;; CREAT, for reading and writing
    (if (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 1)
      (i64.const 0x42) (i64.const 0) (i32.const 0) (i32.const 8)) (then (unreachable)))
    (i32.load (i32.const 8)))
  (func $directories
    (local $error i32) (local $number i32)
    (loop $again
      ;; Seven digits of base 16, as letters.
      (i64.store offset=1 (i32.const 32) (i64.add (i64.const 0x61616161616161)
        (i64.or (i64.extend_i32_u (i32.and (local.get $number) (i32.const 15)))
          (i64.or
            (i64.shl (i64.extend_i32_u (i32.and (i32.shr_u (local.get $number) (i32.const 4)) (i32.const 15))) (i64.const 8))
            (i64.shl (i64.extend_i32_u (i32.and (i32.shr_u (local.get $number) (i32.const 8)) (i32.const 15))) (i64.const 16))))))
      (local.set $number (i32.add (local.get $number) (i32.const 1)))
      (br_if $again (i32.eqz (local.tee $error
        (call $path_create_directory (i32.const 3) (i32.const 32) (i32.const 8))))))
    (call $proc_exit (local.get $error)))
  (func (export "_start")
    (local $what i32)
    (if (call $args_get (i32.const 256) (i32.const 512)) (then (unreachable)))
    (local.set $what (i32.load8_u (i32.load (i32.const 260))))
    (if (i32.eq (local.get $what) (i32.const 0x31)) (then (call $write (i32.const 1))))
    (if (i32.eq (local.get $what) (i32.const 0x32)) (then (call $write (i32.const 2))))
    (if (i32.eq (local.get $what) (i32.const 0x66)) (then (call $write (call $open))))
    (if (i32.eq (local.get $what) (i32.const 0x64)) (then (call $directories)))
    (unreachable)))
