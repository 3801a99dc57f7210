// Global index of a thread in a dispatch whose workgroups are folded into rows (host: linear_groups).
fn linear_index(workgroup: vec3<u32>, workgroups: vec3<u32>, lane: u32, size: u32) -> u32 {
    return (workgroup.y * workgroups.x + workgroup.x) * size + lane;
}
