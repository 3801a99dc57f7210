// conv2d_matrix_8: the sums of conv2d.wgsl on cooperative matrices of 8 × 8 elements (lib/conv2d_matrix.wgsl).
enable f16;
enable wgpu_cooperative_matrix;
#import lib/border.wgsl
#import lib/conv2d.wgsl
#import lib/conv2d_input.wgsl
#import lib/conv2d_output.wgsl
#import lib/epilogue.wgsl
#import lib/load.wgsl
#import lib/matrix_8.wgsl
#import lib/conv2d_matrix.wgsl
