// Sum over a workgroup of REDUCE_SIZE lanes as a binary tree. The fixed order gives the same bits every time.
const REDUCE_SIZE: u32 = 64u;
var<workgroup> reduce_scratch: array<f32, REDUCE_SIZE>;

// Every lane gets the sum. All lanes of the workgroup must call this function.
fn workgroup_sum(lane: u32, value: f32) -> f32 {
    reduce_scratch[lane] = value;
    workgroupBarrier();
    for (var half = REDUCE_SIZE / 2u; half > 0u; half /= 2u) {
        if (lane < half) {
            reduce_scratch[lane] += reduce_scratch[lane + half];
        }
        workgroupBarrier();
    }
    let sum = reduce_scratch[0];
    workgroupBarrier();
    return sum;
}
