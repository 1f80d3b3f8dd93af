// C = A x B for square matrices whose side is a multiple of 64. Each workgroup makes a tile of
// 64 x 64, each of its threads 4 x 4 values of it in registers.

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> side: u32;

const TILE = 64u;
const DEPTH = 16u;

var<workgroup> tile_a: array<f32, TILE * DEPTH>;
var<workgroup> tile_b: array<vec4<f32>, DEPTH * TILE / 4>;

@compute @workgroup_size(16, 16)
fn multiply(
    @builtin(workgroup_id) tile: vec3<u32>,
    @builtin(local_invocation_id) thread: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let row0 = tile.y * TILE;
    let quad0 = tile.x * TILE / 4;
    let quads = side / 4;
    var sums: array<vec4<f32>, 4>;
    for (var depth = 0u; depth < side; depth += DEPTH) {
        for (var part = 0u; part < 4; part++) {
            let slot = part * 256 + index;
            tile_a[slot] = a[(row0 + slot / DEPTH) * side + depth + slot % DEPTH];
        }
        tile_b[index] = b[(depth + index / 16) * quads + quad0 + index % 16];
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let right = tile_b[k * 16 + thread.x];
            let left = thread.y * 4 * DEPTH + k;
            sums[0] = fma(vec4(tile_a[left]), right, sums[0]);
            sums[1] = fma(vec4(tile_a[left + DEPTH]), right, sums[1]);
            sums[2] = fma(vec4(tile_a[left + 2 * DEPTH]), right, sums[2]);
            sums[3] = fma(vec4(tile_a[left + 3 * DEPTH]), right, sums[3]);
        }
        workgroupBarrier();
    }
    let place = (row0 + thread.y * 4) * quads + quad0 + thread.x;
    c[place] = sums[0];
    c[place + quads] = sums[1];
    c[place + 2 * quads] = sums[2];
    c[place + 3 * quads] = sums[3];
}
