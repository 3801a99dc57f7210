//! Strength of a grid of 8 pixels in a picture: an artefact of decoders that enlarge three times by two.
//!
//! Let p(r) be row r of a picture with all columns and channels. The differences of neighbouring rows are grouped by
//! row number modulo 8:
//!
//! ```text
//! m_k = mean over r = k (mod 8) of mean|p(r + 1) − p(r)|        mesh = max_k m_k / min_k m_k
//! ```
//! The same is computed for columns; the strength is the larger of the two. In a photo, all m_k are nearly the same;
//! block borders that are visible because of kernels or padding increase some of them. The content of a single picture
//! makes the m_k differ by chance: photos have a strength of about 1.1 at 256 px and 1.2 at 128 px. For many pictures,
//! each m_k (relative to the picture's mean m_k) is replaced by its median over the pictures, which leaves 1.02 to
//! 1.06.

use serde::{Serialize, Serializer};

use super::median;
use crate::io::Picture;

/// Period of the grid in rows and columns.
const PERIOD: usize = 8;

/// Mean differences of neighbouring rows, and of neighbouring columns, by number modulo 8, relative to their mean.
#[derive(Clone, Copy, Debug)]
pub struct Mesh([[f64; PERIOD]; 2]);

impl Mesh {
    /// The mesh of a picture of at least 9×9 px.
    ///
    /// # Panics
    /// If `rgb` has fewer values than the picture's size requires.
    pub fn of(picture: &Picture) -> Self {
        let Picture { width, height, ref rgb, .. } = *picture;
        let difference = |a: usize, b: usize| f64::from((rgb[b] - rgb[a]).abs());
        // Pixels of a line are `along` apart; the neighbouring line is `across` away.
        let shares = |[lines, length]: [usize; 2], [across, along]: [usize; 2]| {
            let mut sums = [0.0; PERIOD];
            let mut counts = [0usize; PERIOD];
            for line in 0..lines.saturating_sub(1) {
                for start in (0..3).map(|channel| channel * width * height + line * across) {
                    let pixels = (0..length).map(|pixel| start + pixel * along);
                    sums[line % PERIOD] += pixels.map(|at| difference(at, at + across)).sum::<f64>();
                }
                counts[line % PERIOD] += 3 * length;
            }
            relative(std::array::from_fn(|class| sums[class] / counts[class].max(1) as f64))
        };
        Mesh([shares([height, width], [width, 1]), shares([width, height], [1, width])])
    }

    /// The mesh of many pictures: the median of each class.
    ///
    /// # Panics
    /// If `of` is empty.
    pub fn median(of: &[Mesh]) -> Self {
        let class = |side: usize, class: usize| median(of.iter().map(|mesh| mesh.0[side][class]).collect());
        Mesh([0, 1].map(|side| std::array::from_fn(|number| class(side, number))))
    }

    /// The largest m_k divided by the smallest, of rows or of columns, whichever is larger: 1 without a grid, infinite
    /// if all differences of one class are 0.
    pub fn strength(&self) -> f64 {
        let ratio = |classes: &[f64; PERIOD]| {
            let [least, greatest] = [f64::min, f64::max].map(|of| classes.iter().copied().reduce(of).unwrap_or(1.0));
            greatest / least
        };
        self.0.iter().map(ratio).fold(1.0, f64::max)
    }
}

/// The values divided by their mean; ones if all values are 0.
fn relative(values: [f64; PERIOD]) -> [f64; PERIOD] {
    let mean = values.iter().sum::<f64>() / PERIOD as f64;
    values.map(|value| if mean > 0.0 { value / mean } else { 1.0 })
}

/// Serialises the strength.
impl Serialize for Mesh {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.strength())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn picture(width: usize, height: usize, of: impl Fn(usize, usize) -> f32) -> Picture {
        let plane: Vec<f32> =
            (0..width * height).map(|index| (index / width, index % width)).map(|(i, j)| of(i, j)).collect();
        Picture { rgb: plane.repeat(3), ..Picture::new(width, height) }
    }

    #[test]
    fn steps_that_are_larger_at_every_eighth_line_are_found() {
        // A ramp with steps of 1, and of 3 from line 7 to 8, 15 to 16 and so on.
        let ramp = |line: usize| (line + 2 * (line / 8)) as f32 / 100.0;
        for (mesh, picture) in [
            (3.0, picture(40, 40, |i, _| ramp(i))),
            (3.0, picture(40, 40, |_, j| ramp(j))),
            (3.0, picture(33, 41, |i, j| ramp(i) + j as f32 / 50.0)),
            (1.0, picture(40, 40, |i, j| (i + 2 * j) as f32 / 100.0)),
            (1.0, Picture::new(16, 16)),
        ] {
            let found = Mesh::of(&picture).strength();
            assert!((found - mesh).abs() < 1e-4, "{found}, not {mesh}");
        }
        // Blocks of one colour: seven of eight lines equal the next.
        assert_eq!(Mesh::of(&picture(24, 24, |i, j| (i / 8 + j / 8) as f32 / 6.0)).strength(), f64::INFINITY);
    }

    #[test]
    fn over_many_pictures_chance_goes_and_the_mesh_stays() {
        let mut random = Random::new(7);
        // Random steps in both directions; those to every eighth column are larger by the factor 1 + mesh.
        let mut strengths = |mesh: f32| {
            let noise = (0..49).map(|_| {
                let mut walk = |mesh: f32| {
                    let step =
                        |line: usize| (1.0 + random.uniform()) * if line.is_multiple_of(8) { 1.0 + mesh } else { 1.0 };
                    let steps: Vec<f32> = (0..32).map(step).collect();
                    steps
                        .iter()
                        .scan(0.0, |height, step| {
                            *height += step / 256.0;
                            Some(*height)
                        })
                        .collect::<Vec<_>>()
                };
                let (across, down) = (walk(mesh), walk(0.0));
                picture(32, 32, |i, j| across[j] + down[i])
            });
            let meshes: Vec<_> = noise.map(|picture| Mesh::of(&picture)).collect();
            [median(meshes.iter().map(Mesh::strength).collect()), Mesh::median(&meshes).strength()]
        };
        let [plain, meshed] = [0.0, 0.5].map(&mut strengths);
        assert!(plain[1] < 1.1 && plain[1] < plain[0], "{plain:?}");
        assert!((meshed[1] - 1.5).abs() < 0.1, "{meshed:?}");
    }
}
