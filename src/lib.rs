//! clusterctl
pub mod handover;
