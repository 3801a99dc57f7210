//! L-BFGS: the two-loop recursion against the dense matrix, the conditions of the line search, and minima.

use crate::reference::lbfgs::{Minimum, Options, Pair, direction, minimise};
use crate::reference::line_search::{C1, C2, Point, strong_wolfe};
use crate::reference::{Array, compare_f64, gradient_check, vector};

/// Pairs of the quadratic with Hessian `diag(1, 2, … n)`, all with positive curvature.
fn random_history(n: usize, pairs: u64) -> Vec<Pair> {
    let pair = |seed| {
        let s = Array::random(&[n], seed).data;
        let y = s.iter().enumerate().map(|(i, s)| (i + 1) as f64 * s).collect();
        Pair { s, y }
    };
    (0..pairs).map(pair).collect()
}

/// `-H g` with the dense inverse Hessian, updated from γ I by `H ← (I - ρ s yᵀ) H (I - ρ y sᵀ) + ρ s sᵀ`.
fn dense_direction(history: &[Pair], g: &[f64]) -> Array {
    let n = g.len();
    let gamma = history.last().map_or(1.0, |p| vector::dot(&p.s, &p.y) / vector::dot(&p.y, &p.y));
    let element = |f: &dyn Fn(usize, usize) -> f64| -> Vec<Vec<f64>> {
        (0..n).map(|i| (0..n).map(|j| f(i, j)).collect()).collect()
    };
    let product = |a: &[Vec<f64>], b: &[Vec<f64>]| element(&|i, j| (0..n).map(|k| a[i][k] * b[k][j]).sum());
    let identity = |i, j| if i == j { 1.0 } else { 0.0 };
    let mut h = element(&|i, j| gamma * identity(i, j));
    for Pair { s, y } in history {
        let rho = 1.0 / vector::dot(y, s);
        let left = element(&|i, j| identity(i, j) - rho * s[i] * y[j]);
        let right = element(&|i, j| identity(i, j) - rho * y[i] * s[j]);
        let updated = product(&product(&left, &h), &right);
        h = element(&|i, j| updated[i][j] + rho * s[i] * s[j]);
    }
    Array::vector(h.iter().map(|row| -vector::dot(row, g)).collect())
}

#[test]
fn two_loop_recursion_matches_the_dense_matrix() {
    let g = Array::random(&[6], 100).data;
    for pairs in [0, 1, 2, 5, 12] {
        let history = random_history(6, pairs);
        let expected = dense_direction(&history, &g);
        compare_f64(&direction(&history, &g), &expected, 1e-10).unwrap();
        for i in 0..6 {
            let mut tampered = g.clone();
            tampered[i] += 1e-4;
            assert!(compare_f64(&direction(&history, &tampered), &expected, 1e-10).is_err());
        }
        if pairs > 0 {
            let mut tampered = history.clone();
            tampered[0].y[3] += 1e-4;
            assert!(compare_f64(&direction(&tampered, &g), &expected, 1e-10).is_err());
        }
    }
}

#[test]
fn the_direction_satisfies_the_secant_equation() {
    let history = random_history(5, 3);
    compare_f64(&direction(&history, &history[2].y), &Array::vector(vector::scale(-1.0, &history[2].s)), 1e-12)
        .unwrap();
}

#[test]
fn pairs_without_curvature_are_detected() {
    let pair = |y: f64| Pair { s: vec![1.0, 1.0], y: vec![y, 0.0] };
    assert!(pair(1.1e-10).is_curved());
    assert!(!pair(1e-10).is_curved() && !pair(-1.0).is_curved() && !pair(f64::NAN).is_curved());
}

/// A curve with its minimum near 1.6, and initial steps that are far too short, about right and far too long.
#[test]
fn the_line_search_meets_the_strong_wolfe_conditions() {
    let phi =
        |t: f64| Point { t, value: -t / (t * t + 2.6), slope: (t * t - 2.6) / (t * t + 2.6).powi(2), gradient: vec![] };
    let origin = phi(0.0);
    for exponent in -6..=6 {
        let found = strong_wolfe(phi, &origin, 10_f64.powi(exponent), 1e-12);
        assert!(found.value <= origin.value + C1 * found.t * origin.slope, "from 1e{exponent}: {found:?}");
        assert!(found.slope.abs() <= -C2 * origin.slope, "from 1e{exponent}: {found:?}");
    }
}

#[test]
fn the_line_search_backs_away_from_nan() {
    let phi = |t: f64| Point { t, value: -2.0 * t - (1.0 - t).ln(), slope: -2.0 + 1.0 / (1.0 - t), gradient: vec![] };
    let found = strong_wolfe(phi, &phi(0.0), 5.0, 1e-12);
    assert!(found.t < 1.0 && found.value < 0.0 && found.slope.abs() <= C2, "{found:?}");
}

fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
    let (mut value, mut gradient) = (0.0, vec![0.0; x.len()]);
    for i in 0..x.len() - 1 {
        let (valley, along) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
        value += 100.0 * valley * valley + along * along;
        gradient[i] += -400.0 * x[i] * valley - 2.0 * along;
        gradient[i + 1] += 200.0 * valley;
    }
    (value, gradient)
}

/// Torch's default stops at a change of 1e-9, some distance from these minima.
fn precise() -> Options {
    Options { tolerance_change: 1e-14, ..Options::default() }
}

fn assert_at(found: &Minimum, x: &[f64]) {
    compare_f64(&found.x, &Array::vector(x.to_vec()), 1e-5).unwrap();
    assert!(vector::max_abs(&found.gradient) < 1e-4, "{found:?}");
}

#[test]
fn lbfgs_minimises_rosenbrock() {
    let x = Array::random(&[4], 1);
    gradient_check(|x| rosenbrock(&x.data).0, &x, &Array::vector(rosenbrock(&x.data).1), 1e-7).unwrap();
    for (n, history) in [(2, 100), (2, 3), (10, 100), (10, 5)] {
        let mut evaluations = 0;
        let count = |x: &[f64]| {
            evaluations += 1;
            rosenbrock(x)
        };
        let start: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { -1.2 } else { 1.0 }).collect();
        let found = minimise(count, &start, Options { history, ..precise() });
        assert_at(&found, &vec![1.0; n]);
        assert_eq!(found.evaluations, evaluations);
        assert!(found.iterations < 100, "{found:?}");
    }
}

/// `½ Σ aᵢ (xᵢ - i)²` with curvatures from 1 to 1000.
#[test]
fn lbfgs_minimises_an_ill_conditioned_quadratic() {
    let curvature = |i: usize| 1000_f64.powf(i as f64 / 9.0);
    let f = |x: &[f64]| {
        let gradient: Vec<f64> = x.iter().enumerate().map(|(i, x)| curvature(i) * (x - i as f64)).collect();
        (gradient.iter().enumerate().map(|(i, g)| 0.5 * g * g / curvature(i)).sum(), gradient)
    };
    let found = minimise(f, &[0.5; 10], precise());
    assert_at(&found, &(0..10).map(|i| i as f64).collect::<Vec<_>>());
    let stopped = minimise(f, &[0.5; 10], Options { max_iterations: 3, ..precise() });
    assert_eq!(stopped.iterations, 3);
}
