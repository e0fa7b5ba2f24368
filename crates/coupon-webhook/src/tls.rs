//! TLS with the system's certificates.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// A set-up that trusts whom the system trusts (`SSL_CERT_FILE` and `SSL_CERT_DIR` say otherwise), by one provider of cryptography, whatever
/// else the process has.
pub(crate) fn config() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    // Without any certificate every connection fails, and says so; that is no reason not to start.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
}
