//! What is painted, against the painters of the library.

use super::host::*;
use half::f16;
use impasto::embed::{Blend, Frame, MaskKind, Net, Options, Stylizer};
use impasto::io::Picture;
use impasto::nets::adain_painter::{AdainStyle, Region};
use impasto::nets::image_transform_net::Painter;
use impasto::nets::{AdainDecoder, AdainPainter, ImageTransformNet, Place, Vgg19};
use impasto::ops::pool::Pooling;
use wgpu::TextureFormat as Format;
use wgpu::TextureUsages as Usage;

/// Each of the formats in and out, with a storage texture where there is one and as a target; all within the rounding of
/// the output's format. Alpha is that of the frame.
#[test]
fn every_pair_of_formats_is_painted_as_the_library_paints() {
    let host = Host::new();
    let formats =
        [Format::Rgba8Unorm, Format::Rgba8UnormSrgb, Format::Bgra8Unorm, Format::Rgba16Float, Format::Rgb10a2Unorm];
    let mut painter = Painter::new(ImageTransformNet::new(&host.context(), small_net()).unwrap());
    let exposure = 0.4;
    let net = || Net::feed_forward(small_net()).unwrap();
    let first = host.stylizer(net(), &Options::new(SIZE, [formats[0]; 2]));
    for input in formats {
        let (color, stored) = host.frame(input, SIZE, exposure);
        let wanted = painter.paint(&picture(&stored, SIZE)).unwrap();
        assert_varied(&wanted);
        for output in formats {
            let options = Options::new(SIZE, [input, output]);
            let mut stylizer = first.another(net(), &options).unwrap();
            stylizer.wait().unwrap();
            let storable = [Format::Rgba8Unorm, Format::Rgba16Float].contains(&output);
            let usages = [Usage::RENDER_ATTACHMENT, Usage::STORAGE_BINDING];
            for usage in &usages[..1 + usize::from(storable)] {
                let target = host.texture(output, SIZE, *usage);
                let styles = [Blend { weights: &[1.0], alpha: 1.0 }];
                let frame = Frame { exposure, ..Frame::new(&color, &target, SIZE, &styles) };
                host.paint(&mut stylizer, &frame).unwrap();
                let painted: Vec<_> =
                    host.read(&target).iter().map(|texel| unpacked(output, texel, exposure)).collect();
                let most = difference(&painted, &wanted);
                println!("{input:?} to {output:?} by {usage:?}: {most}");
                assert!(most < rounding(output), "{input:?} to {output:?} by {usage:?}: {most}");
                for (painted, stored) in painted.iter().zip(&stored) {
                    assert!((painted[3] - stored[3]).abs() < 0.17, "{painted:?} {stored:?}");
                }
            }
        }
    }
}

