// roof_matrix_8: what a device's cooperative matrices of 8 × 8 elements reach (lib/multiply_add_matrix.wgsl).
enable f16;
enable wgpu_cooperative_matrix;
#import lib/matrix_8.wgsl
#import lib/multiply_add_matrix.wgsl
