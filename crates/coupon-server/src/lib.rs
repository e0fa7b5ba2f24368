//! The coupon service: configuration, wiring, command line.