/// Blends of styles, their strength and masks of both kinds give what `AdainPainter` gives; what no region covers is the
/// frame's own.
#[test]
fn blends_and_masks_are_those_of_the_library() {
    let host = Host::new();
    let context = host.context();
    let pair = Pair::new(&context);
    let encoder = Vgg19::new(&context, &pair.encoder, Pooling::Max).unwrap();
    let decoder = AdainDecoder::new(&context, pair.decoder.clone()).unwrap();
    let mut painter = AdainPainter::new(&encoder, decoder).unwrap();
    let formats = [Format::Rgba8Unorm; 2];
    let (color, stored) = host.frame(formats[0], SIZE, 1.0);
    let target = host.texture(formats[1], SIZE, Usage::STORAGE_BINDING);
    let photo = picture(&stored, SIZE);
    let read = || host.read(&target).iter().map(|texel| unpacked(formats[1], texel, 1.0)).collect::<Vec<_>>();

    let mut stylizer = host.stylizer(pair.net(), &Options::new(SIZE, formats));
    let mut results = Vec::new();
    for (weights, alpha) in [([1.0, 0.0], 1.0), ([0.0, 2.0], 1.0), ([0.5, 1.5], 0.7)] {
        host.paint(&mut stylizer, &Frame::new(&color, &target, SIZE, &[Blend { weights: &weights, alpha }])).unwrap();
        let mixed: Vec<_> = pair.styles.iter().cloned().zip(weights).collect();
        let region = Region { strength: alpha, ..AdainStyle::mix(&mixed).unwrap().into() };
        let wanted = painter.paint(&photo, &[region]).unwrap();
        assert_varied(&wanted);
        results.push(read());
        let most = difference(results.last().unwrap(), &wanted);
        assert!(most < rounding(formats[1]), "{weights:?}, {alpha}: {most}");
    }
    assert!(difference(&results[0], &picture(&results[1], SIZE)) > 0.1, "the styles differ");

    // Columns of features: the first style, both, the second, neither. A texel has the weights of its feature.
    let columns: [[f32; 2]; 8] = [[1., 0.], [1., 0.], [0.5, 0.5], [0.5, 0.5], [0., 1.], [0., 1.], [0., 0.], [0., 0.]];
    let masks = [0, 1].map(|style| {
        let rows = (0..8).flat_map(|_| columns.map(|weights| weights[style]));
        Place::Mask(Picture::from_rgb(8, 8, rows.collect::<Vec<_>>().repeat(3)).unwrap())
    });
    let strengths = [1.0, 0.6];
    let region = |style: usize, place| Region { style: pair.styles[style].clone(), place, strength: strengths[style] };
    let [first, second] = masks;
    let wanted = painter.paint(&photo, &[region(0, first), region(1, second)]).unwrap();
    let blends =
        [Blend { weights: &[1.0, 0.0], alpha: strengths[0] }, Blend { weights: &[0.0, 1.0], alpha: strengths[1] }];
    let weights = host.texture(Format::Rgba8Unorm, SIZE, Usage::TEXTURE_BINDING);
    let bytes = |texel: usize| columns[texel % 64 / 8].map(|weight| levels(weight, 255.0) as u8);
    // Blue and alpha belong to no region.
    host.write(
        &weights,
        &(0..64 * 64).flat_map(|texel| [bytes(texel)[0], bytes(texel)[1], 255, 255]).collect::<Vec<_>>(),
    );
    let options = Options { mask: Some(MaskKind::Weights), regions: 2, ..Options::new(SIZE, formats) };
    let mut stylizer = host.stylizer(pair.net(), &options);
    let frame = Frame { mask: Some(&weights), ..Frame::new(&color, &target, SIZE, &blends) };
    host.paint(&mut stylizer, &frame).unwrap();
    let painted = read();
    for (index, texel) in painted.iter().enumerate() {
        for channel in 0..3 {
            let value = match index % 64 / 8 {
                6.. => stored[index][channel],
                _ => wanted.rgb[channel * 64 * 64 + index],
            };
            // Half of a weight is 128 of 255.
            let most = rounding(formats[1]) + 3e-3;
            assert!((texel[channel] - value).abs() < most, "{index}: {texel:?}, {value}");
        }
    }

    // The same by numbers, of which 0 and 1 are regions and 7 is not, without the columns of both.
    let ids = host.texture(Format::R8Uint, SIZE, Usage::TEXTURE_BINDING);
    let id = |texel: usize| [0, 0, 0, 0, 1, 1, 7, 7][texel % 64 / 8];
    host.write(&ids, &(0..64 * 64).map(id).collect::<Vec<u8>>());
    let columns = [[1., 0.], [1., 0.], [1., 0.], [1., 0.], [0., 1.], [0., 1.], [0., 0.], [0.0f32, 0.]];
    let masks = [0, 1].map(|style| {
        let rows = (0..8).flat_map(|_| columns.map(|weights| weights[style]));
        Place::Mask(Picture::from_rgb(8, 8, rows.collect::<Vec<_>>().repeat(3)).unwrap())
    });
    let [first, second] = masks;
    let wanted = painter.paint(&photo, &[region(0, first), region(1, second)]).unwrap();
    let mut stylizer = host.stylizer(pair.net(), &Options { mask: Some(MaskKind::Ids), ..options });
    host.paint(&mut stylizer, &Frame { mask: Some(&ids), ..frame }).unwrap();
    for (index, texel) in read().iter().enumerate() {
        for channel in 0..3 {
            let value = match index % 64 / 8 {
                6.. => stored[index][channel],
                _ => wanted.rgb[channel * 64 * 64 + index],
            };
            assert!((texel[channel] - value).abs() < rounding(formats[1]), "{index}: {texel:?}, {value}");
        }
    }
}

