//! What the frames show: boxes that turn and circle, the same for the GPU and the CPU.

use bytemuck::{Pod, Zeroable};

pub type Vector = [f32; 3];

pub const BOXES: usize = 9;
/// Chequers along an edge of a box.
pub const CHEQUERS: u32 = 4;
/// What a dark chequer leaves of the colour.
pub const DARK: f32 = 0.5;
/// Towards the light.
pub const LIGHT: Vector = [0.48, 0.6, 0.64];
/// The camera is at the origin and looks along -z.
pub const FOCAL_LENGTH: f32 = 1.6;
pub const NEAR: f32 = 1.0;
pub const FAR: f32 = 20.0;

/// A cube, laid out as the vertex shader takes it.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Cube {
    /// The columns of its rotation; the fourth value pads.
    pub axes: [[f32; 4]; 3],
    pub centre: Vector,
    /// Half its width.
    pub size: f32,
    pub colour: [f32; 4],
}

/// The boxes at a time between 0 and 1: one in the middle, the others around it.
pub fn boxes(time: f32) -> [Cube; BOXES] {
    std::array::from_fn(|index| {
        let turn = std::f32::consts::TAU * time;
        let place = std::f32::consts::TAU * index as f32 / (BOXES - 1) as f32;
        let (sin, cos) = (place + turn).sin_cos();
        let middle = index == BOXES - 1;
        Cube {
            axes: rotation(turn + place, 0.7 + 0.5 * place),
            centre: match middle {
                true => [0.0, 0.0, -8.0],
                false => [3.2 * cos, 0.9 * (2.0 * place).sin(), -8.0 + 3.2 * sin],
            },
            size: if middle { 1.1 } else { 0.6 },
            colour: [
                0.55 + 0.45 * place.cos(),
                0.8 - 0.4 * sin.abs(),
                0.55 + 0.45 * place.sin(),
                1.0,
            ],
        }
    })
}

/// About y, then about x.
fn rotation(y: f32, x: f32) -> [[f32; 4]; 3] {
    let (sy, cy) = y.sin_cos();
    let (sx, cx) = x.sin_cos();
    [
        [cy, sx * sy, -cx * sy, 0.0],
        [0.0, cx, sx, 0.0],
        [sy, -sx * cy, cx * cy, 0.0],
    ]
}

/// A corner of the unit cube's faces.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub struct Corner {
    position: Vector,
    normal: Vector,
    texture: [f32; 2],
}

/// The corners of a cube from -1 to 1, four for each face, and its triangles. A face's texture
/// coordinates are the two axes that follow its own.
pub fn cube() -> (Vec<Corner>, Vec<u16>) {
    let (mut corners, mut triangles) = (Vec::new(), Vec::new());
    for axis in 0..3 {
        for sign in [-1.0, 1.0] {
            let first = corners.len() as u16;
            for (u, v) in [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)] {
                let mut normal = [0.0; 3];
                normal[axis] = sign;
                let mut position = normal;
                position[(axis + 1) % 3] = 2.0 * u - 1.0;
                position[(axis + 2) % 3] = 2.0 * v - 1.0;
                corners.push(Corner {
                    position,
                    normal,
                    texture: [u, v],
                });
            }
            // Counter-clockwise from outside.
            let order = match sign > 0.0 {
                true => [0, 1, 2, 0, 2, 3],
                false => [0, 2, 1, 0, 3, 2],
            };
            triangles.extend(order.map(|corner| first + corner));
        }
    }
    (corners, triangles)
}

/// Columns of the perspective projection.
pub fn projection(aspect: f32) -> [[f32; 4]; 4] {
    let depth = FAR / (NEAR - FAR);
    [
        [FOCAL_LENGTH / aspect, 0.0, 0.0, 0.0],
        [0.0, FOCAL_LENGTH, 0.0, 0.0],
        [0.0, 0.0, depth, -1.0],
        [0.0, 0.0, depth * NEAR, 0.0],
    ]
}
