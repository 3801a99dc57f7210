//! Outputs outside 0..1: the loss is computed on the clamped picture, and the gradient leads back into the range.

use impasto::gpu::{DeviceTensor, Recorder};
use impasto::nets::image_transform_net::{Form, ImageTransformNetWeights};
use impasto::ops::norm::Over;
use impasto::train::Trainer as _;

use crate::body::trainer;
use crate::{SIZE, context, photos, picture};

#[test]
fn values_out_of_range_are_clamped_and_pulled_back_by_the_gradient() {
    let (_photos, folder) = photos(3, 40);
    let photo = picture(SIZE, 7).rgb;
    // The loss of a net that paints a uniform grey, and its gradient with respect to each colour channel.
    let judge = |grey: f32| {
        let mut weights = ImageTransformNetWeights::random(Form::Resize, Over::Instance, 0.0625, 1);
        for (name, tensor) in &mut weights.tensors {
            match name.as_str() {
                "deconv3.conv2d.weight" => tensor.data.fill(0.0),
                "deconv3.conv2d.bias" => tensor.data.fill(grey),
                _ => {}
            }
        }
        let trainer = trainer(weights, &[picture(SIZE, 9)], &folder);
        let input = DeviceTensor::from_values(context(), "photo", [1, 3, SIZE, SIZE], &photo).unwrap();
        let losses = DeviceTensor::new(context(), "losses", [trainer.terms().len()]);
        let mut rec = Recorder::new(context());
        let labels = DeviceTensor::from_values(context(), "labels", [1, 1], &trainer.labels(0)).unwrap();
        let [x, styles, slots] = [&input, &labels, &losses].map(|tensor| rec.pin(tensor));
        trainer.refresh(&mut rec).unwrap();
        trainer.record(&mut rec, &[x, styles], slots, 1.0).unwrap();
        let parameters = trainer.parameters();
        let bias = parameters.iter().find(|parameter| parameter.name == "deconv3.conv2d.bias").unwrap();
        bias.gradient.write(&[0.0; 3]).unwrap();
        rec.finish().unwrap().run().unwrap();
        (losses.read().unwrap(), bias.gradient.read().unwrap())
    };
    let (white, (beyond, pull)) = (judge(1.0), judge(3.0));
    assert_eq!(beyond, white.0);
    assert!(pull.iter().all(|&slope| slope >= 0.0) && pull.iter().any(|&slope| slope > 0.0), "{pull:?}");
    let (black, (below, push)) = (judge(0.0), judge(-2.0));
    assert_eq!(below, black.0);
    assert!(push.iter().all(|&slope| slope <= 0.0) && push.iter().any(|&slope| slope < 0.0), "{push:?}");
}
