// One tile per thread, for lib/winograd.wgsl. Declares the same names as lib/winograd_four.wgsl. Requires lib/one.wgsl.
// A second type like Edge would be defined twice in HLSL.
alias Seen = Edge;

// Column k of the tile, from the columns that the thread reads.
fn of_tiles(seen: Seen, k: u32) -> element {
    var columns = seen;
    return columns[k];
}

fn component(value: element, tile: u32) -> f32 {
    return value;
}

fn finished_element(sum: element, m: u32) -> element {
    return finished(sum, m);
}

// `value` if the tile's column k is one of the first `columns`, else 0.
fn if_there(value: element, k: u32, columns: u32) -> element {
    return select(0.0, value, k < columns);
}

var<workgroup> parts: array<vec4<f32>, LANES>;

// For the first thread of each quad: the quad's moments, from those of its tiles (Chan, Golub and LeVeque, 1979). All
// threads of the workgroup must call this function. The first tile has outputs; others may have none.
fn merged(part: vec4<f32>, lane: u32) -> vec4<f32> {
    parts[lane] = part;
    workgroupBarrier();
    var all = part;
    for (var t = 1u; t < 4u; t++) {
        let next = parts[lane / 4u * 4u + t];
        if (next.x > 0.0) {
            let count = all.x + next.x;
            let apart = next.y - all.y;
            let average = all.y + apart * (next.x / count);
            all = vec4<f32>(count, average, all.z + next.z + apart * (next.y - average) * next.x, 0.0);
        }
    }
    return all;
}
