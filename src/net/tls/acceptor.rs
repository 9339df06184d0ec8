//! What the tls-* directives ask for, read and checked as a whole, and the sessions that begin with it.

use std::io;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, ServerConfig};

use crate::base::tape::{self, Kind};
use crate::config::{AuthClients, Config};

use super::session::TlsSession;
use super::session_cache::{AcceptTime, SessionCache};
use super::{ciphers, files};

/// Begins the sessions of new connections.
pub struct Acceptor {
    /// None of a tape that is replayed.
    real: Option<RealAcceptor>,
}

struct RealAcceptor {
    config: Arc<ServerConfig>,
    time: Arc<AcceptTime>,
}

impl Acceptor {
    /// Reads the files that the settings name.
    ///
    /// Errors: the text to log; nothing has changed then.
    pub fn new(config: &Config) -> Result<Acceptor, String> {
        let real = tape::pass_thing(Kind::Process, || RealAcceptor::new(config))?;
        Ok(Acceptor { real })
    }

    /// The session of a connection that has just been accepted, at that time in s since the epoch.
    ///
    /// Errors: those of rustls.
    pub fn begin(&self, now_s: u64) -> io::Result<Box<TlsSession>> {
        let config = self.real.as_ref().map(|real| {
            real.time.set(now_s);
            real.config.clone()
        });
        TlsSession::new(config)
    }
}

impl RealAcceptor {
    fn new(config: &Config) -> Result<RealAcceptor, String> {
        refuse_what_is_missing(config)?;
        let suites = ciphers::allowed(&config.tls_ciphersuites, &config.tls_ciphers)?;
        let versions = ciphers::protocols(&config.tls_protocols)?;
        let provider = Arc::new(CryptoProvider { cipher_suites: suites, ..ring::default_provider() });
        let identity = identity(config, &provider)?;
        let time = Arc::new(AcceptTime::default());
        let builder = ServerConfig::builder_with_details(provider.clone(), time.clone())
            .with_protocol_versions(&versions)
            .map_err(|error| format!("Failed to configure protocols and ciphers: {error}"))?;
        let builder = match client_verifier(config, &provider)? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut server = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        server.ignore_client_order = config.tls_prefer_server_ciphers;
        // Sessions of before must not be resumed: other rules may have been in force for them. So each
        // acceptor has a cache of its own.
        if config.tls_session_caching {
            server.session_storage = Arc::new(SessionCache::new(
                time.clone(),
                config.tls_session_cache_size as usize,
                config.tls_session_cache_timeout.into(),
            ));
        } else {
            server.session_storage = Arc::new(NoServerSessionStorage {});
            server.send_tls13_tickets = 0;
        }
        Ok(RealAcceptor { config: Arc::new(server), time })
    }
}

fn refuse_what_is_missing(config: &Config) -> Result<(), String> {
    if config.tls_cert_file.is_empty() {
        return Err("No tls-cert-file configured!".to_string());
    }
    if config.tls_key_file.is_empty() {
        return Err("No tls-key-file configured!".to_string());
    }
    if !config.tls_dh_params_file.is_empty() {
        log::warn!("Warning: 'tls-dh-params-file' has no effect: keys are agreed on by elliptic curves only.");
    }
    Ok(())
}

fn identity(config: &Config, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain = files::certificate_chain(&config.tls_cert_file)?;
    let key = files::private_key(&config.tls_key_file, &config.tls_key_file_pass)?;
    let failed = |error: Error| format!("Failed to load private key: {}: {error}", config.tls_key_file);
    let key = provider.key_provider.load_private_key(key).map_err(failed)?;
    let identity = CertifiedKey::new(chain, key);
    let mismatch = Error::InconsistentKeys(InconsistentKeys::KeyMismatch);
    match identity.keys_match() {
        Ok(()) => Ok(identity),
        Err(error) if error == mismatch => Err(failed(error)),
        // A certificate of version 1 cannot be looked into, but its clients may accept it.
        Err(_) if names_key(&identity) => Ok(identity),
        Err(_) => Err(failed(mismatch)),
    }
}

/// Whether the public key stands somewhere in the certificate, as it does in one of any version. True if it is not
/// known.
fn names_key(identity: &CertifiedKey) -> bool {
    match (identity.cert.first(), identity.key.public_key()) {
        (Some(certificate), Some(key)) => memchr::memmem::find(certificate, &key).is_some(),
        _ => true,
    }
}

/// The verifier of clients' certificates, if they are asked for.
fn client_verifier(
    config: &Config,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let (file, folder) = (&config.tls_ca_cert_file, &config.tls_ca_cert_dir);
    if config.tls_auth_clients == AuthClients::No {
        return Ok(None);
    }
    if file.is_empty() && folder.is_empty() {
        return Err("Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-auth-clients is enabled!"
            .to_string());
    }
    let authorities = Arc::new(files::authorities(file, folder)?);
    let mut builder = WebPkiClientVerifier::builder_with_provider(authorities, provider.clone());
    if config.tls_auth_clients == AuthClients::Optional {
        builder = builder.allow_unauthenticated();
    }
    let verifier = builder.build().map_err(|error| format!("Failed to configure CA certificate(s): {error}"))?;
    Ok(Some(verifier))
}
