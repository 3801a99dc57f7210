// Padding. MODE: 0 zeros, 1 reflection that does not repeat the edge, 2 replication.
// SCALE: nearest-neighbour enlargement in both directions, applied before the padding.
const MODE: u32 = 0u;
const SCALE: i32 = 1i;

// Index of the element at position `at` of the enlarged and padded row of `size` elements; −1 for a zero.
fn border_source(at: i32, size: i32) -> i32 {
    let last = size * SCALE - 1;
    if (MODE == 1u) {
        let mirrored = abs(at);
        return clamp(select(mirrored, 2 * last - mirrored, mirrored > last), 0, last) / SCALE;
    }
    if (MODE == 2u) {
        return clamp(at, 0, last) / SCALE;
    }
    return select(-1, at / SCALE, at >= 0 && at <= last);
}