/// The weights of the texels of one side of `from` in a pixel of the same side of `to`.
fn shares(from: usize, to: usize, at: usize) -> Vec<f64> {
    let ratio = from as f64 / to as f64;
    let [low, high] = [at as f64 * ratio, (at + 1) as f64 * ratio];
    (0..from).map(|texel| (high.min(texel as f64 + 1.0) - low.max(texel as f64)).max(0.0) / ratio).collect()
}

/// The mean of texels over the area of each pixel of `to` `[width, height]`.
fn reduced(texels: &[Texel], from: [u32; 2], to: [u32; 2]) -> Picture {
    let [from, to] = [from, to].map(|size| size.map(|side| side as usize));
    let mut rgb = Vec::new();
    for channel in 0..3 {
        for y in 0..to[1] {
            let rows = shares(from[1], to[1], y);
            for x in 0..to[0] {
                let columns = shares(from[0], to[0], x);
                let of = |row: usize, column: usize| f64::from(texels[row * from[0] + column][channel]);
                let row = |row: usize| (0..from[0]).map(|column| columns[column] * of(row, column)).sum::<f64>();
                rgb.push(
                    (0..from[1]).map(|at| if rows[at] > 0.0 { rows[at] * row(at) } else { 0.0 }).sum::<f64>() as f32
                );
            }
        }
    }
    Picture::from_rgb(to[0], to[1], rgb).unwrap()
}

/// Joint bilateral enlargement of `painted`, whose guide is `photo`, to texels of `size` `[width, height]`: the formula
/// of shaders/texture.wgsl.
fn enlarged(painted: &Picture, photo: &Picture, texels: &[Texel], size: [u32; 2]) -> Picture {
    let (width, height) = (painted.width, painted.height);
    let pixel = |of: &Picture, at: usize| [0, 1, 2].map(|channel| f64::from(of.rgb[channel * width * height + at]));
    let mut planes = vec![Vec::new(); 3];
    for (index, texel) in texels.iter().enumerate() {
        let at = [index % size[0] as usize, index / size[0] as usize];
        let centre =
            [0, 1].map(|axis| (at[axis] as f64 + 0.5) * [width, height][axis] as f64 / f64::from(size[axis]) - 0.5);
        let (mut sums, mut total) = ([0.0; 3], 0.0);
        for dy in -1..3 {
            for dx in -1..3 {
                let place = [centre[0].floor() + f64::from(dx), centre[1].floor() + f64::from(dy)];
                let inside = |value: f64, side: usize| value.clamp(0.0, side as f64 - 1.0) as usize;
                let q = inside(place[1], height) * width + inside(place[0], width);
                let guide = pixel(photo, q);
                let apart: f64 = (0..3).map(|channel| (f64::from(texel[channel]) - guide[channel]).powi(2)).sum();
                let away = (place[0] - centre[0]).powi(2) + (place[1] - centre[1]).powi(2);
                let weight = (-away).exp() * (-apart / 0.02).exp().max(1e-3);
                let values = pixel(painted, q);
                (0..3).for_each(|channel| sums[channel] += weight * values[channel]);
                total += weight;
            }
        }
        (0..3).for_each(|channel| planes[channel].push((sums[channel] / total) as f32));
    }
    Picture::from_rgb(size[0] as usize, size[1] as usize, planes.concat()).unwrap()
}

/// A painting at a lower size, and frames smaller than the largest one, agree with f64 formulas around the library's
/// painter. The rest of the output is left as it is.
#[test]
fn a_smaller_painting_is_enlarged_along_the_edges_of_the_frame() {
    let host = Host::new();
    let formats = [Format::Rgba8Unorm; 2];
    let mut painter = Painter::new(ImageTransformNet::new(&host.context(), small_net()).unwrap());
    let most = [96, 64];
    let options = Options { scale: 0.5, ..Options::new(most, formats) };
    let mut stylizer = host.stylizer(small(), &options);
    for size in [most, [70, 51], [31, 24]] {
        let (color, stored) = host.frame(formats[0], size, 1.0);
        let photo = reduced(&stored, size, [48, 32]);
        let wanted = enlarged(&painter.paint(&photo).unwrap(), &photo, &stored, size);
        assert_varied(&wanted);
        let target = host.texture(formats[1], most, Usage::STORAGE_BINDING);
        host.write(&target, &[7; 96 * 64 * 4]);
        host.paint(&mut stylizer, &Frame::new(&color, &target, size, &ONE)).unwrap();
        let all = host.read(&target);
        let is_inside = |index: &usize| index % 96 < size[0] as usize && index / 96 < size[1] as usize;
        let (inside, outside): (Vec<_>, Vec<_>) = (0..all.len()).partition(is_inside);
        let painted: Vec<_> = inside.iter().map(|index| unpacked(formats[1], &all[*index], 1.0)).collect();
        let apart = difference(&painted, &wanted);
        assert!(apart < rounding(formats[1]) + 5e-4, "{size:?}: {apart}");
        assert!(outside.iter().all(|index| all[*index] == [7; 4]), "{size:?}");
    }
}

