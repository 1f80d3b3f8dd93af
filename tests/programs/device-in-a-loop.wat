;; Counts to a million, and exits as `device` does.
(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wherry_gpu" "version" (func $version (result i32)))
    (import "wherry_gpu" "state" (func $state (result i32)))
    (memory (export "memory") 1)
    (func (export "_start") (local $count i32)
        (loop $again
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $count) (i32.const 1000000))))
        (call $exit
            (i32.add (i32.mul (call $version) (i32.const 10)) (call $state)))))
