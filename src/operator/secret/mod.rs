//! Secrets that are ours: what was seen of them, and how they are written.

pub mod failure;
pub mod seen;
pub mod write;

pub use seen::SeenSecrets;
