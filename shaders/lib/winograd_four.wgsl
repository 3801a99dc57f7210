// A quad per thread, for lib/winograd.wgsl. Declares the same names as lib/winograd_one.wgsl. Requires lib/four.wgsl.
alias Seen = array<f32, SEEN>;

// Column k of every tile, from the columns that the thread reads.
fn of_tiles(seen: Seen, k: u32) -> element {
    var columns = seen;
    return element(columns[k], columns[k + TILE], columns[k + 2u * TILE], columns[k + 3u * TILE]);
}

fn component(value: element, tile: u32) -> f32 {
    return value[tile];
}

fn finished_element(sum: element, m: u32) -> element {
    return finished_four(sum, m);
}

// `value` for those tiles whose column k is one of the first `columns` of the quad, else 0.
fn if_there(value: element, k: u32, columns: u32) -> element {
    return select(element(0.0), value, TILE * vec4<u32>(0u, 1u, 2u, 3u) + k < vec4<u32>(columns));
}

// The moments of a quad.
fn merged(part: vec4<f32>, lane: u32) -> vec4<f32> {
    return part;
}
