;; Does what WebAssembly forbids, two calls deep.
(module
  (memory (export "memory") 1)
  (func $load_beyond_the_end (result i32) (i32.load (i32.const 0x10000)))
  (func $careless (drop (call $load_beyond_the_end)))
  (func (export "_start") (call $careless)))
