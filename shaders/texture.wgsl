// texture: between the textures of a host and planes of sRGB values 0..1, which the nets read and write.
//   planes:  planes = e(color)            each pixel is the mean over its area of the frame
//   motion, depth: planes = texel            that of the frame under the centre of each pixel
//   share:   m_r = s_r w_r / max(1, Σ w)  the weight of region r for each feature; r = count: 1 − Σ m
//   to_storage, to_target: o = d((1 − Σ c) e(color) + Σ c_k painted_k)      c_k = s_k w_k / max(1, Σ w)
//     alpha is the frame's; a painting of all regions counts by Σ c
//   e: encodes linear values, times the exposure, by the sRGB curve, and clamps; NaN is 0; d: the inverse
//   w: the weights of the regions, 1 for the first without a mask; painted: clamped to 0..1
// A smaller painting is enlarged under the guidance of the frame (joint bilateral upsampling, Kopf et al. 2007):
//   painted(p) = Σ_q g(q − p) h(e(color)(p) − photo(q)) painted(q) / Σ_q g h       over the 4×4 pixels around p
// planes, photo, painted: f32[images,3,height,width]   share: f32[height,width]   color, weights, ids, output: frame_height ×
// frame_width texels or more. ratio: frame size over size.
// dispatch: one thread per pixel of an image (planes), feature (share) or texel (to_storage), workgroups of 8×8

struct Params {
    strength: vec4<f32>,
    height: u32,
    width: u32,
    frame_height: u32,
    frame_width: u32,
    ratio_y: f32,
    ratio_x: f32,
    exposure: f32,
    output_exposure: f32,
    count: u32,
    region: u32,
    images: u32,
    tolerance: f32,
}

// The least weight of a pixel whose colour is unlike that of the frame's texel.
const LEAST: f32 = 1e-3;

// Whether the textures have linear values, and whether those of the frame are stored as sRGB values of 8 bits.
const LINEAR: bool = false;
const BYTES: bool = false;
const OUTPUT_LINEAR: bool = false;

// Whether depths are the values of a colour texture.
const STORED: bool = false;

// The kind of mask; neither: none.
const WEIGHTS: bool = false;
const IDS: bool = false;

var<uniform> params: Params;
var color: texture_2d<f32>;
var weights: texture_2d<f32>;
var ids: texture_2d<u32>;
var motion: texture_2d<f32>;
var distances: texture_2d<f32>;
var depth: texture_depth_2d;
var<storage, read_write> planes: array<f32>;
var<storage, read_write> share: array<f32>;
var<storage, read> photo: array<f32>;
var<storage, read> painted: array<f32>;
var output: texture_storage_2d<rgba8unorm, write>;

fn encode(value: vec3<f32>) -> vec3<f32> {
    let x = clamp(value, vec3<f32>(0.0), vec3<f32>(1.0));
    return select(1.055 * pow(x, vec3<f32>(1.0 / 2.4)) - 0.055, 12.92 * x, x <= vec3<f32>(0.0031308));
}

fn decode(x: vec3<f32>) -> vec3<f32> {
    return select(pow((x + 0.055) / 1.055, vec3<f32>(2.4)), x / 12.92, x <= vec3<f32>(0.04045));
}

// 0 in place of NaN, which a norm would spread over the whole painting. Tested by its bits, because compilers may assume
// that there is none.
fn numbers(value: vec3<f32>) -> vec3<f32> {
    let magnitude = bitcast<vec3<u32>>(value) & vec3<u32>(0x7fffffffu);
    return select(value, vec3<f32>(0.0), magnitude > vec3<u32>(0x7f800000u));
}

// The sRGB values of a texel of the frame.
fn shown(texel: vec3<f32>) -> vec3<f32> {
    if (LINEAR) {
        let value = encode(numbers(texel) * params.exposure);
        if (BYTES) {
            // What is stored, because devices may convert it to linear values with an error.
            return round(255.0 * value) / 255.0;
        }
        return value;
    }
    return clamp(texel, vec3<f32>(0.0), vec3<f32>(1.0));
}

fn weights_at(at: vec2<u32>) -> vec4<f32> {
    var found = vec4<f32>(1.0, 0.0, 0.0, 0.0);
    if (WEIGHTS) {
        found = textureLoad(weights, at, 0);
    }
    if (IDS) {
        let id = textureLoad(ids, at, 0).x;
        found = select(vec4<f32>(0.0), vec4<f32>(1.0), vec4<u32>(id) == vec4<u32>(0u, 1u, 2u, 3u));
    }
    return select(vec4<f32>(0.0), found, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.count));
}

// Scales weights with a sum above 1 down to 1.
fn limited(found: vec4<f32>) -> vec4<f32> {
    return found / max(1.0, dot(found, vec4<f32>(1.0)));
}

// The texels of the frame under a pixel, and the shares of the first and the last of them in x and y.
struct Area {
    first: vec2<u32>,
    end: vec2<u32>,
    low: vec2<f32>,
    high: vec2<f32>,
}

fn area_of(at: vec2<u32>) -> Area {
    let ratio = vec2<f32>(params.ratio_x, params.ratio_y);
    let size = vec2<u32>(params.frame_width, params.frame_height);
    let low = vec2<f32>(at) * ratio;
    let high = min(low + ratio, vec2<f32>(size));
    let first = min(vec2<u32>(low), size - 1u);
    let end = clamp(vec2<u32>(ceil(high)), first + 1u, size);
    return Area(first, end, low, high);
}

