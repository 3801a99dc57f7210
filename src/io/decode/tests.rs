//! Tests of the decoding of TIFF and CMYK.

use super::tests::{jpeg, load, refusal};
use super::*;

/// A TIFF of one strip: tags with their types and values (1: byte, 3: short, 4: long), without those of the strip.
fn tiff(tags: &[(u16, u16, &[u32])], data: &[u8], is_big: bool) -> Vec<u8> {
    let (offset, entry) = if is_big { (8, 20) } else { (4, 12) };
    let word = |value: usize, length: usize| value.to_le_bytes()[..length].to_vec();
    let mut bytes = if is_big { b"II+\0\x08\0\0\0".to_vec() } else { b"II*\0".to_vec() };
    let data_at = 16 + data.len() % 2;
    let mut directory = Vec::new();
    let mut tags: Vec<(u16, u16, Vec<u32>)> = tags.iter().map(|(tag, kind, v)| (*tag, *kind, v.to_vec())).collect();
    tags.extend([(273, 4, vec![data_at as u32]), (279, 4, vec![data.len() as u32])]);
    tags.sort();
    let directory_at = data_at + data.len();
    let count = if is_big { 8 } else { 2 };
    let mut beyond_at = directory_at + count + tags.len() * entry + offset;
    let mut beyond = Vec::new();
    directory.extend(word(tags.len(), count));
    for (tag, kind, values) in tags {
        let size = [0, 1, 1, 2, 4][usize::from(kind)];
        let mut packed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()[..size].to_vec()).collect();
        directory.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        directory.extend(word(values.len(), offset));
        if packed.len() > offset {
            directory.extend(word(beyond_at, offset));
            beyond_at += packed.len();
            beyond.extend(packed);
        } else {
            packed.resize(offset, 0);
            directory.extend(packed);
        }
    }
    bytes.extend(word(directory_at, offset));
    bytes.resize(data_at, 0);
    [&bytes, data, &directory, &vec![0; offset], &beyond].concat()
}

/// The tags of a TIFF of this size, with `samples` samples of `bits` bits and this interpretation.
fn tags<'t>(
    size: &'t [[u32; 1]; 2],
    bits: &'t [u32],
    photometric: &'t [u32],
    samples: &'t [u32],
) -> Vec<(u16, u16, &'t [u32])> {
    vec![(256, 3, &size[0]), (257, 3, &size[1]), (258, 3, bits), (262, 3, photometric), (277, 3, samples)]
}

fn assert_close(picture: &Picture, expected: &[f32], what: &str) {
    let close = picture.rgb.iter().zip(expected).all(|(got, want)| (got - want).abs() < 0.006);
    assert!(close && picture.rgb.len() == expected.len(), "{what}: {:?} instead of {expected:?}", picture.rgb);
}

#[test]
fn premultiplied_colours_are_divided_by_alpha() {
    let one = [[1]; 2];
    let base = tags(&one, &[8; 4], &[2], &[4]);
    for (kind, expected) in [(1, [128.0 / 200.0, 64.0 / 200.0, 0.0]), (2, [128.0 / 255.0, 64.0 / 255.0, 0.0])] {
        let kind = [kind];
        let picture = load(&tiff(&[&base[..], &[(338, 3, &kind)]].concat(), &[128, 64, 0, 200], false)).unwrap();
        assert_close(&picture, &expected, "RGB");
        assert_eq!(picture.alpha, Some(vec![200.0 / 255.0]));
    }
    let grey = [&tags(&one, &[16; 2], &[1], &[2])[..], &[(338, 3, &[1])]].concat();
    let picture = load(&tiff(&grey, &[0, 0x20, 0, 0x40], false)).unwrap();
    assert_close(&picture, &[0.5; 3], "grey");
    // Nothing is left of the colour where alpha is 0.
    let clear = [&base[..], &[(338, 3, &[1])]].concat();
    assert_eq!(load(&tiff(&clear, &[0, 0, 0, 0], false)).unwrap().rgb, [0.0; 3]);
}

