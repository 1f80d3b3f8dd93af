//! The reaction on the CPU, written without regard to the kernel.

/// Feed and catalyst of a cell.
pub type Concentration = [f32; 2];

const DIFFUSION: Concentration = [0.16, 0.08];
const FEED: f32 = 0.055;
const KILL: f32 = 0.062;

pub fn react(side: usize, steps: u32, mut state: Vec<Concentration>) -> Vec<Concentration> {
    let mut next = state.clone();
    for _ in 0..steps {
        for y in 0..side {
            let rows =
                [(y + side - 1) % side, y, (y + 1) % side].map(|y| &state[y * side..][..side]);
            for (x, cell) in next[y * side..][..side].iter_mut().enumerate() {
                *cell = react_cell(rows, x);
            }
        }
        std::mem::swap(&mut state, &mut next);
    }
    state
}

fn react_cell([north, row, south]: [&[Concentration]; 3], x: usize) -> Concentration {
    let last = row.len() - 1;
    let west = row[if x == 0 { last } else { x - 1 }];
    let east = row[if x == last { 0 } else { x + 1 }];
    let here = row[x];
    let spread = [0, 1].map(|part| {
        let around = west[part] + east[part] + north[x][part] + south[x][part];
        DIFFUSION[part] * (around - 4.0 * here[part])
    });
    let [feed, catalyst] = here;
    let reaction = feed * catalyst * catalyst;
    [
        feed + spread[0] + FEED * (1.0 - feed) - reaction,
        catalyst + spread[1] + reaction - (FEED + KILL) * catalyst,
    ]
}
