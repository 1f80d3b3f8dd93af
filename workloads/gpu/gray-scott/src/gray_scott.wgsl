// One step of the Gray-Scott reaction on a torus: x is the feed's concentration, y the catalyst's.

@group(0) @binding(0) var<storage, read> now: array<vec2<f32>>;
@group(0) @binding(1) var<storage, read_write> next: array<vec2<f32>>;
@group(0) @binding(2) var<uniform> side: u32;

const DIFFUSION = vec2(0.16, 0.08);
const FEED = 0.055;
const KILL = 0.062;

@compute @workgroup_size(16, 16)
fn step(@builtin(global_invocation_id) cell: vec3<u32>) {
    if cell.x >= side || cell.y >= side {
        return;
    }
    let west = (cell.x + side - 1) % side;
    let east = (cell.x + 1) % side;
    let row = cell.y * side;
    let north = (cell.y + side - 1) % side * side;
    let south = (cell.y + 1) % side * side;
    let here = now[row + cell.x];
    let around = now[row + west] + now[row + east] + now[north + cell.x] + now[south + cell.x];
    let reaction = here.x * here.y * here.y;
    let change = DIFFUSION * (around - 4 * here)
        + vec2(FEED * (1 - here.x) - reaction, reaction - (FEED + KILL) * here.y);
    next[row + cell.x] = here + change;
}
