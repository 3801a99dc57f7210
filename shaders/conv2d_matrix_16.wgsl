// conv2d_matrix_16: the sums of conv2d.wgsl on cooperative matrices of 16 × 16 elements (lib/conv2d_matrix.wgsl).
enable f16;
enable wgpu_cooperative_matrix;
#import lib/border.wgsl
#import lib/conv2d.wgsl
#import lib/conv2d_input.wgsl
#import lib/conv2d_output.wgsl
#import lib/epilogue.wgsl
#import lib/load.wgsl
#import lib/matrix_16.wgsl
#import lib/conv2d_matrix.wgsl
