//! L-BFGS and Adam on the device against the f64 references.

use impasto::Result;
use impasto::gpu::DeviceTensor;
use impasto::optim::{Adam, AdamOptions, Lbfgs, LbfgsOptions, Objective};

use crate::context;
use crate::reference::{self, Array, compare, lbfgs};

/// A function computed on the host in f64, its gradient put on the device.
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
    fn evaluate(&mut self) -> Result<f64> {
        let x: Vec<f64> = self.x.read()?.into_iter().map(f64::from).collect();
        let (value, gradient) = (self.function)(&x);
        self.g.write(&gradient.iter().map(|&v| v as f32).collect::<Vec<_>>())?;
        Ok(value)
    }
}

/// Rosenbrock's valley in pairs of variables.
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

/// An ellipsoid of curvatures 1 to 100.
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
            // Rounding grows from step to step: f32 vectors and inner products against f64 throughout.
            compare(&x, &Array::vector(expected.x), 2e-3)
                .unwrap_or_else(|e| panic!("history {history}, iteration {iterations}: {e}"));
        }
    }
}

#[test]
fn lbfgs_finds_the_end_of_rosenbrocks_valley() {
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

/// Rosenbrock's valley with one variable more, which is pulled to 0.
fn rosenbrock_odd(x: &[f64]) -> (f64, Vec<f64>) {
    let (last, pairs) = x.split_last().unwrap();
    let (value, mut gradient) = rosenbrock(pairs);
    gradient.push(2.0 * last);
    (value + last * last, gradient)
}
