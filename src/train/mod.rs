//! Training: pictures, the loop that every trainer shares, checkpoints.
