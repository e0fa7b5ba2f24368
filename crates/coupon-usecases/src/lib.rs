//! What the service does: one file a use case.
