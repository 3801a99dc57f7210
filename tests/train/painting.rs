//! Training pictures that the student paints.

use impasto::io::Picture;
use impasto::train::encoder::{Encoder, EncoderTrainerSettings, Painting};
use impasto::train::{Folder, Trainer as _};
use tempfile::TempDir;

use crate::{SIZE, choices, photos, student};

/// A folder with one picture of uniform colour.
fn plain(rgb: [f32; 3]) -> (TempDir, Folder) {
    let directory = tempfile::tempdir().unwrap();
    let pixels = rgb.iter().flat_map(|value| vec![*value; 40 * 40]).collect();
    Picture::from_rgb(40, 40, pixels).unwrap().save(&directory.path().join("0.png")).unwrap();
    let folder = Folder::scan(&[directory.path().into()]).unwrap();
    (directory, folder)
}

/// A student that is trained on `photos` and paints after every twelfth picture.
fn painter(photos: &Folder, styles: Folder) -> Encoder {
    let painting = Painting { every: 12, steps: 40, ..Painting::of(styles) };
    student(photos, EncoderTrainerSettings { painting: Some(painting), ..choices() })
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

/// Mean difference of red and blue.
fn redness(picture: &[f32]) -> f32 {
    let [red, _, blue] = [0, 1, 2].map(|plane| mean(&picture[plane * SIZE * SIZE..][..SIZE * SIZE]));
    red - blue
}

#[test]
fn every_other_picture_is_painted_by_the_student_in_the_given_styles() {
    let (_photos, folder) = photos(6, 40);
    let (_red, red) = plain([0.95, 0.2, 0.05]);
    let (_blue, blue) = plain([0.05, 0.2, 0.95]);
    let found = vec![0.5; 3 * SIZE * SIZE];
    let painted = |styles: &Folder| {
        let encoder = painter(&folder, styles.clone());
        let pictures: Vec<_> = (0..24).map(|number| encoder.picture(0, number, found.clone()).unwrap()).collect();
        // The training picture before the paintings is unchanged when requested again.
        assert!(encoder.picture(0, 24, found.clone()).unwrap() == found);
        pictures
    };
    let [red, blue] = [&red, &blue].map(painted);
    let odd = |pictures: &[Vec<f32>]| -> Vec<Vec<f32>> { pictures.iter().skip(1).step_by(2).cloned().collect() };
    for pictures in [&red, &blue] {
        assert!(pictures.iter().step_by(2).all(|picture| *picture == found));
        for picture in odd(pictures) {
            assert!(picture != found && picture.len() == found.len());
            assert!(picture.iter().all(|value| (0.0..=1.0).contains(value)));
        }
    }
    // The same photos, painted in the two styles.
    let gaps: Vec<_> = odd(&red).iter().zip(&odd(&blue)).map(|(red, blue)| redness(red) - redness(blue)).collect();
    assert!(gaps.iter().all(|gap| *gap > 0.0) && mean(&gaps) > 0.01, "{gaps:?}");
    // First stages of one painting, then of two.
    let distinct = |pictures: &[Vec<f32>]| {
        let mut bits: Vec<Vec<u32>> = pictures.iter().map(|p| p.iter().map(|v| v.to_bits()).collect()).collect();
        bits.sort();
        bits.dedup();
        bits.len()
    };
    let (early, all) = (distinct(&odd(&red[..12])), distinct(&odd(&red)));
    assert!((2..=4).contains(&early) && all > 4, "{early} {all}");
}

#[test]
fn a_student_without_painting_trains_on_photos() {
    let (_photos, folder) = photos(6, 40);
    let found = vec![0.5; 3 * SIZE * SIZE];
    let encoder = student(&folder, choices());
    assert!((0..4).all(|number| encoder.picture(0, number, found.clone()).unwrap() == found));
}

#[test]
fn the_sample_shows_the_paintings() {
    let (_photos, folder) = photos(6, 40);
    let encoder = painter(&folder, folder.clone());
    encoder.picture(0, 0, vec![0.5; 3 * SIZE * SIZE]).unwrap();
    let [plain, with] = [student(&folder, choices()), encoder].map(|encoder| encoder.sample().unwrap());
    assert_eq!(plain.width, with.width);
    assert!(with.height >= plain.height + SIZE, "{} {}", plain.height, with.height);
    // Below the rows of both sample pictures: one painting, on the left.
    let paper = with.rgb[0];
    let below = &with.rgb[plain.height * with.width..with.height * with.width];
    let shown = |columns: std::ops::Range<usize>| {
        below.chunks(with.width).any(|row| row[columns.clone()].iter().any(|value| (value - paper).abs() > 0.02))
    };
    assert!(shown(0..with.width / 3) && !shown(with.width / 3..with.width));
}
