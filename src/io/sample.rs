//! Samples of pictures as they are stored.

/// The type of a sample.
pub(super) trait Sample: Copy + Send + Sync {
    /// The value scaled to 0..1.
    fn unit(self) -> f32;
}

/// The type of an integer sample.
pub(super) trait Integer: Sample + Default {
    /// The nearest integer to a value of 0..1; other values are clamped. The inverse of [`Sample::unit`].
    fn nearest(value: f32) -> Self;
}

impl Sample for u8 {
    fn unit(self) -> f32 {
        f32::from(self) / 255.0
    }
}

impl Sample for u16 {
    fn unit(self) -> f32 {
        f32::from(self) / 65535.0
    }
}

impl Sample for f32 {
    fn unit(self) -> f32 {
        self.clamp(0.0, 1.0) // NaN is kept and detected later
    }
}

impl Integer for u8 {
    fn nearest(value: f32) -> Self {
        (value.clamp(0.0, 1.0) * 255.0).round() as u8
    }
}

impl Integer for u16 {
    fn nearest(value: f32) -> Self {
        (value.clamp(0.0, 1.0) * 65535.0).round() as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_back_from_floats() {
        assert!((0..=u8::MAX).all(|value| u8::nearest(value.unit()) == value));
        assert!((0..=u16::MAX).all(|value| u16::nearest(value.unit()) == value));
        assert_eq!([-1.0, 0.5, 7.0].map(u8::nearest), [0, 128, 255]);
    }
}