/// Feed-forward nets mix colours by their strength, in the regions of the mask, and a body paints each region in its own
/// style.
#[test]
fn a_feed_forward_net_mixes_colours_in_its_regions() {
    let host = Host::new();
    let formats = [Format::Rgba8Unorm; 2];
    let (color, stored) = host.frame(formats[0], SIZE, 1.0);
    let target = host.texture(formats[1], SIZE, Usage::STORAGE_BINDING);
    let names = ["a".to_string(), "b".to_string()];
    let mut body = small_net().with_styles(&names).unwrap();
    // The second row of each table is another style.
    let scales = body.tensors.iter_mut().filter(|(_, tensor)| tensor.shape.len() == 2 && tensor.shape[0] == 2);
    scales.for_each(|(_, tensor)| {
        let half = tensor.data.len() / 2;
        tensor.data[half..].iter_mut().enumerate().for_each(|(index, value)| *value = 0.3 + (index % 5) as f32 / 4.0);
    });
    let context = host.context();
    let paint = |weights: &[f32]| {
        let net = ImageTransformNet::new(&context, body.blend(weights).unwrap()).unwrap();
        Painter::new(net).paint(&picture(&stored, SIZE)).unwrap()
    };
    let options = Options { mask: Some(MaskKind::Ids), ..Options::new(SIZE, formats) };
    let mut stylizer = host.stylizer(Net::feed_forward(body.clone()).unwrap(), &options);
    let ids = host.texture(Format::R8Uint, SIZE, Usage::TEXTURE_BINDING);
    host.write(&ids, &(0..64 * 64).map(|texel| u8::from(texel % 64 >= 40)).collect::<Vec<_>>());
    let mut results = Vec::new();
    for (weights, alpha) in [([0.0, 3.0], 1.0), ([1.0, 0.0], 1.0), ([0.25, 0.75], 0.4)] {
        let blend = [Blend { weights: &weights, alpha }];
        let frame = Frame { mask: Some(&ids), ..Frame::new(&color, &target, SIZE, &blend) };
        host.paint(&mut stylizer, &frame).unwrap();
        let mut wanted = paint(&weights);
        assert_varied(&wanted);
        for (index, value) in wanted.rgb.iter_mut().enumerate() {
            let own = stored[index % (64 * 64)][index / (64 * 64)];
            *value = if index % 64 >= 40 { own } else { own + alpha * (*value - own) };
        }
        let painted: Vec<_> = host.read(&target).iter().map(|texel| unpacked(formats[1], texel, 1.0)).collect();
        let apart = difference(&painted, &wanted);
        assert!(apart < rounding(formats[1]), "{weights:?}, {alpha}: {apart}");
        results.push(wanted);
    }
    let apart = results[0].rgb.iter().zip(&results[1].rgb).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart > 0.05, "the styles differ: {apart}");

    // Regions with a style each, by soft weights.
    let options = Options { mask: Some(MaskKind::Weights), regions: 2, ..Options::new(SIZE, formats) };
    let mut stylizer = stylizer.another(Net::feed_forward(body.clone()).unwrap(), &options).unwrap();
    stylizer.wait().unwrap();
    let weights = host.texture(Format::Rgba8Unorm, SIZE, Usage::TEXTURE_BINDING);
    let columns = [[1.0, 0.0], [0.2, 0.4], [0.0, 1.0], [0.6, 0.6]];
    let bytes = |texel: usize| columns[texel % 64 / 16].map(|weight| levels(weight, 255.0) as u8);
    let texels = (0..64 * 64).flat_map(|texel| [bytes(texel)[0], bytes(texel)[1], 90, 255]);
    host.write(&weights, &texels.collect::<Vec<_>>());
    let blends = [Blend { weights: &[0.0, 3.0], alpha: 1.0 }, Blend { weights: &[1.0, 0.0], alpha: 0.5 }];
    let frame = Frame { mask: Some(&weights), ..Frame::new(&color, &target, SIZE, &blends) };
    host.paint(&mut stylizer, &frame).unwrap();
    let [first, second] = [paint(&[0.0, 3.0]), paint(&[1.0, 0.0])];
    let mut wanted = first.clone();
    for (index, value) in wanted.rgb.iter_mut().enumerate() {
        let own = stored[index % (64 * 64)][index / (64 * 64)];
        let [a, b] = columns[index % 64 / 16];
        let shares = [a / f32::max(1.0, a + b), 0.5 * b / f32::max(1.0, a + b)];
        *value = (1.0 - shares[0] - shares[1]) * own + shares[0] * first.rgb[index] + shares[1] * second.rgb[index];
    }
    let painted: Vec<_> = host.read(&target).iter().map(|texel| unpacked(formats[1], texel, 1.0)).collect();
    let apart = difference(&painted, &wanted);
    assert!(apart < rounding(formats[1]), "{apart}");
}

