//! Tests of `dataset.rs` on generated pictures.

use super::*;
use std::{collections::BTreeSet, fs, path::Path};
use tempfile::TempDir;

const CROPS: Crops = Crops { size: 8, share: Some([0.5, 1.0]), flip: true };

/// A picture of one colour, which identifies it.
fn plain(path: &Path, shade: usize) {
    let rgb = vec![shade as f32 / 255.0; 3 * 12 * 10];
    Picture::from_rgb(12, 10, rgb).unwrap().save(path).unwrap();
}

/// A picture without two equal pixels.
fn varied(path: &Path, seed: u64) {
    let mut random = Random::new(seed);
    let rgb = (0..3 * 20 * 16).map(|_| random.uniform()).collect();
    Picture::from_rgb(20, 16, rgb).unwrap().save(path).unwrap();
}

fn folder(count: usize, make: impl Fn(&Path, usize)) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    (0..count).for_each(|index| make(&directory.path().join(format!("{index:04}.png")), index));
    directory
}

fn scan(directory: &TempDir) -> Folder {
    Folder::scan(&[directory.path().into()]).unwrap()
}

fn take(folder: &Folder, seed: u64, first: u64, workers: usize, count: usize) -> Vec<Vec<f32>> {
    let mut loader = Loader::start(folder.clone(), CROPS, seed, first, workers).unwrap();
    (0..count).map(|_| loader.next().unwrap()).collect()
}

/// The index of the plain picture that a crop was cut from.
fn shade(crop: &[f32]) -> usize {
    let shade = crop[0] * 255.0;
    assert!(crop.iter().all(|value| (value * 255.0 - shade).abs() < 1e-3), "one colour");
    shade.round() as usize
}

#[test]
fn the_seed_and_the_number_decide_and_the_workers_do_not() {
    let directory = folder(5, |path, index| varied(path, index as u64));
    let folder = scan(&directory);
    let expected = take(&folder, 7, 0, 1, 17);
    for crop in &expected {
        assert_eq!(crop.len(), 3 * 8 * 8);
        assert!(crop.iter().all(|value| (0.0..=1.0).contains(value)));
    }
    assert_eq!(expected.iter().map(|crop| format!("{crop:?}")).collect::<BTreeSet<_>>().len(), 17, "all differ");
    for workers in [0, 2, 3, 8] {
        assert_eq!(take(&folder, 7, 0, workers, 17), expected, "{workers} workers");
    }
    for (first, workers) in [(3, 0), (1, 1), (4, 3), (11, 2)] {
        assert_eq!(take(&folder, 7, first, workers, 17 - first as usize), expected[first as usize..], "from {first}");
    }
    assert_ne!(take(&folder, 8, 0, 1, 17), expected, "another seed");
    let pictures = folder.files().iter().map(|file| Picture::load(file).unwrap()).collect();
    assert_eq!(take(&Folder::of_pictures(pictures).unwrap(), 7, 0, 0, 17), expected, "pictures in memory");
    assert!(Folder::of_pictures(Vec::new()).unwrap_err().to_string().contains("at least one picture"));
}

#[test]
fn every_epoch_shows_every_picture_once_in_its_own_order() {
    let directory = folder(20, |path, index| plain(path, 3 * index));
    let shades: Vec<usize> = take(&scan(&directory), 1, 0, 3, 60).iter().map(|crop| shade(crop)).collect();
    for epoch in shades.chunks(20) {
        assert_eq!(epoch.iter().copied().collect::<BTreeSet<_>>(), (0..20).map(|index| 3 * index).collect());
    }
    assert!(shades[..20] != shades[20..40] && shades[20..40] != shades[40..] && shades[..20] != shades[40..]);
}

