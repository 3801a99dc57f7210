// The end of a convolution: y = act(sum + b[m]). Requires a variable `bias`.
const BIAS: bool = true;
const RELU: bool = true;

fn rectified(value: f32) -> f32 {
    return select(value, 0.0, value < 0.0); // `max` may turn a NaN into 0
}

fn rectified_four(value: vec4<f32>) -> vec4<f32> {
    return select(value, vec4<f32>(0.0), value < vec4<f32>(0.0));
}

fn finished(sum: f32, m: u32) -> f32 {
    var value = sum;
    if (BIAS) {
        value += bias[m];
    }
    if (RELU) {
        value = rectified(value);
    }
    return value;
}

fn finished_four(sum: vec4<f32>, m: u32) -> vec4<f32> {
    var value = sum;
    if (BIAS) {
        value += vec4<f32>(bias[m]);
    }
    if (RELU) {
        value = rectified_four(value);
    }
    return value;
}