/// A texel that is not a number is black to the net, and an infinite one white. The rest of the painting has no harm.
#[test]
fn a_texel_that_is_not_a_number_spoils_nothing() {
    let host = Host::new();
    let formats = [Format::Rgba16Float, Format::Rgba8Unorm];
    let (_, mut stored) = host.frame(formats[0], SIZE, 1.0);
    let mut bytes: Vec<_> = stored.iter().map(|texel| packed(formats[0], *texel, 1.0)).collect();
    for (at, value, shown) in [(700, f16::NAN, 0.0), (900, f16::INFINITY, 1.0), (901, f16::NEG_INFINITY, 0.0)] {
        bytes[at] = [value, value, value, f16::ONE].iter().flat_map(|half| half.to_le_bytes()).collect();
        stored[at] = [shown, shown, shown, 1.0];
    }
    let color = host.texture(formats[0], SIZE, Usage::TEXTURE_BINDING);
    host.write(&color, &bytes.concat());
    let target = host.texture(formats[1], SIZE, Usage::STORAGE_BINDING);
    let mut stylizer = host.stylizer(small(), &Options::new(SIZE, formats));
    host.paint(&mut stylizer, &Frame::new(&color, &target, SIZE, &ONE)).unwrap();
    let mut painter = Painter::new(ImageTransformNet::new(&host.context(), small_net()).unwrap());
    let wanted = painter.paint(&picture(&stored, SIZE)).unwrap();
    let painted: Vec<_> = host.read(&target).iter().map(|texel| unpacked(formats[1], texel, 1.0)).collect();
    let apart = difference(&painted, &wanted);
    assert!(apart < rounding(formats[1]), "{apart}");
}

/// Weights and activations as f16, on a device with that feature, as the library's painter has them.
#[test]
fn f16_is_that_of_the_library() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let formats = [Format::Rgba8Unorm; 2];
    let options = Options { precision: impasto::gpu::Precision::F16, ..Options::new(SIZE, formats) };
    let needs = match Stylizer::requirements(&adapter, &small(), &options) {
        Ok(needs) => needs,
        Err(error) => {
            assert!(error.to_string().contains("SHADER_F16"), "{error}");
            return println!("skipped: {error}");
        }
    };
    let single = Stylizer::requirements(&adapter, &small(), &Options::new(SIZE, formats)).unwrap();
    assert!(needs.features == wgpu::Features::SHADER_F16 && needs.bytes < single.bytes, "{needs:?}, {single:?}");
    let host = Host::with(&adapter, needs.features);
    let (color, stored) = host.frame(formats[0], SIZE, 1.0);
    let target = host.texture(formats[1], SIZE, Usage::STORAGE_BINDING);
    let mut stylizer = host.stylizer(small(), &options);
    assert_eq!(stylizer.bytes().unwrap(), needs.bytes);
    host.paint(&mut stylizer, &Frame::new(&color, &target, SIZE, &ONE)).unwrap();
    let mut painter = Painter::new(ImageTransformNet::new(stylizer.context(), small_net()).unwrap());
    let wanted = painter.paint(&picture(&stored, SIZE)).unwrap();
    let painted: Vec<_> = host.read(&target).iter().map(|texel| unpacked(formats[1], texel, 1.0)).collect();
    let apart = difference(&painted, &wanted);
    assert!(apart < rounding(formats[1]), "{apart}");
}
