;; A recursion through a table, beside a function of the same type that calls nothing: that
;; one cannot leave, whatever the others do. (`_start` comes first: what closes a cycle
;; depends on where the search for cycles begins.)
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (type $step (func (param i32) (result i32)))
  (table 2 funcref)
  (elem (i32.const 0) $leaf $again)
  (func (export "_start")
    (call $exit
      (i32.and (i32.const 63)
        (call_indirect (type $step) (i32.const 12) (i32.const 1)))))
  (func $leaf (type $step) (i32.add (local.get 0) (i32.const 1)))
  (func $again (type $step)
    (if (result i32) (i32.eqz (local.get 0))
      (then (call $leaf (i32.const 1)))
      (else
        (i32.add
          (call $leaf (local.get 0))
          (call_indirect (type $step)
            (i32.sub (local.get 0) (i32.const 1))
            (i32.const 1)))))))
