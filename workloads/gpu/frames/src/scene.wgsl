// Boxes with a chequered texture, lit from one side.

@group(0) @binding(0) var<uniform> projection: mat4x4<f32>;
@group(0) @binding(1) var chequers: texture_2d<f32>;
@group(0) @binding(2) var nearest: sampler;

// Towards the light; the CPU's ray caster has the same.
const LIGHT = vec3(0.48, 0.6, 0.64);

struct Corner {
    @location(0) position: vec3<f32>,
    @location(1) normal: vec3<f32>,
    @location(2) texture: vec2<f32>,
}

struct Box {
    @location(3) x_axis: vec4<f32>,
    @location(4) y_axis: vec4<f32>,
    @location(5) z_axis: vec4<f32>,
    // Its centre, and half its width.
    @location(6) place: vec4<f32>,
    @location(7) colour: vec4<f32>,
}

struct Surface {
    @builtin(position) position: vec4<f32>,
    @location(0) @interpolate(flat) colour: vec3<f32>,
    @location(1) texture: vec2<f32>,
}

@vertex
fn corner(corner: Corner, box: Box) -> Surface {
    let rotation = mat3x3(box.x_axis.xyz, box.y_axis.xyz, box.z_axis.xyz);
    let position = box.place.xyz + box.place.w * (rotation * corner.position);
    let light = 0.3 + 0.7 * max(dot(rotation * corner.normal, LIGHT), 0.0);
    return Surface(projection * vec4(position, 1.0), light * box.colour.rgb, corner.texture);
}

@fragment
fn surface(surface: Surface) -> @location(0) vec4<f32> {
    return vec4(surface.colour, 1.0) * textureSample(chequers, nearest, surface.texture);
}
