;; Uses the GPU host, and nothing else: exits with the version of its interface times ten, plus the
;; state of the device.
(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "wherry_gpu" "version" (func $version (result i32)))
    (import "wherry_gpu" "state" (func $state (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (call $exit
            (i32.add (i32.mul (call $version) (i32.const 10)) (call $state)))))