// The length of texel `at` that lies in the area, in texels.
fn overlap(area: Area, at: vec2<u32>) -> f32 {
    let low = max(area.low, vec2<f32>(at));
    let high = min(area.high, vec2<f32>(at) + 1.0);
    let sides = max(high - low, vec2<f32>(1e-6));
    return sides.x * sides.y;
}

@compute @workgroup_size(8, 8)
fn to_planes(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.width || id.y >= params.height) {
        return;
    }
    let area = area_of(id.xy);
    var sum = vec3<f32>(0.0);
    var total = 0.0;
    for (var y = area.first.y; y < area.end.y; y++) {
        for (var x = area.first.x; x < area.end.x; x++) {
            let at = vec2<u32>(x, y);
            let part = overlap(area, at);
            sum += part * shown(textureLoad(color, at, 0).xyz);
            total += part;
        }
    }
    let mean = sum / total;
    let plane = params.height * params.width;
    let pixel = id.z * 3u * plane + id.y * params.width + id.x;
    planes[pixel] = mean.x;
    planes[pixel + plane] = mean.y;
    planes[pixel + 2u * plane] = mean.z;
}

@compute @workgroup_size(8, 8)
fn to_share(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= params.width || id.y >= params.height) {
        return;
    }
    let area = area_of(id.xy);
    var sum = vec4<f32>(0.0);
    var total = 0.0;
    for (var y = area.first.y; y < area.end.y; y++) {
        for (var x = area.first.x; x < area.end.x; x++) {
            let at = vec2<u32>(x, y);
            let part = overlap(area, at);
            sum += part * weights_at(at);
            total += part;
        }
    }
    let all = params.strength * limited(sum / total);
    var value = max(0.0, 1.0 - dot(all, vec4<f32>(1.0)));
    if (params.region < params.count) {
        value = all[params.region];
    }
    share[id.y * params.width + id.x] = value;
}

fn of_planes(at: u32, plane: u32) -> vec3<f32> {
    let value = vec3<f32>(painted[at], painted[at + plane], painted[at + 2u * plane]);
    return clamp(value, vec3<f32>(0.0), vec3<f32>(1.0));
}

// A painting at a texel of the frame, whose own values are `guide`.
fn painting_at(at: vec2<u32>, guide: vec3<f32>, image: u32) -> vec3<f32> {
    let plane = params.height * params.width;
    let start = image * 3u * plane;
    if (params.width == params.frame_width && params.height == params.frame_height) {
        return of_planes(start + at.y * params.width + at.x, plane);
    }
    let ratio = vec2<f32>(params.ratio_x, params.ratio_y);
    let centre = (vec2<f32>(at) + 0.5) / ratio - 0.5;
    let first = floor(centre) - 1.0;
    let last = vec2<f32>(vec2<u32>(params.width, params.height)) - 1.0;
    var sum = vec3<f32>(0.0);
    var total = 0.0;
    for (var i = 0u; i < 16u; i++) {
        let place = first + vec2<f32>(vec2<u32>(i % 4u, i / 4u));
        let inside = vec2<u32>(clamp(place, vec2<f32>(0.0), last));
        let q = inside.y * params.width + inside.x;
        let away = place - centre;
        let difference = guide - vec3<f32>(photo[q], photo[q + plane], photo[q + 2u * plane]);
        let alike = max(exp(-dot(difference, difference) / params.tolerance), LEAST);
        let weight = exp(-dot(away, away)) * alike;
        sum += weight * of_planes(start + q, plane);
        total += weight;
    }
    return sum / total;
}

// The texel of the output.
fn finished(at: vec2<u32>) -> vec4<f32> {
    let texel = textureLoad(color, at, 0);
    let own = shown(texel.xyz);
    let shares = params.strength * limited(weights_at(at));
    let covered = dot(shares, vec4<f32>(1.0));
    var value = (1.0 - covered) * own;
    for (var image = 0u; image < params.images; image++) {
        let part = select(shares[image], covered, params.images == 1u);
        if (part > 0.0) {
            value += part * painting_at(at, own, image);
        }
    }
    if (OUTPUT_LINEAR) {
        return vec4<f32>(decode(value) / params.output_exposure, texel.w);
    }
    return vec4<f32>(value, texel.w);
}

// The texel under the centre of a pixel.
fn texel_of(pixel: vec2<u32>) -> vec2<u32> {
    let centre = (vec2<f32>(pixel) + 0.5) * vec2<f32>(params.ratio_x, params.ratio_y);
    return min(vec2<u32>(centre), vec2<u32>(params.frame_width, params.frame_height) - 1u);
}

@compute @workgroup_size(8, 8)
fn to_motion(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.width && id.y < params.height) {
        let value = textureLoad(motion, texel_of(id.xy), 0);
        let at = id.y * params.width + id.x;
        planes[at] = value.x;
        planes[at + params.height * params.width] = value.y;
    }
}

@compute @workgroup_size(8, 8)
fn to_depth(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.width && id.y < params.height) {
        let at = id.y * params.width + id.x;
        if (STORED) {
            planes[at] = textureLoad(distances, texel_of(id.xy), 0).x;
        } else {
            planes[at] = textureLoad(depth, texel_of(id.xy), 0);
        }
    }
}

@compute @workgroup_size(8, 8)
fn to_storage(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.frame_width && id.y < params.frame_height) {
        textureStore(output, id.xy, finished(id.xy));
    }
}

@vertex
fn screen(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    let corner = vec2<f32>(vec2<u32>(index % 2u, index / 2u));
    return vec4<f32>(4.0 * corner - 1.0, 0.0, 1.0);
}

@fragment
fn to_target(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let at = vec2<u32>(position.xy);
    if (at.x >= params.frame_width || at.y >= params.frame_height) {
        discard;
    }
    return finished(at);
}
