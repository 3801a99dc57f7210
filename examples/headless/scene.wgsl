// Three spheres that move over a checkered floor under a sky, by sphere tracing. The colours are linear; the sky around
// the sun and its reflections exceed 1.

struct Scene {
    width: f32,
    height: f32,
    seconds: f32,
    unused: f32,
}

@group(0) @binding(0) var<uniform> scene: Scene;

const SUN: vec3<f32> = vec3<f32>(0.48, 0.64, -0.6);

@vertex
fn screen(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    let corner = vec2<f32>(vec2<u32>(index % 2u, index / 2u));
    return vec4<f32>(4.0 * corner - 1.0, 0.0, 1.0);
}

// Centre and radius of a sphere.
fn sphere(index: u32) -> vec4<f32> {
    let phase = scene.seconds + 2.1 * f32(index);
    return vec4<f32>(2.2 * cos(phase), 0.9 + 0.5 * abs(sin(1.7 * phase)), 1.2 * sin(phase), 0.9);
}

fn distance_to(p: vec3<f32>) -> f32 {
    var nearest = p.y;
    for (var index = 0u; index < 3u; index++) {
        let ball = sphere(index);
        nearest = min(nearest, distance(p, ball.xyz) - ball.w);
    }
    return nearest;
}

fn march(origin: vec3<f32>, direction: vec3<f32>) -> f32 {
    var along = 0.02;
    for (var step = 0u; step < 96u; step++) {
        let left = distance_to(origin + along * direction);
        if (left < 0.001 * along) {
            return along;
        }
        along += left;
        if (along > 40.0) {
            break;
        }
    }
    return -1.0;
}

fn sky(direction: vec3<f32>) -> vec3<f32> {
    let glow = pow(max(dot(direction, SUN), 0.0), 64.0);
    return mix(vec3<f32>(0.75, 0.8, 0.9), vec3<f32>(0.12, 0.3, 0.75), max(direction.y, 0.0)) + 3.0 * glow;
}

fn colour_of(p: vec3<f32>) -> vec3<f32> {
    for (var index = 0u; index < 3u; index++) {
        let ball = sphere(index);
        if (distance(p, ball.xyz) - ball.w < 0.01) {
            return select(vec3<f32>(0.8, 0.15, 0.1), vec3<f32>(0.1, 0.35, 0.7), vec3<bool>(index == 1u));
        }
    }
    let tile = floor(p.x) + floor(p.z);
    return vec3<f32>(select(0.08, 0.7, fract(0.5 * tile) == 0.0));
}

@fragment
fn shade(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let view = (position.xy - 0.5 * vec2<f32>(scene.width, scene.height)) / scene.height;
    let origin = vec3<f32>(0.0, 1.8, -6.0);
    let direction = normalize(vec3<f32>(view.x, -view.y - 0.12, 1.1));
    let along = march(origin, direction);
    if (along < 0.0) {
        return vec4<f32>(sky(direction), 1.0);
    }
    let p = origin + along * direction;
    let e = vec2<f32>(0.001, 0.0);
    let slope = vec3<f32>(distance_to(p + e.xyy), distance_to(p + e.yxy), distance_to(p + e.yyx)) - distance_to(p);
    let normal = normalize(slope);
    let lit = select(0.0, max(dot(normal, SUN), 0.0), march(p + 0.02 * normal, SUN) < 0.0);
    let mirrored = reflect(direction, normal);
    let gloss = select(0.0, 4.0 * pow(max(dot(mirrored, SUN), 0.0), 48.0), lit > 0.0);
    let colour = colour_of(p) * (2.0 * lit + 0.3 * sky(normal)) + gloss;
    return vec4<f32>(mix(colour, sky(direction), 1.0 - exp(-0.03 * along)), 1.0);
}