#[test]
fn every_kind_of_tiff_is_read() {
    let two = [[2], [1]];
    // A palette of 4 bits in 16-bit values: red and blue.
    let mut palette = [0; 48];
    (palette[3], palette[32 + 9]) = (65535, 51400);
    for is_big in [false, true] {
        let picture =
            load(&tiff(&[&tags(&two, &[4], &[3], &[1])[..], &[(320, 3, &palette)]].concat(), &[0x39], is_big));
        assert_close(&picture.unwrap(), &[1.0, 0.0, 0.0, 0.0, 0.0, 51400.0 / 65535.0], "palette");
        assert_close(
            &load(&tiff(&tags(&two, &[8], &[1], &[1]), &[51, 204], is_big)).unwrap(),
            &[0.2, 0.8].repeat(3),
            "grey",
        );
    }
    let missing = tiff(&[&tags(&two, &[4], &[3], &[1])[..], &[(320, 3, &palette[..6])]].concat(), &[0x39], false);
    assert!(refusal(&missing).contains("palette lacks a colour"));
    assert_close(&load(&tiff(&tags(&two, &[4], &[1], &[1]), &[0x3c], false)).unwrap(), &[0.2, 0.8].repeat(3), "4 bits");
    assert_close(&load(&tiff(&tags(&two, &[1], &[0], &[1]), &[0x40], false)).unwrap(), &[1.0, 0.0].repeat(3), "1 bit");
    let one = [[1]; 2];
    // Grey 0.25 as f32 and f16.
    for (bits, bytes) in
        [([32], 0.25f32.to_le_bytes().to_vec()), ([16], half::f16::from_f32(0.25).to_le_bytes().to_vec())]
    {
        let float = [&tags(&one, &bits, &[1], &[1])[..], &[(339, 3, &[3])]].concat();
        assert_close(&load(&tiff(&float, &bytes, false)).unwrap(), &[0.25; 3], "float");
    }
    // L* 50.2, a* 30, b* 20 in CIE's and in ICC's encoding.
    let lab = |photometric, data: &[u8], bits| {
        load(&tiff(&tags(&one, &[bits; 3], &[photometric], &[3]), data, false)).unwrap()
    };
    assert_close(&lab(8, &[128, 30, 20], 8), &LAB, "CIELab");
    assert_close(&lab(9, &[128, 30 + 128, 20 + 128], 8), &LAB, "ICCLab");
    assert_close(&lab(8, &[0x80, 0x80, 0, 30, 0, 20], 16), &LAB, "16 bits");
    // A JPEG in a TIFF is YCbCr.
    let whole = jpeg(&[200, 100, 50].repeat(64), 8, 8);
    let eight = [[8]; 2];
    let inside = [&tags(&eight, &[8; 3], &[6], &[3])[..], &[(259, 3, &[7])]].concat();
    let picture = load(&tiff(&inside, &whole, false)).unwrap();
    for (plane, value) in picture.rgb.chunks(64).zip([200.0, 100.0, 50.0]) {
        assert!(plane.iter().all(|got| (got * 255.0 - value).abs() < 4.0), "YCbCr: {plane:?}");
    }
    let message = refusal(&tiff(&[&tags(&two, &[8], &[1], &[1])[..], &[(259, 3, &[34712])]].concat(), &[1, 2], false));
    assert!(message.contains("ompression") && message.contains("export it as PNG"), "{message}");
}

/// The sRGB of L* 50.2, a* 30, b* 20 (D50), by the formulas of CIE and the matrix of brucelindbloom.com.
const LAB: [f32; 3] = [0.676_55, 0.384_51, 0.341_97];

/// A profile for CMYK that maps all inks to the same grey, L* 50.
fn grey_inks() -> Vec<u8> {
    let ramp: Vec<u8> = (0..=255).collect();
    let mut table = b"mft1\0\0\0\0\x04\x03\x02\0".to_vec();
    for index in 0..9u32 {
        table.extend((if index % 4 == 0 { 65536u32 } else { 0 }).to_be_bytes());
    }
    table.extend(ramp.repeat(4));
    table.extend([128; 48]);
    table.extend(ramp.repeat(3));
    let mut header = vec![0; 128];
    header[8..12].copy_from_slice(&[2, 0x40, 0, 0]);
    header[12..24].copy_from_slice(b"prtrCMYKLab ");
    header[36..40].copy_from_slice(b"acsp");
    header[68..80].copy_from_slice(&[0, 0, 0xf6, 0xd6, 0, 1, 0, 0, 0, 0, 0xd3, 0x2d]);
    let directory =
        [&1u32.to_be_bytes()[..], b"A2B0", &144u32.to_be_bytes(), &(table.len() as u32).to_be_bytes()].concat();
    let mut profile = [header, directory, table].concat();
    let length = profile.len() as u32;
    profile[..4].copy_from_slice(&length.to_be_bytes());
    profile
}

#[test]
fn inks_are_converted_by_their_profile() {
    let one = [[1]; 2];
    let inks = [51, 153, 26, 77];
    let base = tags(&one, &[8; 4], &[5], &[4]);
    let naive = [0.8 * 0.698, 0.4 * 0.698, 0.898 * 0.698];
    assert_close(&load(&tiff(&base, &inks, false)).unwrap(), &naive, "without a profile");
    let profile: Vec<u32> = grey_inks().into_iter().map(u32::from).collect();
    let with = tiff(&[&base[..], &[(34675, 1, &profile)]].concat(), &inks, false);
    assert_close(&load(&with).unwrap(), &[0.466; 3], "TIFF");
    // 8x8 pixels of about the same inks.
    let plain = include_bytes!("../../../tests/fixtures/cmyk.jpg");
    let picture = load(plain).unwrap();
    for (plane, value) in picture.rgb.chunks(64).zip(naive) {
        assert!(plane.iter().all(|got| (got - value).abs() < 0.02), "JPEG without a profile: {plane:?}");
    }
    let icc = [b"ICC_PROFILE\0\x01\x01", &grey_inks()[..]].concat();
    let segment = [b"\xff\xe2", &(icc.len() as u16 + 2).to_be_bytes()[..], &icc].concat();
    let picture = load(&[&plain[..2], &segment, &plain[2..]].concat()).unwrap();
    assert!(picture.rgb.iter().all(|got| (got - 0.466).abs() < 0.006), "JPEG: {:?}", &picture.rgb[..4]);
}