#[test]
fn broken_files_are_replaced_by_the_next_and_counted_once() {
    let directory = folder(12, |path, index| plain(path, 3 * index));
    for index in [2, 3, 9] {
        fs::write(directory.path().join(format!("{index:04}.png")), "<html>not found</html>").unwrap();
    }
    let folder = scan(&directory);
    let count = 36;
    // The expected result, from the definition.
    let expected: Vec<usize> = (0..count)
        .map(|number| {
            let order = order(5, number as u64 / 12, 12);
            let place = number % 12;
            3 * *order[place..].iter().chain(&order).find(|index| ![2, 3, 9].contains(*index)).unwrap()
        })
        .collect();
    for (first, workers) in [(0, 0), (7, 0), (0, 1), (0, 4), (7, 2)] {
        let mut loader = Loader::start(folder.clone(), CROPS, 5, first as u64, workers).unwrap();
        let got: Vec<usize> = (first..count).map(|_| shade(&loader.next().unwrap())).collect();
        assert_eq!(got, expected[first..], "from {first} with {workers} workers");
        assert_eq!(loader.broken(), 3);
    }
}

#[test]
fn a_folder_without_a_readable_picture_is_an_error_each_time() {
    let directory = folder(5, |path, _| fs::write(path, "no picture").unwrap());
    let mut loader = Loader::start(scan(&directory), CROPS, 0, 0, 2).unwrap();
    for _ in 0..20 {
        let message = loader.next().unwrap_err().to_string();
        assert!(message.contains("none of the 5") && message.contains("it is text"), "{message}");
    }
    assert_eq!(loader.broken(), 5);
}

#[test]
fn dropping_ends_the_workers_wherever_they_are() {
    let directory = folder(3, plain);
    for taken in [0, 1, 5] {
        let mut loader = Loader::start(scan(&directory), CROPS, 0, 0, 3).unwrap();
        (0..taken).for_each(|_| drop(loader.next().unwrap()));
        let shared = Arc::clone(&loader.shared);
        drop(loader);
        assert_eq!(Arc::strong_count(&shared), 1, "no worker is left");
    }
}

#[test]
fn cuts_are_squares_of_the_share_that_was_asked_for() {
    // Red encodes the column, green the row.
    let (width, height) = (40, 30);
    let mut picture = Picture::new(width, height);
    for index in 0..width * height {
        picture.rgb[index] = (index % width) as f32 / 100.0;
        picture.rgb[width * height + index] = (index / width) as f32 / 100.0;
    }
    let mut mirrored = 0;
    let mut corners = BTreeSet::new();
    for number in 0..200 {
        // A side of 15 without resizing: the pixels are copied unchanged.
        let crops = Crops { size: 15, share: Some([0.5, 0.5]), flip: true };
        let cut = crops.cut(&picture, &mut generator(3, Purpose::Cut, number));
        let at = |plane: usize, x: usize, y: usize| (cut[plane * 225 + y * 15 + x] * 100.0).round() as i32;
        let flip = at(0, 1, 0) < at(0, 0, 0);
        let left = at(0, if flip { 14 } else { 0 }, 0);
        let top = at(1, 0, 0);
        assert!((0..=25).contains(&left) && (0..=15).contains(&top), "{left} {top}");
        for (x, y) in [(0, 0), (14, 14), (3, 11)] {
            let column = if flip { 14 - x } else { x };
            assert_eq!((at(0, x, y), at(1, x, y)), (left + column as i32, top + y as i32));
        }
        mirrored += u32::from(flip);
        corners.insert((left, top));

        let straight = Crops { flip: false, ..crops }.cut(&picture, &mut generator(3, Purpose::Cut, number));
        assert_eq!(straight[0], cut[if flip { 14 } else { 0 }], "mirroring doesn't move the place");
    }
    assert!((70..130).contains(&mirrored), "{mirrored} of 200 are mirrored");
    assert!(corners.iter().any(|corner| corner.0 == 0) && corners.iter().any(|corner| corner.0 == 25));
    assert!(corners.iter().any(|corner| corner.1 == 0) && corners.iter().any(|corner| corner.1 == 15));
}

#[test]
fn crops_without_a_share_keep_the_pictures_pixels() {
    let mut picture = Picture::new(40, 30);
    (0..3 * 40 * 30).for_each(|index| picture.rgb[index] = (index % 1200) as f32 / 1200.0);
    let crops = Crops { size: 12, share: None, flip: false };
    let mut corners = HashSet::new();
    for number in 0..50 {
        let cut = crops.cut(&picture, &mut generator(3, Purpose::Cut, number));
        let corner = (cut[0] * 1200.0).round() as usize;
        let expected = picture.cut(corner / 40..corner / 40 + 12, corner % 40..corner % 40 + 12);
        assert_eq!(cut, expected.rgb);
        corners.insert(corner);
    }
    assert!(corners.len() > 30, "{}", corners.len());
    // Of a smaller picture, the whole short side.
    let small = picture.cut(0..8, 0..8);
    let cut = crops.cut(&small, &mut generator(3, Purpose::Cut, 0));
    assert_eq!(cut, small.resize(12, 12).rgb);
}

