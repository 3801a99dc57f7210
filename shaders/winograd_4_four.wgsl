// winograd_4_four: F(4×4, 3×3), a quad per thread.
#import lib/border.wgsl
#import lib/epilogue.wgsl
#import lib/four.wgsl
#import lib/index.wgsl
#import lib/load.wgsl
#import lib/winograd.wgsl
#import lib/winograd_4.wgsl
#import lib/winograd_four.wgsl
#import lib/winograd_rows.wgsl

fn four_of(row: Side, f: u32) -> vec4<f32> {
    return vec4<f32>(row[0][f], row[1][f], row[2][f], row[3][f]);
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
    if (at >= params.band) {
        return;
    }
    let place = place_of(at);
    let channel = place.image * params.channels_in + c;
    let norm = norm_of(channel);
    let plane = channel * params.input_height;
    let across = params.input_width / 4u;
    let first = place.column / 4u;
    var rows: array<Edge, EDGE>;
    for (var r = 0u; r < 6u; r++) {
        let i = border_source(i32(place.row + r) - 1, i32(params.input_height));
        var d: Edge;
        if (i >= 0) {
            let source = (plane + u32(i)) * across;
            var tiles: array<vec4<f32>, 4>;
            for (var t = 0u; t < 4u; t++) {
                tiles[t] = four(source + min(first + t, across - 1u), norm);
            }
            var after: vec4<f32>; // the column after each tile: the next tile's first, or padding at the end of the row
            for (var t = 0u; t < 4u; t++) {
                var edge = 0.0;
                if (MODE == 1u) {
                    edge = tiles[t].z;
                }
                if (MODE == 2u) {
                    edge = tiles[t].w;
                }
                if (t < 3u) {
                    after[t] = select(tiles[t + 1u].x, edge, first + t + 1u >= across);
                } else {
                    after[t] = edge;
                    if (first + 4u < across) {
                        after[t] = four(source + first + 4u, norm).x;
                    }
                }
            }
            var before = 0.0;
            if (MODE == 1u) {
                before = tiles[0].y;
            }
            if (MODE == 2u) {
                before = tiles[0].x;
            }
            if (first > 0u) {
                before = four(source + first - 1u, norm).w;
            }
            d[0] = vec4<f32>(before, tiles[0].w, tiles[1].w, tiles[2].w);
            for (var k = 0u; k < 4u; k++) {
                d[k + 1u] = vec4<f32>(tiles[0][k], tiles[1][k], tiles[2][k], tiles[3][k]);
            }
            d[5] = after;
        }
        rows[r] = transform_input(d);
    }
    finish_input(&rows, c, at);
}

