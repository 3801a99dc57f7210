// roof_matrix_16: what a device's cooperative matrices of 16 × 16 elements reach (lib/multiply_add_matrix.wgsl).
enable f16;
enable wgpu_cooperative_matrix;
#import lib/matrix_16.wgsl
#import lib/multiply_add_matrix.wgsl