#[test]
fn shares_are_spread_over_their_range() {
    // The width of the cropped region, from the slope of the gradient.
    let mut picture = Picture::new(200, 100);
    (0..3 * 200 * 100).for_each(|index| picture.rgb[index] = (index % 200) as f32 / 200.0);
    let crops = Crops { size: 20, share: Some([0.2, 0.8]), flip: false };
    let sides: Vec<f32> = (0..100)
        .map(|number| {
            let cut = crops.cut(&picture, &mut generator(1, Purpose::Cut, number));
            (cut[15] - cut[5]) * 200.0 / 10.0 * 20.0
        })
        .collect();
    let [least, greatest] = [f32::min, f32::max].map(|choose| sides.iter().copied().reduce(choose).unwrap());
    assert!((19.0..25.0).contains(&least) && (75.0..81.0).contains(&greatest), "{least} {greatest}");
}

#[test]
fn a_single_pixel_is_enlarged() {
    let crops = Crops { size: 5, share: Some([0.1, 0.1]), flip: true };
    let pixel = Picture::from_rgb(1, 1, vec![0.0, 0.5, 1.0]).unwrap();
    let colours = |picture: &Picture| {
        let cut = crops.cut(picture, &mut Random::new(0));
        assert_eq!(cut.len(), 75);
        let colours = [cut[0], cut[25], cut[50]];
        assert!(cut.iter().enumerate().all(|(index, value)| (value - colours[index / 25]).abs() < 1e-6));
        colours
    };
    let close = |got: [f32; 3], expected: [f32; 3]| got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6);
    assert!(close(colours(&pixel), [0.0, 0.5, 1.0]));
    let faint = Picture { alpha: Some(vec![0.25]), ..pixel };
    assert!(close(colours(&faint), [0.0, 0.5, 1.0]));
}

#[test]
fn crops_do_not_show_hidden_colours() {
    let picture = |hidden: f32| {
        let visible = |index: usize| index % 24 < 10;
        let rgb = (0..3 * 24 * 24).map(|index| if visible(index) { 0.4 } else { hidden }).collect();
        let alpha = (0..24 * 24).map(|index| if visible(index) { 1.0 } else { 0.0 }).collect();
        Picture { alpha: Some(alpha), ..Picture::from_rgb(24, 24, rgb).unwrap() }
    };
    let crops = Crops { size: 16, share: Some([0.5, 1.0]), flip: true };
    for seed in 0..4 {
        let [black, white] = [0.0, 1.0].map(|hidden| crops.cut(&picture(hidden), &mut Random::new(seed)));
        assert_eq!(black, white);
        assert!(black.iter().all(|value| (value - 0.4).abs() < 1e-5));
    }
}

#[test]
fn nonsense_is_refused() {
    let folder = scan(&self::folder(1, plain));
    let refusal = |crops: Crops| Loader::start(folder.clone(), crops, 0, 0, 1).err().unwrap().to_string();
    assert!(refusal(Crops { size: 0, ..CROPS }).contains("size must be at least 1"));
    for share in [[0.0, 1.0], [0.5, 1.1], [0.8, 0.5], [f32::NAN, 1.0]] {
        assert!(refusal(Crops { share: Some(share), ..CROPS }).contains("share"), "{share:?}");
    }
}

#[test]
fn cuts_are_resized_as_pictures_are() {
    let mut random = Random::new(9);
    let rgb = (0..3 * 30 * 30).map(|_| random.uniform()).collect();
    let picture = Picture::from_rgb(30, 30, rgb).unwrap();
    for size in [13, 30, 47] {
        let cut = Crops { size, share: Some([1.0, 1.0]), flip: false }.cut(&picture, &mut Random::new(0));
        let expected = picture.resize(size, size).rgb;
        assert!(cut.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6) && cut.len() == expected.len(), "{size}");
    }
}
