//! clusterctl