#[test]
fn a_large_picture_of_floats_keeps_its_brightness() {
    let wide = [[40], [1]];
    let tags = [&tags(&wide, &[32], &[1], &[1])[..], &[(339, 3, &[3])]].concat();
    let bytes = tiff(&tags, &0.25f32.to_le_bytes().repeat(40), false);
    let (picture, _) = decode(Path::new("a.tif"), &bytes, Some(4), Raster::into_picture).unwrap();
    assert!(picture.rgb.iter().all(|value| (value - 0.25).abs() < 0.001), "{:?}", picture.rgb);
}

#[cfg(feature = "jxl")]
#[test]
fn jpeg_xl_is_read() {
    let bytes = include_bytes!("../../../tests/fixtures/small.jxl");
    let picture = load(bytes).unwrap();
    assert_eq!((picture.width, picture.height), (6, 4));
    for (index, alpha) in picture.alpha.as_ref().unwrap().iter().enumerate() {
        let [x, y] = [index % 6, index / 6];
        let expected = [x as f32 * 40.0, y as f32 * 60.0, 200.0];
        let got = [0, 1, 2].map(|channel| picture.rgb[channel * 24 + index] * 255.0);
        assert!(got.iter().zip(expected).all(|(got, wanted)| (got - wanted).abs() < 0.6), "{x}, {y}: {got:?}");
        assert_eq!((alpha * 255.0).round(), if x < 3 { 255.0 } else { 100.0 });
    }
    for length in 2..bytes.len() {
        assert!(load(&bytes[..length]).is_err(), "cut to {length}");
    }
    for position in 2..bytes.len() {
        let mut damaged = bytes.to_vec();
        damaged[position] ^= 0x55;
        let _ = load(&damaged);
    }
}

/// `tests/fixtures/README.md` has the colours of these pictures.
#[cfg(feature = "avif")]
#[test]
fn avif_is_read() {
    let transparent = include_bytes!("../../../tests/fixtures/transparent.avif").as_slice();
    let deep = include_bytes!("../../../tests/fixtures/deep.avif").as_slice();
    let turned = include_bytes!("../../../tests/fixtures/turned.avif").as_slice();
    for (bytes, is_turned, has_alpha, is_deep) in
        [(transparent, false, true, false), (deep, false, false, true), (turned, true, false, false)]
    {
        let (picture, metadata) = Picture::from_bytes("a.avif", bytes).unwrap();
        assert_eq!([picture.width, picture.height], if is_turned { [26, 33] } else { [33, 26] });
        assert_eq!((metadata.deep, picture.alpha.is_some()), (is_deep, has_alpha));
        let mut squares = 0.0;
        for index in 0..33 * 26 {
            let [x, y] = [index % picture.width, index / picture.width];
            let got = [0, 1, 2].map(|channel| picture.rgb[channel * 33 * 26 + index] * 255.0);
            // Turned: the picture as stored, with its axes swapped.
            let [u, v] = if is_turned { [y as f32, x as f32] } else { [x as f32, y as f32] };
            let wanted = [40.0 + 200.0 * u / 33.0, 30.0 + 190.0 * v / 26.0, 120.0 + 80.0 * (u / 5.0 + v / 7.0).sin()];
            squares += got.iter().zip(wanted).map(|(got, wanted)| (got - wanted).powi(2)).sum::<f32>();
            if let Some(alpha) = &picture.alpha {
                assert_eq!((alpha[index] * 255.0).round(), if x < 16 { 255.0 } else { 100.0 });
            }
        }
        let error = (squares / (3 * 33 * 26) as f32).sqrt();
        assert!(error < 3.0, "a mean error of {error} of 255");
    }
    for bytes in [transparent, deep, turned] {
        for length in 0..bytes.len() {
            assert!(load(&bytes[..length]).is_err(), "cut to {length}");
        }
        for position in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[position] ^= 0x55;
            let _ = load(&damaged);
        }
    }
}

#[cfg(not(feature = "avif"))]
#[test]
fn avif_is_named_where_it_cannot_be_read() {
    let message = load(include_bytes!("../../../tests/fixtures/deep.avif")).unwrap_err().to_string();
    assert!(message.contains("need the feature `avif`") && message.contains("convert it to PNG"), "{message}");
}
