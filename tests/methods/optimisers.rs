//! L-BFGS and Adam on the device against the f64 references.

use impasto::Result;
use impasto::gpu::{DeviceTensor, Recorder, Shape};
use impasto::optim::{Adam, AdamOptions, Lbfgs, LbfgsOptions, Objective, Parameter, ParameterAdam};

use crate::context;
use crate::reference::{self, Array, clip, compare, lbfgs, vector};

/// A function computed on the host in f64, with its gradient written to the device.
struct Host<F> {
    x: DeviceTensor,
    g: DeviceTensor,
    function: F,
}

impl<F: FnMut(&[f64]) -> (f64, Vec<f64>)> Host<F> {
    fn new(start: &[f64], function: F) -> Self {
        let values: Vec<f32> = start.iter().map(|&v| v as f32).collect();
        let x = DeviceTensor::from_values(context(), "x", [start.len()], &values).unwrap();
        Host { x, g: DeviceTensor::new(context(), "g", [start.len()]), function }
    }
}

impl<F: FnMut(&[f64]) -> (f64, Vec<f64>)> Objective for Host<F> {
    async fn evaluate_async(&mut self) -> Result<f64> {
        let x: Vec<f64> = self.x.read_async().await?.into_iter().map(f64::from).collect();
        let (value, gradient) = (self.function)(&x);
        self.g.write(&gradient.iter().map(|&v| v as f32).collect::<Vec<_>>())?;
        Ok(value)
    }
}

/// The Rosenbrock function on pairs of variables.
fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
    let mut gradient = vec![0.0; x.len()];
    let mut value = 0.0;
    for i in (0..x.len()).step_by(2) {
        let (a, b) = (1.0 - x[i], x[i + 1] - x[i] * x[i]);
        value += a * a + 100.0 * b * b;
        gradient[i] = -2.0 * a - 400.0 * x[i] * b;
        gradient[i + 1] = 200.0 * b;
    }
    (value, gradient)
}

/// A quadratic with curvatures from 1 to 100.
fn quadratic(x: &[f64]) -> (f64, Vec<f64>) {
    let curvature = |i: usize| 100f64.powf(i as f64 / (x.len() - 1) as f64);
    let value = x.iter().enumerate().map(|(i, v)| 0.5 * curvature(i) * v * v).sum();
    (value, x.iter().enumerate().map(|(i, v)| curvature(i) * v).collect())
}

fn start(count: usize) -> Vec<f64> {
    Array::random(&[count], 5).data
}

#[test]
fn lbfgs_takes_the_references_steps() {
    for history in [3, 20] {
        let start = start(24);
        let mut host = Host::new(&start, quadratic);
        let options = LbfgsOptions { history, ..LbfgsOptions::default() };
        let mut optimizer = Lbfgs::new(context(), &host.x.clone(), &host.g.clone(), options).unwrap();
        let mut evaluations = 0;
        for iterations in 1..=12 {
            let step = optimizer.iterate(&mut host).unwrap();
            evaluations += step.evaluations;
            let options = lbfgs::Options { history, max_iterations: iterations, ..lbfgs::Options::default() };
            let expected = lbfgs::minimise(quadratic, &start, options);
            assert_eq!(evaluations, expected.evaluations, "history {history}, iteration {iterations}");
            let x = host.x.read().unwrap();
            // Rounding errors grow from step to step: f32 vectors and inner products against f64.
            compare(&x, &Array::vector(expected.x), 2e-3)
                .unwrap_or_else(|e| panic!("history {history}, iteration {iterations}: {e}"));
        }
    }
}

