//! The picture as a ray caster on the CPU has it: no triangles, no depth buffer, no texture.

use crate::scene::{CHEQUERS, Cube, DARK, FOCAL_LENGTH, LIGHT, Vector};

/// What a pixel's ray meets first: box, face and chequer. Inside such an area the colour is even.
#[derive(Clone, Copy, PartialEq)]
struct Area {
    cube: usize,
    axis: usize,
    front: bool,
    chequer: [u32; 2],
}

pub struct Picture {
    width: usize,
    areas: Vec<Option<Area>>,
    colours: Vec<Vector>,
}

impl Picture {
    pub fn cast(width: usize, height: usize, cubes: &[Cube], background: Vector) -> Self {
        let aspect = width as f32 / height as f32;
        let hits = (0..width * height).map(|pixel| {
            let across = ((pixel % width) as f32 + 0.5) / width as f32 * 2.0 - 1.0;
            let up = 1.0 - ((pixel / width) as f32 + 0.5) / height as f32 * 2.0;
            nearest(
                cubes,
                [across * aspect / FOCAL_LENGTH, up / FOCAL_LENGTH, -1.0],
            )
        });
        let (areas, colours) = hits
            .map(|area| (area, area.map_or(background, |area| colour(area, cubes))))
            .unzip();
        Picture {
            width,
            areas,
            colours,
        }
    }

    /// Compares it with `pixels` (RGBA) wherever all neighbours are of the same area: edges are
    /// smoothed on the GPU. Returns how many pixels were compared, and how many of them differ.
    pub fn compare(&self, pixels: &[u8]) -> (usize, usize) {
        let height = self.areas.len() / self.width;
        let (mut compared, mut different) = (0, 0);
        for y in 1..height - 1 {
            for x in (1..self.width - 1).filter(|x| self.is_even(*x, y)) {
                let at = y * self.width + x;
                compared += 1;
                different += usize::from(!alike(self.colours[at], &pixels[at * 4..][..3]));
            }
        }
        (compared, different)
    }

    fn is_even(&self, x: usize, y: usize) -> bool {
        let area = self.areas[y * self.width + x];
        (y - 1..=y + 1)
            .flat_map(|y| &self.areas[y * self.width + x - 1..][..3])
            .all(|other| *other == area)
    }
}

/// Within two of 255 steps.
fn alike(colour: Vector, pixel: &[u8]) -> bool {
    colour
        .iter()
        .zip(pixel)
        .all(|(part, byte)| (part * 255.0 - f32::from(*byte)).abs() <= 2.0)
}

fn nearest(cubes: &[Cube], direction: Vector) -> Option<Area> {
    let hits = cubes.iter().enumerate().filter_map(|(index, cube)| {
        let (distance, axis, front, chequer) = meet(cube, direction)?;
        let area = Area {
            cube: index,
            axis,
            front,
            chequer,
        };
        Some((distance, area))
    });
    hits.min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, area)| area)
}

/// Where a ray from the origin enters a cube: the distance, the face and its chequer.
fn meet(cube: &Cube, direction: Vector) -> Option<(f32, usize, bool, [u32; 2])> {
    // In the cube's own space it reaches from -1 to 1.
    let local = |vector: Vector| {
        cube.axes
            .map(|axis| dot([axis[0], axis[1], axis[2]], vector) / cube.size)
    };
    let from = local(cube.centre.map(|part| -part));
    let along = local(direction);
    let (mut enter, mut leave, mut face) = (f32::MIN, f32::MAX, 0);
    for axis in 0..3 {
        let crossings = [-1.0, 1.0].map(|side| (side - from[axis]) / along[axis]);
        let first = crossings[0].min(crossings[1]);
        if first > enter {
            (enter, face) = (first, axis);
        }
        leave = leave.min(crossings[0].max(crossings[1]));
    }
    if enter > leave || enter < 0.0 {
        return None;
    }
    let chequer = [1, 2].map(|next| {
        let axis = (face + next) % 3;
        let place = (from[axis] + enter * along[axis] + 1.0) / 2.0;
        // Casting saturates: rounding may leave a point just outside of the cube.
        ((place * CHEQUERS as f32) as u32).min(CHEQUERS - 1)
    });
    Some((enter, face, along[face] < 0.0, chequer))
}

fn colour(area: Area, cubes: &[Cube]) -> Vector {
    let cube = &cubes[area.cube];
    let axis = cube.axes[area.axis];
    let outwards = if area.front { 1.0 } else { -1.0 };
    let normal = [axis[0], axis[1], axis[2]].map(|part| part * outwards);
    let light = 0.3 + 0.7 * dot(normal, LIGHT).max(0.0);
    let shade = match (area.chequer[0] + area.chequer[1]) % 2 {
        0 => light,
        _ => light * DARK,
    };
    let [red, green, blue, _] = cube.colour;
    [red, green, blue].map(|part| part * shade)
}

fn dot(a: Vector, b: Vector) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
