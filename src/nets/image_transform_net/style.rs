//! A single style of a body as a file of a few KB: scales and shifts of all norms.

use super::ImageTransformNetWeights;
use crate::io::{HostTensor, WeightFile};
use crate::ops::norm::Over;
use crate::{Error, Result};

/// Scales and shifts of all norms of a body for one style (see [`ImageTransformNetWeights::styles`]).
#[derive(Clone, Debug, PartialEq)]
pub struct BodyStyle {
    /// [`ImageTransformNetWeights::fingerprint`] of the body.
    pub body: String,
    /// Name of the body, for messages only; it may be another file by now.
    pub body_name: String,
    /// `inN.weight` and `inN.bias`, `[C]`, in the order of the net.
    pub tensors: Vec<(String, HostTensor)>,
}

/// Metadata that identifies a style's file.
const ARCHITECTURE: &str = "image_transform_net_style";

/// Metadata keys: kind of file, fingerprint and name of the body.
const METADATA: [&str; 3] = ["architecture", "body", "body_name"];

impl BodyStyle {
    /// Whether the metadata of `file` says that it is a style of a body.
    pub fn is_in(file: &WeightFile) -> bool {
        file.metadata.get(METADATA[0]).is_some_and(|architecture| architecture == ARCHITECTURE)
    }

    /// Reads a style from a file.
    ///
    /// # Errors
    /// A file that is not a style of a body, such as an AdaIN style; a file that does not name its body.
    pub fn of(file: &WeightFile) -> Result<Self> {
        let wrong =
            |reason: &str| Error::weights(&file.path, reason).with_help("use a style that a body was trained for");
        if !Self::is_in(file) {
            return Err(wrong("this is not a style of a body"));
        }
        let [_, body, body_name] = METADATA.map(|key| file.metadata.get(key).cloned());
        let (Some(body), Some(body_name)) = (body, body_name) else {
            return Err(wrong("the metadata does not name the body of this style"));
        };
        Ok(BodyStyle { body, body_name, tensors: file.tensors.clone() })
    }

    /// Metadata for a file of this style.
    pub fn metadata(&self) -> [(&'static str, String); 3] {
        let values = [ARCHITECTURE.to_string(), self.body.clone(), self.body_name.clone()];
        let mut values = values.into_iter();
        METADATA.map(|key| (key, values.next().expect("as many values as keys")))
    }
}

impl ImageTransformNetWeights {
    /// The scales and shifts of a net of one style, as a style of the body `name`.
    ///
    /// # Errors
    /// A body of many styles; batch norm, whose running statistics would be part of the style.
    pub fn style(&self, name: &str) -> Result<BodyStyle> {
        let refuse = |got| Err(Error::argument("style", "net", "a net of one style with instance norm", got));
        match (self.norm, self.styles.is_empty()) {
            (Over::Batch, _) => refuse("one with batch norm"),
            (_, false) => refuse("a whole body"),
            _ => Ok(BodyStyle {
                body: self.fingerprint(),
                body_name: name.into(),
                tensors: self.affine().cloned().collect(),
            }),
        }
    }

    /// A net of one style: the convolutions of these weights with the scales and shifts of `style`.
    ///
    /// # Errors
    /// A style of another body; a missing tensor, one of the wrong shape, or one that the body does not have.
    pub fn in_style(&self, style: &BodyStyle) -> Result<Self> {
        let refuse = |expected: String, got| Err(Error::argument("style", "style", expected, got));
        if style.body != self.fingerprint() {
            return refuse("one of this body".into(), format!("one of {}", style.body_name));
        }
        let mut one = self.clone();
        one.styles.clear();
        if let Some((unknown, _)) = style.tensors.iter().find(|(name, _)| !one.affine().any(|(known, _)| known == name))
        {
            return refuse("scales and shifts of the body's norms alone".into(), format!("a tensor {unknown}"));
        }
        for (name, tensor) in one.affine_mut() {
            let channels = tensor.shape[tensor.shape.len() - 1];
            match style.tensors.iter().find(|(known, _)| known == name) {
                Some((_, own)) if own.shape == [channels] => *tensor = own.clone(),
                found => {
                    let got = found.map_or("none".into(), |(_, own)| format!("{:?}", own.shape));
                    return refuse(format!("a tensor {name} of shape [{channels}]"), got);
                }
            }
        }
        Ok(one)
    }
}
