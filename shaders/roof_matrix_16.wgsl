// roof_matrix_16: peak throughput of 16 × 16 cooperative matrices (lib/multiply_add_matrix.wgsl).
enable f16;
enable wgpu_cooperative_matrix;
#import lib/matrix_16.wgsl
#import lib/multiply_add_matrix.wgsl
