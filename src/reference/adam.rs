//! Adam (Kingma and Ba, 2015), with AdamW's decoupled weight decay (Loshchilov and Hutter, 2019).
//!
//! ```text
//! x ← x - lr · weight_decay · x
//! m ← β₁ m + (1 - β₁) g            m̂ = m / (1 - β₁ᵗ)
//! v ← β₂ v + (1 - β₂) g²           v̂ = v / (1 - β₂ᵗ)
//! x ← x - lr · m̂ / (√v̂ + eps)
//! ```

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    /// 0 for plain Adam.
    pub weight_decay: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

/// The moments of the gradient and the number of steps taken, t.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub steps: i32,
    pub m: Vec<f64>,
    pub v: Vec<f64>,
}

impl State {
    pub fn new(len: usize) -> Self {
        Self { steps: 0, m: vec![0.0; len], v: vec![0.0; len] }
    }
}

/// Moves `x` by one step against the gradient `g`.
pub fn step(spec: Adam, state: &mut State, x: &mut [f64], g: &[f64]) {
    assert!(x.len() == g.len() && x.len() == state.m.len());
    state.steps += 1;
    for i in 0..x.len() {
        x[i] -= spec.learning_rate * spec.weight_decay * x[i];
        state.m[i] = spec.beta1 * state.m[i] + (1.0 - spec.beta1) * g[i];
        state.v[i] = spec.beta2 * state.v[i] + (1.0 - spec.beta2) * g[i].powi(2);
        let m_hat = state.m[i] / (1.0 - spec.beta1.powi(state.steps));
        let v_hat = state.v[i] / (1.0 - spec.beta2.powi(state.steps));
        x[i] -= spec.learning_rate * m_hat / (v_hat.sqrt() + spec.eps);
    }
}
