//! Inbound adapter: gRPC services over the use cases.
