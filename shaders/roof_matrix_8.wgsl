// roof_matrix_8: peak throughput of 8 × 8 cooperative matrices (lib/multiply_add_matrix.wgsl).
enable f16;
enable wgpu_cooperative_matrix;
#import lib/matrix_8.wgsl
#import lib/multiply_add_matrix.wgsl
