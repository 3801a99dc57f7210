// winograd_4: F(4×4, 3×3), a tile per thread.
#import lib/border.wgsl
#import lib/epilogue.wgsl
#import lib/index.wgsl
#import lib/load.wgsl
#import lib/one.wgsl
#import lib/winograd.wgsl
#import lib/winograd_4.wgsl
#import lib/winograd_one.wgsl
#import lib/winograd_rows.wgsl

fn four_of(row: Side, f: u32) -> vec4<f32> {
    return vec4<f32>(row[0], row[1], row[2], row[3]);
}

fn four(at: u32, norm: vec4<f32>) -> vec4<f32> {
    return loaded_four(x_rows[at], at, norm);
}

// `input` for rows of x that are whole vec4s, with SCALE 1 and one column of padding before them.
@compute @workgroup_size(LANES)
fn input_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = workgroup.x * LANES + lane;
    let c = workgroup.y;
    if (at >= params.band * QUAD) {
        return;
    }
    let place = place_of(at);
    let channel = place.image * params.channels_in + c;
    let norm = norm_of(channel);
    let plane = channel * params.input_height;
    let across = params.input_width / 4u;
    let here = min(place.column / 4u, across - 1u); // tiles beyond the edge are not stored
    let is_first = here == 0u;
    let is_last = here + 1u == across;
    var rows: array<Edge, EDGE>;
    for (var r = 0u; r < EDGE; r++) {
        // No branches, so that drivers issue the loads of all rows together.
        let i = border_source(i32(place.row + r) - 1, i32(params.input_height));
        let source = (plane + u32(max(i, 0))) * across + here;
        let middle = four(source, norm);
        var before = 0.0; // the columns before and after the tile: a neighbour's, or padding
        var after = 0.0;
        if (MODE == 1u) {
            before = middle.y;
            after = middle.z;
        }
        if (MODE == 2u) {
            before = middle.x;
            after = middle.w;
        }
        before = select(four(source - select(1u, 0u, is_first), norm).w, before, is_first);
        after = select(four(source + select(1u, 0u, is_last), norm).x, after, is_last);
        var d = Edge(before, middle.x, middle.y, middle.z, middle.w, after);
        for (var k = 0u; k < EDGE; k++) {
            d[k] = select(0.0, d[k], i >= 0);
        }
        rows[r] = transform_input(d);
    }
    finish_input(&rows, c, at);
}