#[test]
fn lbfgs_minimises_rosenbrock() {
    let mut host = Host::new(&start(30), rosenbrock);
    let mut optimizer = Lbfgs::new(context(), &host.x.clone(), &host.g.clone(), LbfgsOptions::default()).unwrap();
    let mut evaluations = 0;
    let mut value = f64::INFINITY;
    while evaluations < 300 {
        let step = optimizer.iterate(&mut host).unwrap();
        assert!(step.value <= value, "went up from {value} to {}", step.value);
        (value, evaluations) = (step.value, evaluations + step.evaluations);
        if step.converged {
            break;
        }
    }
    assert!(value < 1e-6, "{value} after {evaluations} evaluations");
    compare(&host.x.read().unwrap(), &Array::vector(vec![1.0; 30]), 2e-3).unwrap();
}

#[test]
fn lbfgs_reports_a_function_that_is_not_finite_from_the_start() {
    let mut host = Host::new(&[1.0, 2.0], |_: &[f64]| (f64::NAN, vec![f64::NAN; 2]));
    let mut optimizer = Lbfgs::new(context(), &host.x.clone(), &host.g.clone(), LbfgsOptions::default()).unwrap();
    assert!(!optimizer.iterate(&mut host).unwrap().value.is_finite());
}

#[test]
fn lbfgs_stops_at_a_minimum() {
    let mut host = Host::new(&[0.0; 5], quadratic);
    let mut optimizer = Lbfgs::new(context(), &host.x.clone(), &host.g.clone(), LbfgsOptions::default()).unwrap();
    let step = optimizer.iterate(&mut host).unwrap();
    assert!(step.converged && step.value == 0.0 && step.evaluations == 1, "{step:?}");
}

#[test]
fn adam_takes_the_references_steps_and_keeps_the_range() {
    let start = start(37);
    for range in [[f32::MIN, f32::MAX], [-0.5, 0.25]] {
        let mut host = Host::new(&start, rosenbrock_odd);
        let options = AdamOptions { learning_rate: 0.05, range, ..AdamOptions::default() };
        let mut adam = Adam::new(context(), &host.x.clone(), &host.g.clone(), options).unwrap();
        let reference_options = reference::adam::Adam { learning_rate: 0.05, ..reference::adam::Adam::default() };
        let mut state = reference::adam::State::new(start.len());
        let mut expected = start.clone();
        for step in 0..20 {
            adam.iterate(&mut host).unwrap();
            let (_, gradient) = rosenbrock_odd(&expected);
            reference::adam::step(reference_options, &mut state, &mut expected, &gradient);
            expected.iter_mut().for_each(|v| *v = v.clamp(f64::from(range[0]), f64::from(range[1])));
            let x = host.x.read().unwrap();
            compare(&x, &Array::vector(expected.clone()), 1e-4).unwrap_or_else(|e| panic!("step {step}: {e}"));
        }
    }
}

/// The Rosenbrock function with an additional variable whose minimum is at 0.
fn rosenbrock_odd(x: &[f64]) -> (f64, Vec<f64>) {
    let (last, pairs) = x.split_last().unwrap();
    let (value, mut gradient) = rosenbrock(pairs);
    gradient.push(2.0 * last);
    (value + last * last, gradient)
}

/// Parameters of several shapes; the gradient pulls each toward 0.
fn parameters() -> Vec<Parameter> {
    let shapes: [&[usize]; 3] = [&[1], &[37], &[4, 3, 3, 3]];
    let parameter = |(seed, shape): (u64, &&[usize])| {
        let (name, shape) = (format!("layer{seed}.weight"), Shape::new(shape));
        let values = Array::random(shape.dims(), seed).to_f32();
        let value = DeviceTensor::from_values(context(), &name, shape, &values).unwrap();
        Parameter { gradient: DeviceTensor::new(context(), "gradient", shape), value, name }
    };
    (0..).zip(&shapes).map(parameter).collect()
}

