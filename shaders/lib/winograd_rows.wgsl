// `output` and `output_measured` of lib/winograd.wgsl for outputs whose rows are whole vec4s. Requires `four_of`: four
// neighbouring outputs in a row of a thread's tiles.
fn write_rows(place: Place, m: u32, result: array<Side, TILE>) {
    let plane = plane_of(place, m) * params.height;
    let across = params.width / 4u;
    for (var r = 0u; r < TILE; r++) {
        let at = (plane + place.row + r) * across + place.column / 4u;
        for (var f = 0u; f < WIDTH * TILE / 4u; f++) {
            if (place.row + r < params.height && place.column / 4u + f < across) {
                y_rows[at + f] = four_of(result[r], f);
            }
        }
    }
}

@compute @workgroup_size(LANES)
fn output_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = workgroup.x * LANES + lane;
    if (is_made(at)) {
        let result = finish_output(workgroup.y, at);
        write_rows(place_of(at), workgroup.y, result);
    }
}

@compute @workgroup_size(LANES)
fn output_rows_measured(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = workgroup.x * LANES + lane;
    let place = place_of(at);
    var part = vec4<f32>(0.0);
    if (is_made(at)) {
        let result = finish_output(workgroup.y, at);
        write_rows(place, workgroup.y, result);
        part = moments_of(place, result);
    }
    let whole = merged(part, lane);
    if (is_made(at) && at % QUAD == 0u) {
        write_moments(place, workgroup.y, at, whole);
    }
}
