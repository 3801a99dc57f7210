// What stands at a position outside a picture. MODE: 0 zeros, 1 reflection (the edge itself not repeated), 2 replication.
// DILATION d puts d−1 zeros between neighbours (only with MODE 0): the adjoint of a stride.
const MODE: u32 = 0u;
const DILATION: i32 = 1i;

// The index of the element that position `at` shows in a row of `size` elements, −1 for a zero.
fn border_source(at: i32, size: i32) -> i32 {
    if (MODE == 1u) {
        let mirrored = abs(at);
        return clamp(select(mirrored, 2 * (size - 1) - mirrored, mirrored >= size), 0, size - 1);
    }
    if (MODE == 2u) {
        return clamp(at, 0, size - 1);
    }
    let index = at / DILATION;
    return select(-1, index, at >= 0 && index < size && index * DILATION == at);
}