#[test]
fn adam_for_parameters_takes_the_references_steps() {
    for (weight_decay, limit) in [(0.0, None), (0.3, None), (0.0, Some(5.0)), (0.3, Some(5.0))] {
        let parameters = parameters();
        let options = AdamOptions { weight_decay, clip: limit, ..AdamOptions::default() };
        let mut adam = ParameterAdam::new(context(), &parameters, options).unwrap();
        let mut rec = Recorder::new(context());
        adam.record(&mut rec).unwrap();
        let program = rec.finish().unwrap();

        let read = |tensor: &DeviceTensor| Array::from_f32(tensor.shape().dims(), &tensor.read().unwrap()).data;
        let mut expected: Vec<_> = parameters.iter().map(|parameter| read(&parameter.value)).collect();
        let mut states: Vec<_> = expected.iter().map(|x| reference::adam::State::new(x.len())).collect();
        let mut scales = Vec::new();
        for step in 1..=20 {
            // Different learning rates and gradient norms.
            let learning_rate = 0.1 / step as f32;
            let stiffness = 2.0 / step as f64;
            let gradients: Vec<Vec<f64>> = expected.iter().map(|x| vector::scale(stiffness, x)).collect();
            for (parameter, gradient) in parameters.iter().zip(&gradients) {
                parameter.gradient.write(&Array::vector(gradient.clone()).to_f32()).unwrap();
            }
            adam.set(&program, step, learning_rate);
            program.run().unwrap();

            let slices: Vec<_> = gradients.iter().map(Vec::as_slice).collect();
            let [norm, scale] = clip::norm(&slices, limit.map_or(f64::INFINITY, f64::from));
            scales.push(scale);
            compare(&[adam.norm().unwrap()], &Array::vector(vec![norm]), 1e-5).unwrap();
            let spec = reference::adam::Adam {
                learning_rate: f64::from(learning_rate),
                weight_decay: f64::from(weight_decay),
                ..reference::adam::Adam::default()
            };
            for (index, parameter) in parameters.iter().enumerate() {
                let (state, x) = (&mut states[index], &mut expected[index]);
                reference::adam::step(spec, state, x, &vector::scale(scale, &gradients[index]));
                let what = format!("{weight_decay} {limit:?}, step {step}, {}", parameter.name);
                let value = parameter.value.read().unwrap();
                compare(&value, &Array::vector(x.clone()), 1e-4).unwrap_or_else(|e| panic!("{what}: {e}"));
                assert!(parameter.gradient.read().unwrap().iter().all(|&g| g == 0.0), "{what}: the gradient stays");
            }
        }
        let clipped = scales.iter().filter(|&&scale| scale < 1.0).count();
        assert_eq!(limit.is_some(), (1..20).contains(&clipped), "{clipped} steps of 20 were clipped");
        for (state, moments) in states.iter().zip(adam.state().chunks(2)) {
            for (moment, expected) in moments.iter().zip([&state.m, &state.v]) {
                let got = moment.1.read().unwrap();
                compare(&got, &Array::vector(expected.clone()), 1e-4).unwrap_or_else(|e| panic!("{}: {e}", moment.0));
            }
        }
        let names: Vec<_> = adam.state().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[2..4], ["layer1.weight.first_moment", "layer1.weight.second_moment"]);
    }
}

#[test]
fn a_gradient_that_is_not_finite_shows_in_every_parameter() {
    for wrong in [f32::NAN, f32::INFINITY] {
        let parameters = parameters();
        let mut adam = ParameterAdam::new(context(), &parameters, AdamOptions::default()).unwrap();
        let mut rec = Recorder::new(context());
        adam.record(&mut rec).unwrap();
        parameters[0].gradient.write(&[wrong]).unwrap();
        rec.finish().unwrap().run().unwrap();
        assert!(!adam.norm().unwrap().is_finite());
        for Parameter { name, value, .. } in &parameters {
            assert!(value.read().unwrap().iter().all(|v| v.is_nan()), "{wrong}: {name}");
        }
    }
}

#[test]
fn a_gradient_of_another_shape_is_refused() {
    let mut parameters = parameters();
    parameters[1].gradient = DeviceTensor::new(context(), "gradient", [38]);
    let error = ParameterAdam::new(context(), &parameters, AdamOptions::default()).err().unwrap().to_string();
    assert!(error.contains("layer1.weight"), "{error}");
}
