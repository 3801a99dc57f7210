// roof_half: the multiply-add chains of roof.wgsl in f16 (lib/multiply_add.wgsl).
enable f16;
alias number = f16;
#import lib/multiply_add.wgsl
