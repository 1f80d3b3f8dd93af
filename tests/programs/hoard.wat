;; Says that it runs, computes until the file `stop` exists in its first directory, writes to 64 MiB
;; of memory, and says that it has stopped.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get"
    (func $path_filestat_get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1025)
  (data (i32.const 16) "running\n")
  (data (i32.const 24) "stopped\n")
  (data (i32.const 32) "stop")
  (func $say (param $text i32)
    (i32.store (i32.const 0) (local.get $text))
    (i32.store (i32.const 4) (i32.const 8))
    (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (then (unreachable))))
  (func $stop_exists (result i32)
    (i32.eqz (call $path_filestat_get (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 64))))
  (func (export "_start")
    (local $place i32)
    (call $say (i32.const 16))
    (loop $again (br_if $again (i32.eqz (call $stop_exists))))
    (loop $again
      (i32.store8 (i32.add (local.get $place) (i32.const 65536)) (i32.const 1))
      (br_if $again (i32.lt_u
        (local.tee $place (i32.add (local.get $place) (i32.const 4096))) (i32.const 0x4000000))))
    (call $say (i32.const 24))))
